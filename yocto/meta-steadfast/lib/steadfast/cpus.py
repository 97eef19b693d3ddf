# SPDX-License-Identifier: MIT OR Apache-2.0
"""The real-time CPUs: one list in, everything that names CPUs out."""


def parse(text):
    """The CPU numbers of a kernel-style list such as "1,3" or "2-3"."""
    cpus = set()
    for part in (text or "").split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise ValueError(
                'STEADFAST_RT_CPUS = "%s": "%s" is not a CPU or a range of CPUs; write for example "3" or "2-3"'
                % (text, part)
            )
        cpus.update(range(int(first), int(last or first) + 1))
    if not cpus:
        raise ValueError('STEADFAST_RT_CPUS = "%s": a range runs upwards, as in "2-3"' % text)
    return cpus


def join(cpus):
    """Numbers as a kernel-style list, runs drawn together."""
    runs = []
    for cpu in sorted(cpus):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in runs)


def housekeeping(rt_cpus, count):
    """All the machine's other CPUs. CPU 0 is always one of them: it boots."""
    isolated, every = parse(rt_cpus), set(range(int(count)))
    if 0 in isolated:
        raise ValueError('STEADFAST_RT_CPUS = "%s": CPU 0 boots the machine; take another' % rt_cpus)
    if not isolated <= every:
        raise ValueError(
            'STEADFAST_RT_CPUS = "%s": this machine has CPUs 0-%d (STEADFAST_CPUS)' % (rt_cpus, int(count) - 1)
        )
    return join(every - isolated)


def cmdline(rt_cpus, count):
    """The kernel's parameters. managed_irq: without it a multi-queue disk still
    puts an interrupt onto an isolated CPU."""
    rest, cpus = housekeeping(rt_cpus, count), join(parse(rt_cpus))
    return "isolcpus=managed_irq,domain,%s nohz_full=%s rcu_nocbs=%s irqaffinity=%s" % (cpus, cpus, cpus, rest)
