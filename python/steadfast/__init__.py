"""Reads the signals of a steadfast controller and commands it, on the same machine.

    import steadfast

    with steadfast.connect() as machine:
        print(machine.read("x.position"))
        with machine.command("command.speed") as speed:
            speed.write(1.5)
        machine.change({"x.gains.kp": 12.0})
        machine.force("output.lamp", True, 10.0)

The controller offers this with a table `[link.local]` in its board file. Signals are read from
memory that the controller shares (any signal, every cycle); commands are packets on a Unix
socket. A command that is not refreshed within its timeout is void: `Command` refreshes it from a
thread of its own while it is open, so it ends with this program, however that ends.

Standard library only. Errors: `Refused` for what the controller refuses, `OSError` for the
socket.
"""

import glob
import mmap
import os
import socket
import struct
import threading
import time

__all__ = ["connect", "Client", "Command", "Refused", "Frame", "Parameter", "Signal"]

_MAGIC = int.from_bytes(b"steadfst", "big")
_VERSION = 1
_ENTRY = 24
_HEAD = struct.Struct("=IIII")
_WORD = struct.Struct("=Q")
_HELLO, _CLAIM, _RELEASE, _WRITE, _REFRESH, _REVOKE, _PARAMETER, _CHANGE = range(8)
_FORCE, _UNFORCE, _FORCED = range(8, 11)
_SAVE, _KEPT = range(11, 13)
_ALL = 0x7FFFFFFF
# Longest wait for a disk, s.
_DISK = 60.0
_MAX_PACKET = 1024


class Refused(Exception):
    """The controller refuses a request; the text says why."""


class Signal:
    """A signal: its name, unit, limits and group of commands (`None` if it is no command)."""

    def __init__(self, name, unit, kind, word, bit, group, limits):
        self.name, self.unit, self.limits = name, unit, limits
        self.is_flag = kind == 1
        self.group = group
        self._word, self._bit = word, bit

    def __repr__(self):
        return f"Signal({self.name!r}, {self.unit!r})"


class Parameter:
    """A parameter of a control law: its name, unit, present value, value at the start, limits.

    Other parameters may limit it further."""

    def __init__(self, number, name, unit, value, start, limits):
        self._number = number
        self.name, self.unit = name, unit
        self.value, self.start, self.limits = value, start, limits

    def __repr__(self):
        return f"Parameter({self.name!r}, {self.value!r}, {self.unit!r})"


class Frame:
    """The signals of one cycle: `frame["x.position"]`, `None` for one without a value."""

    def __init__(self, signals, words):
        self._signals, self._words = signals, words
        self.slot = words[1]
        self.time_ns = words[2]

    def __getitem__(self, name):
        signal = self._signals[name]
        word = self._words[signal._word]
        if signal.is_flag:
            if not word >> (32 + signal._bit) & 1:
                return None
            return bool(word >> signal._bit & 1)
        value = struct.unpack("=d", _WORD.pack(word))[0]
        return None if value != value else value


def find():
    """The path of the only running controller's socket.

    Looks in the folders in which a controller opens it without a `path` in its board file."""
    folders = ["/run/steadfast", os.environ.get("XDG_RUNTIME_DIR"), "/tmp"]
    found = []
    for folder in filter(None, folders):
        for path in glob.glob(os.path.join(folder, "steadfast-*.sock")):
            # In /tmp every user can make a socket of this name.
            if os.stat(path).st_uid in (0, os.getuid()) or folder.startswith("/run"):
                found.append(path)
    if len(found) != 1:
        what = "no controller" if not found else "several controllers: " + ", ".join(found)
        raise FileNotFoundError(f"{what}; name the socket, see [link.local] path")
    return found[0]


def connect(path=None, timeout=2.0):
    """Connects to the controller whose socket is `path`, or to the only one that runs."""
    return Client(path or find(), timeout)


