# Prints the lines of the longest cycle of four calls in a trace of ftrace. A cycle lasts
# from a return of clock_nanosleep to its next call by the same thread.

function seconds(text) {
    match(text, /[0-9]+\.[0-9]+:/)
    return substr(text, RSTART, RLENGTH - 1) + 0
}

{ line[NR] = $0 }

/sys_clock_nanosleep ->/ {
    start[$1] = seconds($0)
    first[$1] = NR
    calls[$1] = 0
}

/sys_ioctl\(/ { calls[$1]++ }

/sys_clock_nanosleep\(/ {
    if (start[$1] && calls[$1] == 4) {
        took = (seconds($0) - start[$1]) * 1e6
        cycles++
        sum += took
        if (took > longest) {
            longest = took
            from = first[$1]
            to = NR
        }
    }
}

END {
    if (!cycles)
        exit
    printf "@@longest %d cycles of four calls, %.1f us on average, the longest %.0f us:\n", cycles, sum / cycles, longest
    for (i = from; i <= to; i++)
        print "@@longest " line[i]
}
