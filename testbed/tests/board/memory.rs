//! The rules of memory locking on the board's own kernel: as root, as an
//! ordinary user without a limit, and as one with a small limit.
//!
//! Each rule is a test of `tests/memory_rules`; what that program reports as
//! not run is shown, by name and with the reason.

use std::time::Duration;

use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;
use testbed::emulator::Boot;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "memory_rules_hold_on_the_kernel_of_the_board",
    run: rules,
}];

const LIMIT: Duration = Duration::from_secs(240);

/// Whom the rules are run as: what the shell does before, the program's
/// options, and how many rules cannot be judged so. Root judges all; others
/// cannot be root; the kernel's own limits allow no real-time priority; and
/// what locks all memory, or needs a limit to stay below, needs more than 512 kB.
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
            format!("as {who} the rules ended badly")
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
                "as {who} {} rules were not run, {most} cannot be",
                not_run.len()
            )
        })?;
    }
    machine.finish(LIMIT).map(drop)
}
