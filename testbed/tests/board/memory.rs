//! The rules of memory locking on the board's kernel: as root, as an unprivileged user
//! without limits, and with small limits.
//!
//! Each rule is a test of `tests/memory_rules`. Rules that are not run are shown by name
//! with the reason.

use std::time::Duration;

use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::emulator::Boot;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "memory_rules_hold_on_the_kernel_of_the_board",
    run: rules,
}];

const LIMIT: Duration = Duration::from_secs(240);

/// Users of the runs: name, shell commands before, options of the program, and the number
/// of rules that cannot be judged. Root judges all. Other users cannot judge rules that
/// need root; the default limits allow no real-time priority; and rules that lock all
/// memory or set a lower limit need more than 512 kB.
const RUNS: [(&str, &str, &str, usize); 4] = [
    ("root", "", "", 0),
    (
        "a user without limits",
        "ulimit -l unlimited; ulimit -r 98",
        "--user 1000",
        1,
    ),
    ("a user with the kernel's own limits", "", "--user 1000", 2),
    ("a user with 512 kB", "ulimit -l 512", "--user 1000", 20),
];

fn rules(context: &Context<'_>) -> Result<(), Failure> {
    let mut script = String::new();
    for (_, before, options, _) in RUNS {
        script += &format!("( {before}\n/memory_rules {options} )\necho \"@@rules end $?\"\n");
    }
    let mut machine = Boot::new(context, &IMX8MP_EVK)
        .program("memory_rules")?
        .start(&[], &script)?;
    for (who, _, _, most) in RUNS {
        let lines = machine.collect_until("@@rules end", LIMIT)?;
        let ending = |end: &str| {
            lines
                .iter()
                .filter_map(|line| line.strip_prefix("rule ")?.strip_suffix(end))
                .collect::<Vec<_>>()
        };
        let failed = ending(" ... FAILED");
        require(failed.is_empty(), || format!("as {who}: {failed:?} failed"))?;
        require(lines.iter().any(|line| line == "@@rules end 0"), || {
            format!("as {who} the program did not exit with 0")
        })?;
        require(!ending(" ... ok").is_empty(), || {
            format!("as {who} no rule was judged")
        })?;
        let not_run: Vec<_> = lines
            .iter()
            .filter(|line| line.contains(" ... not run: "))
            .collect();
        for line in &not_run {
            println!("      as {who}: {line}");
        }
        require(not_run.len() <= most, || {
            format!(
                "as {who} {} rules were not run, at most {most} expected",
                not_run.len()
            )
        })?;
    }
    machine.finish(LIMIT).map(drop)
}
