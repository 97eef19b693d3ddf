"""Reads and commands a controller with the Python client."""

import sys
import time

import steadfast

with steadfast.connect(sys.argv[1]) as machine, steadfast.connect(sys.argv[1]) as other:
    assert abs(machine.period - 0.001) < 1e-12 and machine.running
    assert machine.read("input.emergency_stop") is False
    assert isinstance(machine.read("x.position"), float)
    assert machine.signals["x.position"].unit == "rad"
    assert machine.read("command.speed") is None

    slots = [frame.slot for frame in machine.frames(500)]
    # The loop may skip slots on a busy machine, but no frame may be lost or doubled.
    assert all(before < after for before, after in zip(slots, slots[1:]))

    with machine.command("command.speed") as speed:
        speed.write(1.5)
        try:
            other.command("command.speed")
            raise AssertionError("a second owner")
        except steadfast.Refused as refused:
            assert "commands it" in str(refused), refused
        for wrong in [(99.0,), (float("nan"),), (), (1.0, 2.0)]:
            try:
                speed.write(*wrong)
                raise AssertionError(wrong)
            except steadfast.Refused:
                pass
        # The loop takes it at the start of its next cycle.
        end = time.monotonic() + 30
        while machine.read("command.speed") is None:
            assert time.monotonic() < end, "a command does not arrive"
        # It is refreshed longer than its timeout.
        end = time.monotonic() + 3 * speed.timeout
        while time.monotonic() < end:
            value = machine.read("command.speed")
            assert value == 1.5, value
            time.sleep(speed.timeout / 10)
    end = time.monotonic() + 30
    while machine.read("command.speed") is not None:
        assert time.monotonic() < end, "a released command keeps its value"
    # Each controlword acts by its change: none is lost, though nothing waits between them.
    with machine.command("x") as axis:
        for _ in range(50):
            for controlword in (0, 6, 7, 15):
                axis.write(controlword, 3, 0.0, 0.0)
            end = time.monotonic() + 30
            while int(machine.read("x.statusword")) & 0x6F != 0x27:
                assert time.monotonic() < end, hex(int(machine.read("x.statusword")))
        # An axis in operation whose commands end has a fault.
        axis.write(0, 3, 0.0, 0.0)
        while int(machine.read("x.statusword")) & 0x4F != 0x40:
            assert time.monotonic() < end, hex(int(machine.read("x.statusword")))
    kp = machine.parameters()["x.gains.kp"]
    assert (kp.value, kp.start, kp.unit, kp.limits) == (40.0, 40.0, "V/rad", (0.0, 1e9)), kp
    machine.change({"x.gains.kp": 50, "x.gains.ki": 100.0})
    try:
        machine.change({"x.gains.kp": 60.0, "x.profile.velocity_rad_s": 41.0})
        raise AssertionError("too fast")
    except steadfast.Refused as refused:
        assert "it must be from 0 to 40" in str(refused), refused
    assert machine.parameters()["x.gains.kp"].value == 50.0
    assert machine.kept("x.gains.kp") == (40.0, 40.0), "nothing is saved"
    try:
        machine.save()
        raise AssertionError("the board file has no [parameters]")
    except steadfast.Refused as refused:
        assert "[parameters]" in str(refused), refused
    machine.change({}, from_start=True)
    now = machine.parameters()
    assert all(parameter.value == parameter.start for parameter in now.values()), now
    try:
        machine.change({"x.gains.kpp": 1.0})
        raise AssertionError("a parameter that does not exist")
    except KeyError as error:
        assert "x.gains.kp" in str(error)

    machine.force("output.lamp", True, 60.0)
    value, left, client = machine.forces()["output.lamp"]
    assert value == 1.0 and 0.0 < left <= 60.0 and client == machine.number, (value, left)
    end = time.monotonic() + 30
    while not machine.read("output.lamp"):
        assert time.monotonic() < end, "a force does not arrive"
    machine.unforce()
    while machine.read("output.lamp") or machine.forces():
        assert time.monotonic() < end, "a force does not end"
    for name, values in [("output.enable", (1, 1)), ("output.lamp", (1, 3601)), ("x.position", (1, 1))]:
        try:
            machine.force(name, *values)
            raise AssertionError(name)
        except steadfast.Refused:
            pass

    try:
        machine.command("command.sped")
        raise AssertionError("a group that does not exist")
    except KeyError as error:
        assert "command.speed" in str(error)
print("client.py: done")
