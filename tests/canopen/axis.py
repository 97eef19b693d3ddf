"""python-canopen with its profile p402, unmodified, against an axis of the firmware.

    axis.py FIRMWARE BUS [TEST...]

FIRMWARE drives a simulated motor on can0. BUS is bus.c as a
shared library: the kernel of this machine need not have CAN. Or it is the name of another CAN
interface on the bus of can0, as on the emulated board (testbed/tests/board/python.rs).

With STEADFAST_TRACES=FOLDER the frames of each test are written there, as candump -L does: those
in tests/canopen/traces are replayed by the tests of the node.
"""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

import can
import canopen
from can.interfaces.socketcan import SocketcanBus
from canopen.lss import (
    CS_INQUIRE_PRODUCT_CODE,
    CS_INQUIRE_REVISION_NUMBER,
    CS_INQUIRE_SERIAL_NUMBER,
    CS_INQUIRE_VENDOR_ID,
    LssError,
)
from canopen.objectdictionary import ODVariable

import master
from master import HERE, MASTER_ID, NODE_ID, NO_DATA, RADIAN, Case

sys.path.insert(0, os.path.join(HERE, "../../python"))
import steadfast  # noqa: E402

# 10^-6 rad, 10^-6 rad/s: a motor with friction and an encoder with noise.
STEP = 5000
NEAR = 0.02 * RADIAN
SLOW = 0.3 * RADIAN
HOME = 0.5

VALUE_TOO_HIGH = 0x06090031
VALUE_TOO_LOW = 0x06090032
INCOMPATIBLE = 0x06040043
READ_ONLY = 0x06010002
DEVICE_STATE = 0x08000022
# A node without an id.
NO_ID = 255
# 1018h:1 to 4; the board file gives no serial number.
IDENTITY = (0, 0x5D, 0x10000, 0)
# Objects without a value: errors that have not occurred.
ABSENT = {(0x1003, sub) for sub in range(1, 9)}

# Changes of the simulated board: it is armed again by a fault reset of the master, and a command
# that the motor cannot follow is a following error.
CHANGES = (
    ('arm = "at-start"', 'arm = "at-start"\nrearm = "on-command"'),
    ("following_error_window_rad = 0.5", "following_error_window_rad = 0.1"),
    ("following_error_timeout_ms = 20", "following_error_timeout_ms = 3"),
    ("[axis.x.motion]\npositions_rad = [6.283185, -6.283185]\ndwell_s = 0.25\n", ""),
)
LINK = f"""
[axis.x.command]
timeout_ms = 500
interpolation_ms = 10

[link.can]
interface = "can0"
node_id = {NODE_ID}
bit_rate = 1_000_000
sync_hold = 25
sync_losses = 100
"""
HOMING = f"""
[axis.x.homing]
method = 37
offset_rad = {HOME}
"""


# Most memory that a controller with one axis may lock, with all links, kB.
MOST_LOCKED_KB = 2048


def is_static(program):
    """Whether a program needs no dynamic linker. A shared C library is locked as well."""
    with open(program, "rb") as file:
        return b"/ld-linux" not in file.read(4096)


class SocketBus(can.BusABC):
    """The other ends of bus.c in several nodes: each packet is a struct can_frame, which all
    others get."""

    FRAME = struct.Struct("=IB3x8s")

    def __init__(self, connections):
        self.connections = list(connections)
        self.trace = None
        self.channel_info = "bus.c"
        super().__init__(channel="bus.c")

    def send(self, message, timeout=None):
        frame = self.FRAME.pack(message.arbitration_id, message.dlc, bytes(message.data))
        if self.trace:
            self.trace.add(message)
        for connection in self.connections:
            connection.send(frame)

    def _recv_internal(self, timeout):
        ready, _, _ = select.select(self.connections, [], [], timeout)
        if not ready:
            return None, False
        frame = ready[0].recv(self.FRAME.size)
        if not frame:
            # This firmware has ended.
            self.connections.remove(ready[0])
            ready[0].close()
            return None, False
        for connection in self.connections:
            if connection is not ready[0]:
                connection.send(frame)
        number, length, data = self.FRAME.unpack(frame)
        message = can.Message(
            timestamp=time.time(),
            arbitration_id=number,
            is_extended_id=False,
            data=data[:length],
        )
        if self.trace:
            self.trace.add(message)
        return message, False

    def shutdown(self):
        super().shutdown()
        if self.trace:
            self.trace.file.close()
        for connection in self.connections:
            connection.close()


