# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests on the running target: `bitbake -c testimage steadfast-image-test`.

The emulated machine has no SPI: tests that need a running controller are skipped there, with
the name of the missing device."""

import re

from oeqa.runtime.case import OERuntimeTestCase
from steadfast import cpus

BOARD = "/etc/steadfast/board.toml"


class SteadfastTest(OERuntimeTestCase):
    def succeeds(self, command):
        status, output = self.target.run(command)
        self.assertEqual(status, 0, "%s: %s" % (command, output))
        return output.strip()

    def controller(self):
        """The controller's process. Skips the test if a device of the board file is missing."""
        for device in self.succeeds("sed -n 's/^device = \"\\(.*\\)\".*/\\1/p' %s" % BOARD).split():
            if self.target.run("test -e %s" % device)[0]:
                self.skipTest("this machine has no %s, which is in %s" % (device, BOARD))
        self.succeeds("systemctl is-active steadfast")
        return self.succeeds("systemctl show --property MainPID --value steadfast")

    def status(self, pid, name):
        return self.succeeds("sed -n 's/^%s:[[:space:]]*//p' /proc/%s/status" % (name, pid))

    def interrupts(self, text, cpu):
        """Interrupts of devices on one CPU so far, without its timer and interrupts between
        CPUs."""
        lines = text.splitlines()
        column = lines[0].split().index("CPU%d" % cpu)
        rows = [line.split() for line in lines[1:] if re.match(r"\s*\d+:", line) and "arch_timer" not in line]
        return {row[0]: int(row[1 + column]) for row in rows}

    def test_the_kernel_is_preempt_rt(self):
        self.assertEqual(self.succeeds("cat /sys/kernel/realtime"), "1")

    def test_the_rt_cpus_are_isolated(self):
        self.assertEqual(self.succeeds("cat /sys/devices/system/cpu/isolated"), self.td["STEADFAST_RT_CPUS"])
        self.assertIn(self.td["STEADFAST_CPUS_CMDLINE"], self.succeeds("cat /proc/cmdline"))

    def test_no_device_interrupts_an_rt_cpu(self):
        before, after = self.succeeds("cat /proc/interrupts; echo ==; sleep 10; cat /proc/interrupts").split("==\n")
        for cpu in cpus.parse(self.td["STEADFAST_RT_CPUS"]):
            self.assertEqual(self.interrupts(before, cpu), self.interrupts(after, cpu), "CPU %d" % cpu)

    def test_the_root_is_read_only(self):
        self.assertIn("ro", self.succeeds("findmnt -no OPTIONS /").split(","))

    def test_the_data_partition_is_writable(self):
        self.assertIn("rw", self.succeeds("findmnt -no OPTIONS /data").split(","))

    def test_the_controller_runs_locked_and_without_capabilities(self):
        pid = self.controller()
        self.assertEqual(int(self.status(pid, "CapEff"), 16), 0)
        locked = int(self.status(pid, "VmLck").split()[0])
        self.assertGreater(locked, 0)
        self.assertLessEqual(locked, 2048)

    def test_the_loop_is_fifo(self):
        self.assertIn("SCHED_FIFO", self.succeeds("chrt -a -p %s" % self.controller()))

    def test_the_controller_holds_the_watchdog_that_its_board_file_names(self):
        pid = self.controller()
        if self.target.run("grep -q '^\\[watchdog\\]' %s" % BOARD)[0]:
            self.skipTest("%s has no [watchdog]" % BOARD)
        self.assertIn("/dev/watchdog", self.succeeds("ls -l /proc/%s/fd" % pid))

    def test_a_slot_is_booted(self):
        self.assertIn("rauc.slot=", self.succeeds("cat /proc/cmdline"))
        self.succeeds("rauc status")
