# Derives the other lists of CPUs from STEADFAST_RT_CPUS. The machine sets STEADFAST_CPUS, its
# number of CPUs.
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
