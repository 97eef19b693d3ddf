# From STEADFAST_RT_CPUS to all that needs it. STEADFAST_CPUS, how many CPUs the
# machine has, is the machine's.
STEADFAST_CPUS ??= "4"
STEADFAST_HOUSEKEEPING_CPUS = "${@steadfast.cpus.housekeeping(d.getVar('STEADFAST_RT_CPUS'), d.getVar('STEADFAST_CPUS'))}"
STEADFAST_CPUS_CMDLINE = "${@steadfast.cpus.cmdline(d.getVar('STEADFAST_RT_CPUS'), d.getVar('STEADFAST_CPUS'))}"

addhandler steadfast_cpus_check
steadfast_cpus_check[eventmask] = "bb.event.ConfigParsed"
python steadfast_cpus_check () {
    try:
        steadfast.cpus.cmdline(e.data.getVar('STEADFAST_RT_CPUS'), e.data.getVar('STEADFAST_CPUS'))
    except ValueError as error:
        bb.fatal(str(error))
}
