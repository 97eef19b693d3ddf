//! The black box of a firmware that was killed while it moved: saved by the next start,
//! shown by `steadctl`, and read as far as possible when truncated or damaged.

use crate::guest::{LIMIT, NO_WATCHDOG, ONE_CPU, arm_and_move, board_file, healthy, ready, servo};
use crate::{Context, Failure, Test, require};
use testbed::boards::IMX8MP_EVK;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "a_firmware_killed_while_moving_leaves_its_flight_record",
    run: killed,
}];

/// As `[black_box]` of the board file has it.
const BOX: &str = "/data/steadfast/black-box/imx8mp-evk-000001.blackbox";

fn killed(context: &Context<'_>) -> Result<(), Failure> {
    let text = board_file(context, &IMX8MP_EVK, &[ONE_CPU, NO_WATCHDOG])?;
    let script = servo(&IMX8MP_EVK)
        + &format!(
            "/steadfast run --board /board.toml --quiet & firmware=$!
read order
kill -KILL $firmware
wait $firmware
/steadfast run --board /board.toml --cycles 100 --quiet 2>&1
show() {{
    echo; echo \"@@box $1\"
    /steadctl blackbox $2 2>&1
    echo \"@@shown $?\"
}}
show whole {BOX}
head -c 9000 {BOX} >/tmp/cut
show cut /tmp/cut
cp {BOX} /tmp/damaged
printf X | dd of=/tmp/damaged bs=1 seek=400 conv=notrunc 2>/dev/null
show damaged /tmp/damaged
/steadctl blackbox {BOX} --csv | wc -l | sed 's/^/@@lines /'
"
        );
    let mut machine = ready(context, &IMX8MP_EVK, &text)?
        .program("steadctl")?
        .cpus(1)
        .start(&healthy(&IMX8MP_EVK), &script)?;
    arm_and_move(&mut machine, &IMX8MP_EVK)?;
    machine.type_line("kill")?;
    let finished = machine.finish(LIMIT)?;
    let whole = [
        "@@shown 0",
        "cause = no cause written: the process was killed, or memory ran out",
        "written = at the next start",
        "board = imx8mp-evk",
        "REAL-TIME: the contract is kept.",
        ", 0 missing in between; the last 20",
    ];
    let part = [
        "@@shown 5",
        "DAMAGED at byte ",
        ": this is what can be read",
    ];
    let rest = ["the contract is kept", "the last 20"];
    for (name, words) in [
        ("whole", &whole[..]),
        ("cut", &[&part[..], &rest].concat()),
        ("damaged", &[&part[..], &rest[1..]].concat()),
    ] {
        let shown = shown(&finished.lines, name);
        let missing = words.iter().filter(|word| !shown.contains(**word));
        let missing: Vec<_> = missing.collect();
        require(missing.is_empty(), || {
            format!("{missing:?} is missing in the output for the {name} file: {shown}")
        })?;
    }
    // Since the start: 50 before the press, and 100 while moving.
    let lines = finished.lines.iter();
    let cycles = lines.filter_map(|line| line.strip_prefix("@@lines ")?.trim().parse().ok());
    require(cycles.clone().any(|cycles: u32| cycles > 150), || {
        format!(
            "expected more than 150 lines of cycles, got {:?}",
            cycles.collect::<Vec<_>>()
        )
    })
}

/// The output of `steadctl` for the black box `name`, with the exit status.
fn shown(lines: &[String], name: &str) -> String {
    let begin = format!("@@box {name}");
    let mut text = String::new();
    for line in lines.iter().skip_while(|line| **line != begin).skip(1) {
        text += line;
        text += "\n";
        if line.starts_with("@@shown") {
            break;
        }
    }
    text
}