class InterfaceBus(SocketcanBus):
    """A CAN interface. Periodic messages come from a thread of python-can: the emulated board does
    not have the module can-bcm."""

    def _send_periodic_internal(self, *arguments, **options):
        return can.BusABC._send_periodic_internal(self, *arguments, **options)


class Trace:
    """A log as that of candump -L, without the uploads of the EDS, which would be most of it."""

    def __init__(self, path):
        self.file = open(path, "a")
        self.skips = False

    def add(self, message):
        service, data = message.arbitration_id & ~0x7F, bytes(message.data)
        # A request that begins a transfer: a download, an upload or a block upload.
        if service == 0x600 and (data[0] >> 5 in (1, 2) or data[0] & ~4 == 0xA0):
            self.skips = data[1:3] == b"\x21\x10"
        if not (self.skips and service in (0x580, 0x600)):
            line = f"({time.time():.6f}) can0 {message.arbitration_id:03X}#{data.hex().upper()}\n"
            self.file.write(line)


class Base(Case):
    """An axis of the firmware with power from the start, and what a master does with it."""

    homing = HOMING
    # One firmware with one axis each.
    nodes = (NODE_ID,)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.saved = os.path.join(folder.name, "saved.toml")
        self.boards = [self.board(number) for number in self.nodes]
        if preload:
            self.listen()
        self.start()

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(self.listener.close)
        self.listener.bind(os.path.join(self.folder, "bus"))
        self.listener.listen(len(self.nodes))
        self.listener.settimeout(10)

    def board(self, number):
        """The path of the board file of a node."""
        with open(os.path.join(HERE, "../../board/sim/board.toml")) as file:
            text = file.read() + LINK + self.homing + f'[parameters]\nfile = "{self.saved}"\n'
        changes = (*CHANGES, (f"node_id = {NODE_ID}\n", f"node_id = {number}\n"))
        for old, new in changes:
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        path = os.path.join(self.folder, f"board{number}.toml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self):
        self.processes = []
        self.addCleanup(self.end_processes)
        if preload:
            node_bus = self.preloaded()
        else:
            node_bus = InterfaceBus(channel=bus)
            for board in self.boards:
                self.start_firmware(board)
            # What is sent before a node is on the bus is lost.
            missing = {(0x700 + number, b"\0") for number in self.nodes if number != NO_ID}
            while missing:
                message = node_bus.recv(10)
                self.assertIsNotNone(message, "no boot-up message")
                missing.discard((message.arbitration_id, bytes(message.data)))
        self.network = canopen.Network(node_bus)
        self.network.connect()
        self.addCleanup(self.network.disconnect)

    def start_firmware(self, board, **environment):
        process = subprocess.Popen(
            [firmware, "run", "--board", board, "--for", "1h", "--quiet"],
            env=dict(os.environ, **environment),
        )
        self.processes.append(process)

    def preloaded(self):
        """Starts the firmware with bus.c: the other ends."""
        connections = []
        for board in self.boards:
            address = self.listener.getsockname()
            self.start_firmware(board, LD_PRELOAD=bus, STEADFAST_TEST_BUS=address)
            connections.append(self.listener.accept()[0])
        socket_bus = SocketBus(connections)
        if "STEADFAST_TRACES" in os.environ:
            name = self.id().rsplit(".", 1)[1].removeprefix("test_")
            path = os.path.join(os.environ["STEADFAST_TRACES"], name + ".log")
            socket_bus.trace = Trace(path)
        return socket_bus

    def restarted(self, number=NODE_ID):
        """The node after a restart of the controller."""
        self.network.disconnect()
        self.end_processes()
        self.start()
        return self.node(number)

    def end_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                # 4: the axis has a fault, as after the loss of the master.
                self.assertIn(process.wait(10), (0, 4))

    def enabled(self, mode):
        node = self.operational()
        node.op_mode = mode
        self.assertEqual(node.op_mode, mode)
        node.state = "OPERATION ENABLED"
        self.assertEqual(node.state, "OPERATION ENABLED")
        return node

    def position(self, node):
        return node.sdo[0x6064].raw

    def velocity(self, node):
        return node.sdo[0x606C].raw

    def move_to(self, node, target):
        """A set-point of mode pp with its handshake, until it is reached."""
        node.rpdo[2]["Target position"].raw = target
        node.rpdo[2].transmit()
        node.controlword = 0x1F
        self.wait("set-point acknowledge", lambda: node.statusword & 0x1000)
        node.controlword = 0x0F
        self.wait("end of the acknowledge", lambda: not node.statusword & 0x1000)
        self.wait("target reached", lambda: node.statusword & 0x0400)
        self.assertAlmostEqual(self.position(node), target, delta=NEAR)

    def follow_sync(self, node):
        """RPDO 2 and the TPDOs are synchronous; SYNC every 10 ms."""
        for pdo in (node.tpdo[1], node.tpdo[2], node.rpdo[2]):
            pdo.trans_type = 1
        node.rpdo[2].clear()
        node.rpdo[2].add_variable("Target position")
        node.rpdo[2].add_variable("Target velocity")
        for pdo in (node.tpdo[1], node.tpdo[2], node.rpdo[2]):
            pdo.save()
        node.rpdo[2]["Target position"].raw = self.position(node)
        node.rpdo[2]["Target velocity"].raw = 0
        node.sdo[0x1006].raw = 10_000
        self.network.sync.start(0.01)
        self.addCleanup(self.network.sync.stop)
        node.rpdo[2].transmit()


class Axis(Base):
    def test_all_objects_of_the_served_eds_are_read_back(self):
        node = self.node()
        read, absent = 0, set()
        for obj in node.object_dictionary.values():
            if obj.index < 0x1000 or obj.index == 0x1021:
                continue
            variables = [obj] if isinstance(obj, ODVariable) else obj.values()
            for var in variables:
                try:
                    node.sdo.upload(var.index, var.subindex)
                    read += 1
                except canopen.SdoAbortedError as error:
                    self.assertEqual(error.code, NO_DATA, f"{var.index:04X}h:{var.subindex}")
                    absent.add((var.index, var.subindex))
        print(f"{read} values read, {len(absent)} without data")
        self.assertEqual(absent, ABSENT)
        self.assertGreater(read, 180)

    def entry(self, node, index, sub=0):
        entry = node.sdo[index]
        return entry if isinstance(node.object_dictionary[index], ODVariable) else entry[sub]

    def refused(self, node, code, value, index, sub=0):
        """A download that is refused, and changes nothing."""
        entry = self.entry(node, index, sub)
        before = entry.raw
        with self.assertRaises(canopen.SdoAbortedError) as raised:
            entry.raw = value
        self.assertEqual(raised.exception.code, code)
        self.assertEqual(entry.raw, before)

    def test_parameters_are_those_of_the_board_file(self):
        node = self.node()
        for index, sub, value in (
            (0x6007, 0, 1),
            (0x605A, 0, 2),
            (0x605B, 0, 1),
            (0x605C, 0, 1),
            (0x605D, 0, 1),
            (0x605E, 0, 2),
            (0x6065, 0, 100_000),
            (0x6066, 0, 3),
            (0x6067, 0, 10_000),
            (0x6068, 0, 10),
            (0x607C, 0, 500_000),
            (0x607D, 1, -13 * RADIAN),
            (0x607D, 2, 13 * RADIAN),
            (0x607F, 0, 40 * RADIAN),
            (0x6081, 0, 20 * RADIAN),
            (0x6083, 0, 400_000),
            (0x6084, 0, 400_000),
            (0x6085, 0, 800_000),
            (0x6098, 0, 37),
            (0x60C2, 1, 10),
            (0x60C2, 2, -3),
            (0x60F2, 0, 0),
        ):
            with self.subTest(f"{index:04X}h:{sub}"):
                entry = self.entry(node, index, sub)
                self.assertEqual(entry.raw, value)
                # A configuration that agrees is granted, also for what cannot change.
                entry.raw = value

    def test_parameters_are_changed_while_the_axis_has_power(self):
        node = self.enabled("PROFILED POSITION")
        for index, sub, value in (
            (0x6065, 0, 200_000),
            (0x6066, 0, 50),
            (0x6067, 0, 20_000),
            (0x6068, 0, 5),
            (0x607C, 0, -500_000),
            (0x6081, 0, 2 * RADIAN),
            (0x6083, 0, 200_000),
            (0x6085, 0, 600_000),
            (0x60C2, 1, 50),
            (0x60C2, 2, -4),
        ):
            with self.subTest(f"{index:04X}h:{sub}"):
                entry = self.entry(node, index, sub)
                self.assertNotEqual(entry.raw, value)
                entry.raw = value
                self.assertEqual(entry.raw, value)
        self.assertEqual(node.sdo[0x6084].raw, 200_000)
        self.assertEqual(node.state, "OPERATION ENABLED")
        for index, word in ((0x1010, b"save"), (0x1011, b"load")):
            with self.assertRaises(canopen.SdoAbortedError) as raised:
                node.sdo.download(index, 1, word)
            self.assertEqual(raised.exception.code, DEVICE_STATE)
        self.assertFalse(os.path.exists(self.saved))

    def test_stored_parameters_are_in_force_after_a_restart(self):
        node = self.node()
        self.assertEqual((node.sdo[0x1010][0].raw, node.sdo[0x1010][1].raw), (1, 1))
        self.assertEqual((node.sdo[0x1011][0].raw, node.sdo[0x1011][1].raw), (1, 1))
        node.sdo[0x6081].raw = 2 * RADIAN
        node.sdo[0x1017].raw = 500
        with self.assertRaises(canopen.SdoAbortedError) as raised:
            node.sdo.download(0x1010, 1, b"sabe")
        self.assertEqual(raised.exception.code, 0x08000020)
        # It waits for the disk.
        node.sdo.RESPONSE_TIMEOUT = 10
        node.sdo.download(0x1010, 1, b"save")
        node = self.restarted()
        self.assertEqual(node.sdo[0x6081].raw, 2 * RADIAN)
        self.assertEqual(node.sdo[0x1017].raw, 500)
        self.assertEqual(node.sdo[0x6083].raw, 400_000)
        node.sdo.RESPONSE_TIMEOUT = 10
        node.sdo.download(0x1011, 1, b"load")
        self.assertEqual(node.sdo[0x6081].raw, 2 * RADIAN)
        node = self.restarted()
        self.assertEqual(node.sdo[0x6081].raw, 20 * RADIAN)
        self.assertEqual(node.sdo[0x1017].raw, 1000)

    def test_lss_finds_the_node_by_its_identity_and_gives_it_another_id(self):
        node = self.node()
        lss = self.network.lss
        self.assertTrue(lss.send_switch_state_selective(*IDENTITY))
        inquiries = (
            CS_INQUIRE_VENDOR_ID,
            CS_INQUIRE_PRODUCT_CODE,
            CS_INQUIRE_REVISION_NUMBER,
            CS_INQUIRE_SERIAL_NUMBER,
        )
        found = tuple(lss.inquire_lss_address(inquiry) for inquiry in inquiries)
        self.assertEqual(found, IDENTITY)
        self.assertEqual(lss.inquire_node_id(), NODE_ID)

        def refused(code, call, *arguments):
            with self.assertRaises(LssError) as raised:
                call(*arguments)
            self.assertEqual(str(raised.exception), f"LSS Error: {code}")

        refused(1, lss.configure_node_id, 0)
        refused(1, lss.configure_node_id, 128)
        refused(1, lss.configure_bit_timing, 2)
        # Parameters that the axis has now are not stored with the node id.
        node.sdo[0x6081].raw = 2 * RADIAN
        lss.configure_node_id(5)
        lss.RESPONSE_TIMEOUT = 10
        lss.store_configuration()
        lss.send_switch_state_global(lss.WAITING_STATE)
        with self.assertRaises(LssError):
            lss.RESPONSE_TIMEOUT = 0.2
            lss.inquire_node_id()
        self.assertEqual(node.sdo[0x6081].raw, 2 * RADIAN, "it has its id until the reset")
        self.network.nmt.send_command(0x82)
        node = self.operational(5)
        node.state = "OPERATION ENABLED"
        self.assertEqual(node.sdo[0x1014].raw, 0x85)
        lss.send_switch_state_global(lss.CONFIGURATION_STATE)
        lss.RESPONSE_TIMEOUT = 10
        self.assertEqual(lss.inquire_node_id(), 5)
        # An axis has power.
        refused(255, lss.store_configuration)
        self.nodes = (5,)
        node = self.restarted(5)
        self.assertEqual(node.sdo[0x6081].raw, 20 * RADIAN)
        node.sdo[0x1017].raw = 500
        node.sdo.RESPONSE_TIMEOUT = 10
        node.sdo.download(0x1010, 1, b"save")
        node = self.restarted(5)
        self.assertEqual(node.sdo[0x1017].raw, 500)
        # Back to that of the board file: nothing is stored any more.
        lss = self.network.lss
        lss.RESPONSE_TIMEOUT = 10
        lss.send_switch_state_global(lss.CONFIGURATION_STATE)
        lss.configure_node_id(NODE_ID)
        lss.store_configuration()
        self.assertFalse(os.path.exists(self.saved))
        self.nodes = (NODE_ID,)
        self.assertEqual(self.restarted().sdo[0x1017].raw, 1000)

    def test_a_reset_of_the_node_takes_changed_parameters_back(self):
        node = self.enabled("PROFILED POSITION")
        node.sdo[0x6081].raw = 2 * RADIAN
        self.network.nmt.send_command(0x82)
        node = self.node()
        self.assertEqual(node.sdo[0x6081].raw, 2 * RADIAN, "reset of communication")
        # The axis has power, and is stopped first.
        node = self.operational()
        node.state = "SWITCH ON DISABLED"
        node.state = "OPERATION ENABLED"
        self.network.nmt.send_command(0x81)
        node = self.node()
        self.assertEqual(node.sdo[0x6081].raw, 20 * RADIAN)
        self.assertEqual(node.sdo[0x6041].raw & 0x4F, 0x08, "its fault is the loss of the master")

    def test_a_move_has_the_profile_velocity_that_was_written(self):
        node = self.enabled("PROFILED POSITION")
        node.sdo[0x6081].raw = 2 * RADIAN
        start = time.monotonic()
        fastest = 0
        node.rpdo[2]["Target position"].raw = self.position(node) + 2 * RADIAN
        node.rpdo[2].transmit()
        node.controlword = 0x1F
        self.wait("set-point acknowledge", lambda: node.statusword & 0x1000)
        node.controlword = 0x0F
        self.wait("end of the acknowledge", lambda: not node.statusword & 0x1000)
        while not node.statusword & 0x0400:
            fastest = max(fastest, self.velocity(node))
            self.assertLess(time.monotonic() - start, 5)
        # 20 rad/s of the board file would take 0.15 s.
        self.assertGreater(time.monotonic() - start, 1)
        self.assertAlmostEqual(fastest, 2 * RADIAN, delta=2 * SLOW)

    def test_refused_parameters_change_nothing(self):
        node = self.node()
        self.refused(node, VALUE_TOO_HIGH, 41 * RADIAN, 0x6081)
        self.refused(node, VALUE_TOO_LOW, 0, 0x6081)
        # Above the deceleration of the quick stop.
        self.refused(node, INCOMPATIBLE, 900_000, 0x6083)
        self.refused(node, VALUE_TOO_LOW, 0, 0x60C2, 1)
        for index, sub, value in (
            (0x605A, 0, 6),
            (0x607D, 1, -RADIAN),
            (0x607F, 0, 50 * RADIAN),
            (0x6084, 0, 500_000),
            (0x6098, 0, 35),
        ):
            self.refused(node, READ_ONLY, value, index, sub)

    def test_the_states_of_cia_402_within_the_time_outs_of_p402(self):
        self.walk_through_the_states(self.operational())

    def test_controlwords_by_sdo_without_a_pause_are_all_taken(self):
        node = self.operational()
        for _ in range(20):
            # Each of them acts only in the state that the one before it has reached.
            for controlword in (0x06, 0x07, 0x0F):
                node.sdo[0x6040].raw = controlword
            self.wait("operation enabled", lambda: node.sdo[0x6041].raw & 0x6F == 0x27, 0.5)
            node.sdo[0x6040].raw = 0
            self.wait("no power", lambda: node.sdo[0x6041].raw & 0x4F == 0x40, 0.5)

    def test_homing_and_profile_position(self):
        node = self.enabled("PROFILED POSITION")
        self.move_to(node, 2 * RADIAN)
        self.move_to(node, -RADIAN)
        self.assertTrue(node.homing(timeout=5))
        self.assertTrue(node.is_homed())
        # Method 37: where the axis is.
        self.assertAlmostEqual(self.position(node), HOME * RADIAN, delta=NEAR)

    def test_profile_velocity_and_halt(self):
        node = self.enabled("PROFILED VELOCITY")
        node.rpdo[3]["Target velocity"].raw = 3 * RADIAN
        node.rpdo[3].transmit()
        self.wait("motion", lambda: abs(self.velocity(node) - 3 * RADIAN) < SLOW)
        node.controlword = 0x10F
        self.wait("halt", lambda: abs(self.velocity(node)) < SLOW)
        halted = self.position(node)
        time.sleep(0.2)
        self.assertAlmostEqual(self.position(node), halted, delta=NEAR)

    def test_cyclic_synchronous_modes_follow_sync(self):
        node = self.operational()
        self.follow_sync(node)
        start = self.position(node)
        node.op_mode = "CYCLIC SYNCHRONOUS POSITION"
        node.state = "OPERATION ENABLED"
        for step in range(100):
            node.rpdo[2]["Target position"].raw = start + step * STEP
            node.rpdo[2].transmit()
            self.assertIsNotNone(node.tpdo[2].wait_for_reception(0.2))
        end = start + 99 * STEP
        actual = node.tpdo[2]["Position actual value"]
        self.wait("the last set-point", lambda: abs(actual.raw - end) < NEAR)
        node.rpdo[2]["Target velocity"].raw = -RADIAN
        node.rpdo[2].transmit()
        node.op_mode = "CYCLIC SYNCHRONOUS VELOCITY"
        self.wait("velocity", lambda: abs(self.velocity(node) + RADIAN) < SLOW)
        self.assertEqual(node.state, "OPERATION ENABLED")

    def test_the_axis_holds_while_sync_is_missing_and_follows_the_next_one(self):
        node = self.operational()
        self.follow_sync(node)
        node.op_mode = "CYCLIC SYNCHRONOUS VELOCITY"
        node.state = "OPERATION ENABLED"
        node.rpdo[2]["Target velocity"].raw = RADIAN
        node.rpdo[2].transmit()
        demand = node.sdo[0x606B]
        self.wait("velocity", lambda: demand.raw == RADIAN)
        word = node.sdo[0x6041]
        self.assertTrue(word.raw & 0x1000)
        self.assertEqual(node.sdo[0x60FD].raw, 0)
        measured = node.sdo[0x2001]
        self.assertAlmostEqual(measured[5].raw, 10_000_000, delta=5_000_000)
        self.assertGreater(measured[4].raw, 2)
        measured[4].raw = 0
        self.network.sync.stop()
        self.wait("a hold", lambda: not word.raw & 0x1000)
        self.wait("rest", lambda: demand.raw == 0)
        self.assertEqual(measured[9].raw, 1)
        self.network.sync.start(0.01)
        self.wait("velocity", lambda: demand.raw == RADIAN)
        self.assertEqual(word.raw & 0x106F, 0x1027)
        self.assertEqual(node.emcy.log, [])

    def test_a_following_error_is_reported_by_emcy_and_reset(self):
        node = self.operational()
        self.follow_sync(node)
        node.op_mode = "CYCLIC SYNCHRONOUS POSITION"
        node.state = "OPERATION ENABLED"
        # 5 rad within the 10 ms of the interpolation.
        target = node.rpdo[2]["Target position"].raw
        node.rpdo[2]["Target position"].raw = target + 5 * RADIAN
        node.rpdo[2].transmit()
        self.wait("EMCY", lambda: node.emcy.log)
        self.wait("a fault", node.is_faulted)
        self.assertEqual(node.emcy.log[0].code, 0x8611)
        self.assertEqual(node.sdo[0x603F].raw, 0x8611)
        node.rpdo[2]["Target position"].raw = self.position(node)
        node.rpdo[2].transmit()
        node.reset_from_fault()
        self.assertEqual(node.state, "OPERATION ENABLED")
        self.wait("end of the error", lambda: node.emcy.active == [])
        self.assertEqual(node.sdo[0x1001].raw, 0)

    def test_the_loss_of_the_masters_heartbeat_stops_the_axis(self):
        node = self.operational()
        node.sdo[0x1016][1].raw = MASTER_ID << 16 | 300
        beat = self.network.send_periodic(0x700 + MASTER_ID, b"\x05", 0.05)
        node.state = "OPERATION ENABLED"
        time.sleep(0.5)
        self.assertEqual(node.emcy.log, [])
        beat.stop()
        self.wait("EMCY", lambda: node.emcy.log)
        emergency = node.emcy.log[0]
        self.assertEqual((emergency.code, emergency.data[0]), (0x8130, MASTER_ID))
        self.wait("no power", lambda: node.sdo[0x6041].raw & 0x6F != 0x27)
        self.wait("pre-operational", lambda: node.nmt.state == "PRE-OPERATIONAL")


class Pair(Base):
    """Two controllers with one axis each on one bus."""

    nodes = (1, 2)

    def board(self, number):
        path = super().board(number)
        with open(path, "a") as file:
            file.write(f'[link.local]\npath = "{self.link(number)}"\n')
        return path

    def link(self, number):
        return os.path.join(self.folder, f"link{number}")

    def test_two_controllers_follow_one_sync(self):
        nodes = [self.operational(number) for number in self.nodes]
        for node in nodes:
            self.follow_sync(node)
        starts = [self.position(node) for node in nodes]

        def send(offset):
            for node, start in zip(nodes, starts):
                node.rpdo[2]["Target position"].raw = start + offset
                node.rpdo[2].transmit()
            for node in nodes:
                self.assertIsNotNone(node.tpdo[2].wait_for_reception(0.2))

        for node in nodes:
            node.op_mode = "CYCLIC SYNCHRONOUS POSITION"
            node.state = "OPERATION ENABLED"
        machines = [steadfast.connect(self.link(number)) for number in self.nodes]
        tracks = [[], []]

        def record(machine, track):
            for frame in machine.frames():
                track.append((frame.time_ns, frame["x.setpoint"]))

        threads = [
            threading.Thread(target=record, args=pair, daemon=True)
            for pair in zip(machines, tracks)
        ]
        for thread in threads:
            thread.start()
        for step in range(200):
            send(step * STEP)
        end = 199 * STEP
        for node, start in zip(nodes, starts):
            actual = node.tpdo[2]["Position actual value"]
            self.wait("the last set-point", lambda: abs(actual.raw - start - end) < NEAR)
            self.assertEqual(node.emcy.log, [])
        for node in nodes:
            node.state = "SWITCHED ON"
        self.network.sync.stop()
        self.network.disconnect()
        self.end_processes()
        for thread in threads:
            thread.join(10)
        for machine in machines:
            machine.close()
        first, second = tracks
        offset = (starts[0] - starts[1]) / RADIAN
        period_us = 1000
        phase_us = (second[0][0] - first[0][0]) / 1e3 % period_us
        # The set-point of the second controller at the time of each cycle of the first one,
        # between its own cycles.
        worst = 0.0
        at = 0
        for now, setpoint in first:
            while at + 1 < len(second) and second[at + 1][0] <= now:
                at += 1
            if at + 1 == len(second) or second[at][0] > now:
                continue
            (before, low), (after, high) = second[at : at + 2]
            if None in (setpoint, low, high):
                continue
            other = low + (high - low) * (now - before) / (after - before)
            worst = max(worst, abs(setpoint - other - offset))
        print(
            f"two controllers: phase {phase_us:.0f} us of {period_us} us; set-points at most "
            f"{worst * RADIAN:.0f} of 10^-6 rad apart at {STEP / 10_000:.1f} rad/s"
        )


class Locked(unittest.TestCase):
    """What each link locks, of the static firmware."""

    def test_no_combination_of_links_locks_more_than_the_limit(self):
        if not is_static(firmware):
            self.skipTest("the firmware is dynamically linked")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        board, report = (os.path.join(folder.name, name) for name in ("board.toml", "report.json"))
        local = f'[link.local]\npath = "{folder.name}/link"\n'
        saved = f'[parameters]\nfile = "{folder.name}/saved.toml"\n'
        with open(os.path.join(HERE, "../../board/sim/board.toml")) as file:
            alone = file.read()
        commanded = alone.replace(CHANGES[-1][0], "")
        command, can = LINK.split("[link.can]")
        can = "[link.can]" + can
        found = []
        for name, text in (
            ("none", alone),
            ("local", commanded + command + local),
            ("CAN", commanded + command + can),
            ("both", commanded + command + local + can),
            ("both and [parameters]", commanded + command + local + can + saved),
        ):
            with open(board, "w") as file:
                file.write(text)
            subprocess.run(
                [firmware, "run", "--board", board, "--cycles", "100", "--quiet", "--json", report],
                check=True,
            )
            with open(report) as file:
                locked = json.load(file)["memory"]["vm_lck_kb"]
            self.assertLessEqual(locked, MOST_LOCKED_KB, name)
            found.append(f"{name} {locked}")
        print("locked with links, kB: " + ", ".join(found))


class NoId(Base):
    """A controller without a node id."""

    nodes = (NO_ID,)

    def test_lss_finds_a_node_without_an_id_and_the_axis_moves(self):
        lss = self.network.lss
        # No answer means that a bit is 1.
        lss.RESPONSE_TIMEOUT = 0.3
        # A node without an id does not say when it is on the bus.
        end = time.monotonic() + 20
        found, identity = lss.fast_scan()
        while not found:
            self.assertLess(time.monotonic(), end, "no slave without an id")
            found, identity = lss.fast_scan()
        self.assertEqual(identity, list(IDENTITY))
        self.assertEqual(lss.inquire_node_id(), NO_ID)
        self.assertEqual(self.network.scanner.nodes, [])
        lss.configure_node_id(NODE_ID)
        lss.send_switch_state_global(lss.WAITING_STATE)
        node = self.enabled("PROFILED POSITION")
        self.move_to(node, self.position(node) + RADIAN)
        self.assertEqual(lss.fast_scan(), (False, None))


class BusYml(Base):
    # bus.yml has homing method 0.

    homing = ""

    def test_an_axis_configured_by_bus_yml_follows_csp(self):
        count = self.configure()
        print(f"{count} downloads of the concise DCF")
        node = self.node()
        self.assertEqual(node.sdo[0x6081].raw, 2 * RADIAN)
        self.assertEqual(node.sdo[0x6098].raw, 0)
        for pdos in (node.tpdo, node.rpdo):
            pdos.read()
        command, target = node.rpdo[1], node.rpdo[2]
        status, actual = node.tpdo[1], node.tpdo[2]
        node.nmt.state = "OPERATIONAL"
        self.network.sync.start(0.01)
        self.addCleanup(self.network.sync.stop)
        self.assertIsNotNone(actual.wait_for_reception(1))
        start = actual["Position actual value"].raw
        word = status["Statusword"]

        def send(controlword, position):
            command["Controlword"].raw = controlword
            command["Modes of operation"].raw = 8
            target["Target position"].raw = position
            command.transmit()
            target.transmit()
            self.assertIsNotNone(actual.wait_for_reception(0.2))

        for controlword, bits in ((0x06, 0x21), (0x07, 0x23), (0x0F, 0x27)):
            end = time.monotonic() + 1
            while word.raw & 0x6F != bits:
                send(controlword, start)
                self.assertLess(time.monotonic(), end, f"{word.raw:04X}h")
        for step in range(1, 101):
            send(0x0F, start + step * STEP)
        position = actual["Position actual value"]
        self.wait("the last set-point", lambda: abs(position.raw - start - 500_000) < NEAR)
        self.assertEqual(word.raw & 0x6F, 0x27)
        self.assertEqual(node.emcy.log, [])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    firmware, bus = (sys.argv.pop(1) for _ in range(2))
    firmware = os.path.abspath(firmware)
    preload = os.path.isfile(bus)
    if preload:
        bus = os.path.abspath(bus)
    # The EDS is uploaded as a block.
    master.program = firmware
    # p402 waits for threads that it did not start itself.
    warnings.simplefilter("error", DeprecationWarning)
    unittest.main()
