//! I2C adapters and PWM channels: their keys, and that each is used once.

use super::{LINUX, SIM, error_of, refused};
use steadfast::config::Config;
use steadfast::device::pwm::Polarity;

/// A second bus of each kind, with the given texts.
fn two(adapter: &str, channel: &str) -> String {
    LINUX.replace(
        "[pwm.valve]",
        &format!("[i2c.more]\n{adapter}\n\n[pwm.fan]\n{channel}\n\n[pwm.valve]"),
    )
}

const ADAPTER: &str = "device = \"/dev/i2c-3\"";
const CHANNEL: &str = "chip = \"30660000.pwm\"\nchannel = 2\nperiod_ns = 40_000";

#[test]
fn buses_without_a_device_are_accepted_with_defaults() {
    let text = two(ADAPTER, CHANNEL) + "\n[spi.imu]\ndevice = \"/dev/spidev2.0\"\n";
    let io = Config::parse("b.toml", &text).expect("good").io;
    assert_eq!((io.i2c.len(), io.i2c[1].timeout_ms), (2, 10));
    assert_eq!((io.pwm.len(), io.pwm[0].polarity), (2, Polarity::Normal));
    assert_eq!(io.spi.last().expect("one").name, "imu");
}

#[test]
fn an_adapter_or_pwm_channel_is_used_only_once() {
    for (adapter, channel, what) in [
        (
            "device = §\"/dev/i2c-2\"",
            CHANNEL,
            "/dev/i2c-2 is already used by [i2c.sensors] in line",
        ),
        (
            ADAPTER,
            "chip = \"30660000.pwm\"\nchannel = 3\nperiod_ns = 40_000\n\n[pwm.more]\nchip = \"30660000.pwm\"\nchannel = §3\nperiod_ns = 1",
            "channel 3 of PWM chip \"30660000.pwm\" is already used by [pwm.fan] in line",
        ),
    ] {
        let error = error_of(&two(adapter, channel));
        assert!(error.what.contains(what), "{error}");
        assert!(error.fix.contains("only one table can use it"), "{error}");
    }
}

#[test]
fn each_invalid_bus_setting_is_refused_at_its_key() {
    refused(
        LINUX,
        r#"
i2c.sensors: = 20 -> = §25
    `timeout_ms` is 25, not a multiple of 10; use 10, 20, 30
i2c.sensors: = 20 -> = §0
    `timeout_ms` is 0; 10 to 1000
i2c.sensors: timeout_ms -> §speed_hz
    unknown key `speed_hz` in [i2c.sensors]; known here: device, timeout_ms
pwm.§valve: channel = 1\n ->
    [pwm.valve] has no `channel`;
pwm.valve: 50_000 -> §0
    `period_ns` is 0; 1 to 4294967295
pwm.valve: "inversed" -> §"inverted"
    inverted; inversed
"#,
    );
    for key in ["i2c", "pwm"] {
        let error = error_of(&format!("{SIM}\n[§{key}.x]\nchip = \"x\"\n"));
        assert!(error.what.contains("there is no hardware"), "{error}");
    }
}
