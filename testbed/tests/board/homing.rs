//! Homing by a home switch: an input line of the emulated GPIO chip, whose level follows the shaft.

use crate::can::COMMANDED;
use crate::can_faults::ARMED;
use crate::guest::{
    LIMIT, SHOW, SHOWN, board_file, command, healthy, ready, report_of, require_kept, servo_with,
};
use crate::{Context, Failure, Test, require};
use testbed::boards::{Board, Drive, RASPBERRYPI4_64};
use testbed::fixed_encoder::SHARED;
use testbed::machine::Machine;

pub(crate) const TESTS: &[Test] = &[Test {
    name: "an_axis_is_homed_at_each_edge_of_its_home_switch_and_a_broken_one_is_a_homing_error",
    run,
}];

/// The board whose inputs a program in the guest can drive. The emulator runs its four CPUs in turns:
/// slots may be skipped.
const BOARD: &Board = &RASPBERRYPI4_64;
/// A free line.
const HOME: u8 = 24;
/// The switch is active from here to there, positions of the shaft, rad.
const CAM: (f64, f64) = (0.5, 0.8);
/// The position that the edge gets, rad.
const OFFSET: f64 = 0.25;
/// Largest error, rad: two periods at the slow velocity, and the noise of two readings.
const NEAR: f64 = 0.002;

const HOMING: &str = "
[input.home]
gpio = \"header\"
line = 24

[link.local]
path = \"/tmp/link\"

[axis.x.homing]
switch = \"home\"
fast_rad_s = 4.0
slow_rad_s = 0.5
offset_rad = 0.25
max_travel_rad = 2.0
";

/// The method, where the shaft is at first, and the edge; `None`: the wire is broken.
const CASES: [(i8, f64, Option<f64>); 6] = [
    (19, 0.0, Some(CAM.0)),
    (20, 0.0, Some(CAM.0)),
    (20, 0.7, Some(CAM.0)),
    (21, 1.0, Some(CAM.1)),
    (22, 1.0, Some(CAM.1)),
    (20, 0.0, None),
];

fn run(context: &Context<'_>) -> Result<(), Failure> {
    let Drive::Registers { set, clear } = BOARD.drive else {
        return Err(Failure::new("its inputs have no registers"));
    };
    let text = board_file(context, BOARD, &[ARMED, COMMANDED])? + HOMING;
    let (from, to) = CAM;
    let mut script = servo_with(
        BOARD,
        &format!("--cam {set:x} {clear:x} {HOME} {from} {to}"),
    );
    let mut boot = ready(context, BOARD, &text)?.program("steadctl")?;
    let [_, dac] = BOARD.servo;
    for (method, start, edge) in CASES {
        let path = format!("/method-{method}.toml");
        boot = boot.file(
            &path,
            0o644,
            format!("{text}method = {method}\n").as_bytes(),
        );
        let run = command("--for 1h").replace("/board.toml", &path);
        let wire = match edge {
            None => "echo 'cams broken' >/dev/servo-control\n",
            Some(_) => "",
        };
        script += &format!(
            "{wire}echo '{dac} rest {start}' >/dev/servo-control
{run} & firmware=$!
until [ -e /tmp/link ]; do usleep 10000; done
/steadctl home x --socket /tmp/link 2>&1
echo \"@@homed $?\"
echo \"@@axis $(/steadctl get x.position --socket /tmp/link)\"
echo \"@@shaft $(cat /dev/servo-control)\"
kill -TERM $firmware
wait $firmware{SHOW}"
        );
    }
    let mut machine = boot.parameters(SHARED).start(&healthy(BOARD), &script)?;
    let mut figures = String::new();
    for case in CASES {
        let (method, start, _) = case;
        figures += &judge(case, &mut machine)
            .map_err(|failure| Failure::new(format!("method {method} from {start}: {failure}")))?;
    }
    // In one call, because boards run in parallel.
    print!("{figures}");
    machine.finish(LIMIT).map(drop)
}

/// Judges the next case, and gives the error of the edge as a line.
fn judge(
    (method, _, edge): (i8, f64, Option<f64>),
    machine: &mut Machine,
) -> Result<String, Failure> {
    let lines = machine.collect_until(SHOWN, LIMIT)?;
    let has = |wanted: &str| lines.iter().any(|line| line.contains(wanted));
    let number = |prefix: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(prefix));
        let word = line.and_then(|line| line.split(' ').find_map(|word| word.parse::<f64>().ok()));
        word.ok_or_else(|| Failure::new(format!("no number after '{prefix}'")))
    };
    let report = report_of(&lines, 0)?;
    require_kept(&report)?;
    let Some(edge) = edge else {
        let failed = has("axis x was not homed") && !has("@@homed 0");
        require(failed, || {
            "homing with a broken switch did not fail".to_owned()
        })?;
        return Ok(String::new());
    };
    require(has("x is homed") && has("@@homed 0"), || {
        "it was not homed, see the console".to_owned()
    })?;
    let (axis, shaft) = (number("@@axis ")?, number("@@shaft ")?);
    let error = (axis - shaft) - (OFFSET - edge);
    require(error.abs() <= NEAR, || {
        format!("the axis is at {axis} rad, its shaft at {shaft} rad")
    })?;
    Ok(format!(
        "      method {method}: the edge at {edge} rad was found with an error of {error:.6} rad\n"
    ))
}
