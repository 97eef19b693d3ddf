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
    try:
        machine.command("command.sped")
        raise AssertionError("a group that does not exist")
    except KeyError as error:
        assert "command.speed" in str(error)
print("client.py: done")
