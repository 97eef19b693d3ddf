# SPDX-License-Identifier: MIT OR Apache-2.0
"""Derives all lists of CPUs from the list of real-time CPUs."""


def parse(text):
    """The CPU numbers of a kernel-style list such as "1,3" or "2-3"."""
    cpus = set()
    for part in (text or "").split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(
                'STEADFAST_RT_CPUS = "%s": "%s" is not a CPU or a range of CPUs; write "3" or "2-3", for example'
                % (text, part)
            )
        cpus.update(range(int(first), int(last or first) + 1))
    if not cpus:
        raise ValueError('STEADFAST_RT_CPUS = "%s" has no CPU; write a range upwards, as in "2-3"' % text)
    return cpus


def join(cpus):
    """Numbers as a kernel-style list, with ranges."""
    runs = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in runs)


def housekeeping(rt_cpus, count):
    """All other CPUs of the machine. CPU 0 must be one of them, because it boots."""
    isolated, every = parse(rt_cpus), set(range(int(count)))
    if 0 in isolated:
        raise ValueError('STEADFAST_RT_CPUS = "%s": CPU 0 boots the machine; use other CPUs' % rt_cpus)
    if not isolated <= every:
        raise ValueError(
            'STEADFAST_RT_CPUS = "%s": this machine has CPUs 0-%d (STEADFAST_CPUS); use these'
            % (rt_cpus, int(count) - 1)
        )
    return join(every - isolated)


def cmdline(rt_cpus, count):
    """The kernel's parameters. Without managed_irq the interrupt of a multi-queue disk can be
    on an isolated CPU."""
    rest, cpus = housekeeping(rt_cpus, count), join(parse(rt_cpus))
    return "isolcpus=managed_irq,domain,%s nohz_full=%s rcu_nocbs=%s irqaffinity=%s" % (cpus, cpus, cpus, rest)
