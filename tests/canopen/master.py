"""Masters that were written by others against the CANopen node.

    master.py CANOPEN_NODE|PORT [TEST...]

python-canopen with its profile p402, unmodified, and dcfchk and dcfgen of dcf-tools, which are
Lely's. CANOPEN_NODE is the example of the testbed: the node over simulated drives behind a serial
CAN adapter on a TCP port, so no CAN interface is needed. tests/canopen/requirements.txt has the
packages. With a port, a node with two axes is behind an adapter there, and is reset
before each test; blocks are not used, since an emulated bus delivers their frames in no time and
its controllers lose some.
"""

import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import warnings

import can
import canopen
from canopen.objectdictionary import ODVariable
from canopen.objectdictionary.eds import import_eds
from canopen.profiles.p402 import BaseNode402

NODE_ID = 1
MASTER_ID = 127
INVALID = 1 << 31
RADIAN = 1_000_000
HERE = os.path.dirname(os.path.abspath(__file__))
VISIBLE_STRING = 9
# s; the default of 0.3 s is the pause of a busy test machine at times.
canopen.sdo.SdoClient.RESPONSE_TIMEOUT = 2
NO_DATA = 0x08000024

program = None
# The EDS as the node serves it, uploaded once for each number of axes.
served = {}


def upload_eds(network, block):
    """1021h by SDO, without any EDS."""
    client = canopen.sdo.SdoClient(
        0x600 + NODE_ID, 0x580 + NODE_ID, canopen.ObjectDictionary()
    )
    client.network = network
    network.subscribe(0x580 + NODE_ID, client.on_response)
    try:
        with client.open(0x1021, 0, "rb", block_transfer=block) as file:
            return file.read()
    finally:
        network.unsubscribe(0x580 + NODE_ID)


