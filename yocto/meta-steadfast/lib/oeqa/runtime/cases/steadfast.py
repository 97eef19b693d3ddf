# SPDX-License-Identifier: MIT OR Apache-2.0
"""On the running target: `bitbake -c testimage steadfast-image-test`."""

from oeqa.runtime.case import OERuntimeTestCase


class SteadfastTest(OERuntimeTestCase):
    def succeeds(self, command):
        status, output = self.target.run(command)
        self.assertEqual(status, 0, "%s: %s" % (command, output))
        return output.strip()

    def status(self, name):
        pid = self.succeeds("systemctl show --property MainPID --value steadfast")
        return self.succeeds("sed -n 's/^%s:[[:space:]]*//p' /proc/%s/status" % (name, pid))

    def test_the_kernel_is_preempt_rt(self):
        self.assertEqual(self.succeeds("cat /sys/kernel/realtime"), "1")

    def test_the_rt_cpus_are_isolated(self):
        self.assertEqual(self.succeeds("cat /sys/devices/system/cpu/isolated"), self.td["STEADFAST_RT_CPUS"])
        self.assertIn(self.td["STEADFAST_CPUS_CMDLINE"], self.succeeds("cat /proc/cmdline"))

    def test_the_root_is_read_only(self):
        self.assertIn("ro", self.succeeds("findmnt -no OPTIONS /").split(","))

    def test_the_controller_runs_locked_and_without_capabilities(self):
        self.succeeds("systemctl is-active steadfast")
        self.assertEqual(int(self.status("CapEff"), 16), 0)
        self.assertGreater(int(self.status("VmLck").split()[0]), 0)
        self.assertLessEqual(int(self.status("VmLck").split()[0]), 2048)

    def test_the_loop_is_fifo_on_an_isolated_cpu(self):
        pid = self.succeeds("systemctl show --property MainPID --value steadfast")
        self.assertIn("SCHED_FIFO", self.succeeds("chrt -a -p %s" % pid))

    def test_a_slot_is_booted(self):
        self.assertIn("rauc.slot=", self.succeeds("cat /proc/cmdline"))
        self.succeeds("rauc status")