class Client:
    """A connection to a controller. Close it, or use it in a `with` statement."""

    def __init__(self, path, timeout=2.0):
        self._lock = threading.Lock()
        self._number = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
            self._map(*socket.recv_fds(self._socket, _MAX_PACKET, 1)[:2])
        except BaseException:
            self._socket.close()
            raise

    def _map(self, packet, files):
        kind, version, status, self.number = _HEAD.unpack_from(packet)
        if status != 0:
            raise Refused(packet[_HEAD.size :].decode())
        if not files or version != _VERSION:
            raise Refused(f"the controller speaks version {version}, this client {_VERSION}")
        try:
            size = os.fstat(files[0]).st_size
            self._memory = mmap.mmap(files[0], size, mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(files[0])
        header = struct.unpack_from("=16Q", self._memory)
        if header[0] != _MAGIC or header[1] != _VERSION:
            raise Refused("the memory of the controller has another layout")
        _, _, self._words, self._frames, self._ring, at, count, groups, group_count = header[:9]
        # Frames before it are from before the connection.
        self._start = header[9]
        self.period = header[12] / 1e9
        self.pid = header[11]
        self.signals = {}
        for number in range(count):
            signal = self._signal((at + _ENTRY * number) * 8)
            self.signals[signal.name] = signal
        self.groups = {}
        for number in range(group_count):
            where = (groups + _ENTRY * number) * 8
            packed, timeout = struct.unpack_from("=QQ", self._memory, where)
            name = self._text(where + 64, 128)
            self.groups[name] = (number, packed >> 8 & 0xFF, timeout / 1e9)

    def _text(self, at, most):
        return self._memory[at : at + most].split(b"\0", 1)[0].decode()

    def _signal(self, at):
        packed, low, high = struct.unpack_from("=Qdd", self._memory, at)
        group = packed >> 16 & 0xFFFF
        return Signal(
            self._text(at + 64, 128),
            self._text(at + 32, 32),
            packed & 0xFF,
            packed >> 32,
            packed >> 8 & 0xFF,
            group - 1 if group else None,
            (low, high),
        )

    @property
    def running(self):
        """Whether the loop runs."""
        return struct.unpack_from("=Q", self._memory, 80)[0] == 1

    def _head(self):
        return struct.unpack_from("=Q", self._memory, 72)[0]

    def _frame(self, number):
        """The frame with this number, or `None` if it is overwritten already."""
        at = (self._ring + number % self._frames * self._words) * 8
        words = struct.unpack_from(f"={self._words}Q", self._memory, at)
        after = struct.unpack_from("=Q", self._memory, at)[0]
        if words[0] != 2 * number + 2 or after != words[0]:
            return None
        return Frame(self.signals, words)

    def frame(self, timeout=1.0):
        """The newest frame. Waits for the first one after the connection: the loop writes frames
        only while a client is connected."""
        end = time.monotonic() + timeout
        while True:
            head = self._head()
            frame = self._frame(head - 1) if head > self._start else None
            if frame:
                return frame
            if time.monotonic() > end:
                raise TimeoutError("the loop writes no frames")
            time.sleep(self.period)

    def frames(self, count=None):
        """Each frame from now on, in order, without a gap unless this program is too slow.

        Ends when the loop ends, or after `count` frames."""
        number = self._head()
        done = 0
        while count is None or done < count:
            head = self._head()
            if number >= head:
                if not self.running:
                    return
                time.sleep(self.period)
                continue
            number = max(number, head - self._frames + 1)
            frame = self._frame(number)
            number += 1
            if frame:
                done += 1
                yield frame

    def read(self, name):
        """The newest value of the signal `name`; `None` if it has no value."""
        return self.frame()[name]

    def _send(self, kind, target=0, values=()):
        self._number = self._number + 1 & 0xFFFFFFFF
        head = _HEAD.pack(kind, self._number, target, len(values))
        self._socket.send(head + struct.pack(f"={len(values)}d", *values))
        return self._number

    def _ask(self, kind, target=0, values=()):
        packet = self._answer(kind, target, values)
        _, _, status, value = _HEAD.unpack_from(packet)
        if status != 0:
            raise Refused(packet[_HEAD.size :].decode())
        return value

    def _answer(self, kind, target=0, values=()):
        with self._lock:
            number = self._send(kind, target, values)
            packet = self._socket.recv(_MAX_PACKET)
            if not packet:
                raise ConnectionResetError("the controller closed the connection")
            if _HEAD.unpack_from(packet)[1] != number:
                raise ConnectionError("an answer to another request")
            return packet

    def _refresh(self):
        with self._lock:
            self._send(_REFRESH)

    def command(self, group):
        """Becomes the owner of the commands of `group`: an axis, or `command.X`."""
        if group not in self.groups:
            known = ", ".join(self.groups) or "none"
            raise KeyError(f"{group} is not commanded by links; commanded are: {known}")
        return Command(self, group)

    def stop(self, group):
        """Takes the commands of `group` from their owner, also if it is another client: a stop."""
        self._ask(_REVOKE, self.groups[group][0])

    def parameters(self):
        """The parameters that may change while the loop runs, by their names."""
        found = {}
        number = 0
        while True:
            packet = self._answer(_PARAMETER, number)
            _, _, status, count = _HEAD.unpack_from(packet)
            if status == 0:
                value, start, *limits = struct.unpack_from("=4d", packet, _HEAD.size)
                name, unit = packet[_HEAD.size + 32 :].decode().split("\0")
                found[name] = Parameter(number, name, unit, value, start, tuple(limits))
            number += 1
            if number >= count:
                return found

    def change(self, values, from_start=False):
        """Changes parameters, `{name: value}`, all or none: the loop takes them over between two
        cycles. With `from_start` all others get their values of the start."""
        known = self.parameters()
        pairs = []
        for name, value in values.items():
            if name not in known:
                raise KeyError(f"{name} is no parameter; parameters are: {', '.join(known)}")
            pairs += [known[name]._number, value]
        self._ask(_CHANGE, int(from_start), pairs)

    def _signal_number(self, name):
        if name not in self.signals:
            raise KeyError(f"there is no signal {name}")
        return list(self.signals).index(name)

    def force(self, name, value, seconds):
        """Overrides the input or output `name` for at most `seconds`, to commission a machine.

        It ends with this connection, with a fault and with a quick stop: see docs/forcing.md."""
        self._ask(_FORCE, self._signal_number(name), (float(value), float(seconds)))

    def unforce(self, name=None):
        """Ends the force of the signal `name`, or all, whoever asked for them."""
        self._ask(_UNFORCE, _ALL if name is None else self._signal_number(name))

    def forces(self):
        """The forced signals: `{name: (value, seconds left, client)}`."""
        found = {}
        place, count = 0, 1
        while place < count:
            packet = self._answer(_FORCED, place)
            _, _, status, count = _HEAD.unpack_from(packet)
            if status == 0:
                value, left, client, _ = struct.unpack_from("=4d", packet, _HEAD.size)
                name = packet[_HEAD.size + 32 :].split(b"\0", 1)[0].decode()
                found[name] = (value, left, int(client))
            place += 1
        return found

    def kept(self, name):
        """The value of a parameter in the board file, and its value at the next start."""
        number = self.parameters()[name]._number
        return struct.unpack_from("=2d", self._answer(_KEPT, number), _HEAD.size)

    def save(self, defaults=False):
        """Saves the parameters that differ from the board file for the next start, or, with
        `defaults`, removes the saved ones. Returns how many are saved now. Refused while an axis has
        power. Waits for the disk."""
        patience = self._socket.gettimeout()
        self._socket.settimeout(_DISK)
        try:
            return self._ask(_SAVE, int(defaults))
        finally:
            self._socket.settimeout(patience)

    def close(self):
        """Closes the connection. Commands of open groups are void at once."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Command:
    """The commands of a group. Refreshes them until it is closed."""

    def __init__(self, client, group):
        self._client = client
        self._target, self.count, self.timeout = client.groups[group]
        client._ask(_CLAIM, self._target)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _keep(self):
        while not self._closed.wait(self.timeout / 4):
            try:
                self._client._refresh()
            except OSError:
                return

    def write(self, *values):
        """Sets all commands of the group. Refused as a whole if one is out of its limits.

        With another controlword than before it returns when the loop has taken it, 1 to 2 periods
        later, so that no controlword is lost; refused after 1 s in which the loop did not.
        """
        self._client._ask(_WRITE, self._target, values)

    def close(self):
        """Gives the group up."""
        self._closed.set()
        self._thread.join()
        self._client._ask(_RELEASE, self._target)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        # Without a connection there is nothing to give up.
        try:
            self.close()
        except OSError:
            if kind is None:
                raise
