//! The own machine: a PWM channel and an actuator board that drives windings by one long
//! frame. Both are served in the guest (`testbed/examples/virtual_servo`), because no
//! emulated board has them. The firmware is `testbed/examples/faulty_law`.

use testbed::own::{PERIOD_NS, SAFE_DUTY, SAFE_TORQUE};

use crate::state::{BLACK_BOXES, ON_DISK};

/// Shell lines: the folder of a PWM chip with one channel, exported and off. The files keep
/// their content, as the kernel's do; the duty is served.
pub(crate) const PWM_CHIP: &str = "mkdir -p /pwm/pwm0
echo 1 >/pwm/npwm
echo 0 >/pwm/pwm0/enable
ln -s /dev/pwm-duty /pwm/pwm0/duty_cycle
";

/// Its board files, by their paths in the guest.
pub(crate) fn board_files() -> Vec<(&'static str, String)> {
    const WATCHDOG: &str = "[watchdog]\ndevice = \"/dev/watchdog\"\ntimeout_s = 2\n";
    vec![
        ("/own-running.toml", board_file(true, "", BLACK_BOXES)),
        ("/own-resting.toml", board_file(false, "", BLACK_BOXES)),
        ("/own-watched.toml", board_file(true, WATCHDOG, ON_DISK)),
    ]
}

/// The board has the same name as in the other board files, so that the next start with any
/// of them saves the record of a run.
fn board_file(runs: bool, added: &str, black_boxes: &str) -> String {
    let safe_torque = f64::from(SAFE_TORQUE) / 1e3;
    format!(
        r#"
[board]
name = "imx8mp-evk"
realtime = "required"
devices = "linux"
[loop]
period_us = 1000
cpu = 0
warm_up_cycles = 10
max_locked_kb = 4096
[overrun]
action = "escalate"
fill = 10
drain = 1
quick_stop = 50
fault = 200
[black_box]
directory = "{black_boxes}"
seconds = 2
{added}
[gpio.gpio1]
chip = "30200000.gpio"
[output.heartbeat]
gpio = "gpio1"
line = 9
safe = false
max_hold_ms = 20
shutdown = 1
[output.fault_lamp]
gpio = "gpio1"
line = 10
safe = true
max_hold_ms = 20
shutdown = 2
[safety]
heartbeat = "heartbeat"
[spi.windings]
device = "/dev/spidev3.2"
speed_hz = 10_000_000
[pwm.fan]
chip = "/pwm"
channel = 0
period_ns = {PERIOD_NS}
[device.windings]
driver = "windings"
spi = "windings"
tolerated_failures = 2
max_hold_ms = 20
shutdown = 3
[device.windings.safe]
torque = {safe_torque:?}
[device.fan]
driver = "fan"
pwm = "fan"
max_hold_ms = 20
shutdown = 4
[device.fan.safe]
duty = {SAFE_DUTY:?}
[law.drive]
kind = "drives"
duty = "fan.duty"
torque = "windings.torque"
lamp = "output.fault_lamp"
runs = {runs}
"#
    )
}