class Case(unittest.TestCase):
    """A node with `axes` axes, and python-canopen as the master."""

    axes = 1

    def walk_through_the_states(self, node):
        for state in (
            "READY TO SWITCH ON",
            "SWITCHED ON",
            "OPERATION ENABLED",
            "SWITCHED ON",
            "READY TO SWITCH ON",
            "SWITCH ON DISABLED",
            "OPERATION ENABLED",
        ):
            node.state = state
            self.assertEqual(node.state, state)

    def setUp(self):
        port = int(program) if program.isdigit() else self.start_program()
        bus = can.Bus(
            interface="slcan", channel=f"socket://127.0.0.1:{port}", sleep_after_open=0
        )
        # Without it a frame waits up to 200 ms for the acknowledgement of the last one.
        bus.serialPortOrig._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.network = canopen.Network(bus)
        self.network.connect()
        self.addCleanup(self.network.disconnect)
        if program.isdigit():
            self.network.nmt.send_command(0x81)
            time.sleep(0.5)

    def start_program(self):
        self.process = subprocess.Popen(
            [program, str(self.axes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end_process)
        return int(self.process.stdout.readline())

    def end_process(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def node(self, number=NODE_ID):
        """The node, after its boot-up, with the dictionary that it serves itself."""
        if self.axes not in served:
            served[self.axes] = upload_eds(self.network, block=not program.isdigit()).decode("ascii")
        dictionary = import_eds(io.StringIO(served[self.axes]), number)
        node = BaseNode402(number, dictionary)
        self.network.add_node(node)
        node.nmt.wait_for_heartbeat()
        return node

    def operational(self, number=NODE_ID):
        """The node, operational, with the state machine of p402."""
        node = self.node(number)
        node.setup_402_state_machine()
        node.nmt.state = "OPERATIONAL"
        return node

    def wait(self, what, condition, seconds=3):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.005)

    def configure(self):
        """Configures the node by bus.yml as Lely's master does: the number of downloads."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        with open(os.path.join(folder, "steadfast.eds"), "wb") as file:
            file.write(upload_eds(self.network, block=not program.isdigit()))
        shutil.copy(os.path.join(HERE, "bus.yml"), folder)
        tools = os.path.dirname(sys.executable)

        def run(*words):
            done = subprocess.run(
                words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            self.assertEqual((done.returncode, done.stdout), (0, ""))

        run(os.path.join(tools, "dcfchk"), "-n", str(NODE_ID), "steadfast.eds")
        run(os.path.join(tools, "dcfgen"), "-r", "bus.yml")
        # The concise DCF that Lely's master sends while it boots the node, in its order.
        with open(os.path.join(folder, "joint_1.bin"), "rb") as file:
            concise = file.read()
        client = canopen.sdo.SdoClient(
            0x600 + NODE_ID, 0x580 + NODE_ID, canopen.ObjectDictionary()
        )
        client.network = self.network
        self.network.subscribe(0x580 + NODE_ID, client.on_response)
        (count,) = struct.unpack_from("<L", concise)
        at = 4
        written = {}
        for _ in range(count):
            index, sub, size = struct.unpack_from("<HBL", concise, at)
            at += 7
            data = concise[at : at + size]
            at += size
            client.download(index, sub, data)
            written[(index, sub)] = data
        self.assertEqual(at, len(concise))
        for (index, sub), data in written.items():
            self.assertEqual(client.upload(index, sub), data, f"{index:04X}h:{sub}")
        self.network.unsubscribe(0x580 + NODE_ID)
        return count


class Dictionary(Case):
    axes = 2

    def test_all_objects_of_the_served_eds_are_read_back(self):
        text = upload_eds(self.network, block=False)
        if not program.isdigit():
            self.assertEqual(text, upload_eds(self.network, block=True))
        dictionary = import_eds(io.StringIO(text.decode("ascii")), NODE_ID)
        node = canopen.RemoteNode(NODE_ID, dictionary)
        self.network.add_node(node)
        read = 0
        for obj in dictionary.values():
            # Data types for gaps in PDOs are no objects of the node; 1021h was read above.
            if obj.index < 0x1000 or obj.index == 0x1021:
                continue
            variables = [obj] if isinstance(obj, ODVariable) else obj.values()
            for var in variables:
                name = f"{var.index:04X}h:{var.subindex}"
                try:
                    data = node.sdo.upload(var.index, var.subindex)
                except canopen.SdoAbortedError as error:
                    # The history of errors is empty.
                    self.assertEqual((var.index, error.code), (0x1003, NO_DATA), name)
                    continue
                read += 1
                if var.data_type != VISIBLE_STRING:
                    self.assertEqual(len(data) * 8, len(var), name)
                if var.default is not None:
                    self.assertEqual(var.decode_raw(data), var.default, name)
        print(f"{len(text)} bytes of EDS, {read} values read")
        self.assertGreater(read, 350)

    def test_dcfchk_and_dcfgen_take_the_eds_and_the_node_takes_the_configuration(self):
        count = self.configure()
        print(f"{count} downloads of the concise DCF")
        self.assertGreater(count, 25)


class States(Case):
    def test_the_states_of_cia_402_within_the_time_outs_of_p402(self):
        self.walk_through_the_states(self.operational())

    def test_a_fault_is_reported_by_emcy_and_reset(self):
        node = self.operational()
        node.state = "OPERATION ENABLED"
        node.rpdo[1]["Controlword"].raw = 0x800F
        node.rpdo[1].transmit()
        self.wait("EMCY", lambda: node.emcy.log)
        [emergency] = node.emcy.log
        self.assertEqual((emergency.code, emergency.register), (0x8611, 0x21))
        self.wait("a fault", node.is_faulted)
        self.assertEqual(node.sdo[0x603F].raw, 0x8611)
        node.reset_from_fault()
        self.assertEqual(node.state, "OPERATION ENABLED")
        self.wait("end of the error", lambda: node.emcy.active == [])
        self.assertEqual(node.sdo[0x1001].raw, 0)

    def test_the_loss_of_the_masters_heartbeat_is_a_communication_error(self):
        node = self.operational()
        node.sdo[0x1016][1].raw = MASTER_ID << 16 | 200
        beat = self.network.send_periodic(0x700 + MASTER_ID, b"\x05", 0.05)
        node.state = "OPERATION ENABLED"
        time.sleep(0.5)
        self.assertEqual(node.emcy.log, [])
        beat.stop()
        self.wait("EMCY", lambda: node.emcy.log)
        [emergency] = node.emcy.log
        self.assertEqual((emergency.code, emergency.data[0]), (0x8130, MASTER_ID))
        self.wait("no power", lambda: node.sdo[0x6041].raw & 0x6F != 0x27)
        self.wait("pre-operational", lambda: node.nmt.state == "PRE-OPERATIONAL")


class Motion(Case):
    def enabled(self, mode):
        node = self.operational()
        node.op_mode = mode
        self.assertEqual(node.op_mode, mode)
        node.state = "OPERATION ENABLED"
        return node

    def position(self, node):
        return node.sdo[0x6064].raw

    def test_profile_position(self):
        node = self.enabled("PROFILED POSITION")
        node.rpdo[2]["Target position"].raw = 2 * RADIAN
        node.rpdo[2].transmit()
        node.controlword = 0x1F
        self.wait("set-point acknowledge", lambda: node.statusword & 0x1000)
        node.controlword = 0x0F
        self.wait("target reached", lambda: node.statusword & 0x1400 == 0x0400)
        self.assertEqual(self.position(node), 2 * RADIAN)

    def test_profile_velocity_and_halt(self):
        node = self.enabled("PROFILED VELOCITY")
        node.rpdo[3]["Target velocity"].raw = -3 * RADIAN
        node.rpdo[3].transmit()
        self.wait("motion", lambda: node.sdo[0x606C].raw == -3 * RADIAN)
        node.controlword = 0x10F
        self.wait("halt", lambda: node.sdo[0x606C].raw == 0)

    def test_homing(self):
        node = self.enabled("HOMING")
        self.assertTrue(node.homing(timeout=5))
        self.assertTrue(node.is_homed())

    def test_cyclic_synchronous_modes_follow_sync(self):
        node = self.operational()
        for number in (1, 2):
            pdo = node.tpdo[number]
            pdo.trans_type = 1
            pdo.save()
        setpoint = node.rpdo[2]
        setpoint.trans_type = 1
        setpoint.clear()
        setpoint.add_variable("Target position")
        setpoint.add_variable("Target velocity")
        setpoint.save()
        node.sdo[0x60C2][1].raw = 10
        node.sdo[0x1006].raw = 10_000
        self.network.sync.start(0.01)
        self.addCleanup(self.network.sync.stop)
        node.op_mode = "CYCLIC SYNCHRONOUS POSITION"
        node.state = "OPERATION ENABLED"
        for step in range(50):
            setpoint["Target position"].raw = step * 1000
            setpoint.transmit()
            self.assertIsNotNone(node.tpdo[2].wait_for_reception(0.2))
        self.wait("the last setpoint", lambda: node.tpdo[2]["Position actual value"].raw == 49_000)
        node.op_mode = "CYCLIC SYNCHRONOUS VELOCITY"
        setpoint["Target velocity"].raw = RADIAN
        setpoint.transmit()
        self.wait("velocity", lambda: node.tpdo[2]["Velocity actual value"].raw == RADIAN)
        self.assertEqual(node.sdo[0x2001][3].raw, 0, "missed SYNC messages")
        self.assertAlmostEqual(node.sdo[0x2001][1].raw, 10_000, delta=9_000)


class Second(Case):
    axes = 2

    def test_the_second_axis_is_at_800h_and_its_pdos_at_64(self):
        node = self.node()
        node.nmt.state = "OPERATIONAL"
        node.rpdo[65].read()
        self.assertFalse(node.rpdo[65].enabled)
        self.assertEqual([var.index for var in node.rpdo[65]], [0x6840, 0x6860])
        node.rpdo[65].cob_id = 0x210
        node.rpdo[65].enabled = True
        node.rpdo[65].save()
        for word in (6, 7, 15):
            node.rpdo[65][0x6840].raw = word
            node.rpdo[65].transmit()
        self.wait("power", lambda: node.sdo[0x6841].raw & 0x6F == 0x27)
        self.assertEqual(node.sdo[0x6041].raw & 0x6F, 0x40 & 0x6F)

    def test_a_configuration_is_stored_and_restored(self):
        node = self.node()
        states = []
        node.nmt.add_heartbeat_callback(states.append)
        node.sdo[0x1017].raw = 200
        node.sdo[0x1010][1].raw = int.from_bytes(b"save", "little")
        node.nmt.state = "RESET COMMUNICATION"
        self.wait("boot-up", lambda: states.count(0) == 1)
        self.assertEqual(node.sdo[0x1017].raw, 200)
        node.sdo[0x1011][1].raw = int.from_bytes(b"load", "little")
        node.nmt.state = "RESET"
        self.wait("boot-up", lambda: states.count(0) == 2)
        self.assertEqual(node.sdo[0x1017].raw, 1000)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = sys.argv.pop(1)
    # p402 waits for threads that it did not start itself.
    warnings.simplefilter("error", DeprecationWarning)
    unittest.main()
