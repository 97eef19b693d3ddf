//! Reads `[axis.X.command]` and `[axis.X.homing]`.

use super::bounds::{RAD, Result, VELOCITY, VOLTS, millis};
use crate::axis::{
    CommandConfig, CommandSignals, HomingConfig, LimitSwitch, OnLoss, QuickStopOption,
};
use crate::config::{RootTables, Table, figure};

/// Homing methods (6098h) of an axis.
const METHODS: [i8; 11] = [0, 17, 18, 19, 20, 21, 22, 35, 37, -3, -4];

/// Reads the commands of the axis `name` from its `table`.
pub(super) fn command(
    tables: &mut RootTables<'_, '_>,
    table: &mut Table<'_>,
    name: &str,
) -> Result<(Option<CommandSignals>, CommandConfig)> {
    let mut config = CommandConfig::default();
    let Some(mut command) = table.table_if("command")? else {
        table.without(
            "homing",
            "the axis takes no commands: it has no table `command`",
        )?;
        return Ok((None, config));
    };
    let losses = [("quick-stop", OnLoss::QuickStop), ("hold", OnLoss::Hold)];
    let stops = [
        ("disable", QuickStopOption::Disable),
        ("slow-down", QuickStopOption::SlowDown),
        ("quick-stop", QuickStopOption::QuickStop),
        ("slow-down-and-stay", QuickStopOption::SlowDownAndStay),
        ("quick-stop-and-stay", QuickStopOption::QuickStopAndStay),
    ];
    let group = tables.command_group(&mut command, name)?;
    config.on_loss = command.choice_or("on_loss", &losses, config.on_loss)?;
    config.quick_stop = command.choice_or("quick_stop", &stops, config.quick_stop)?;
    let window = config.position_window_rad;
    config.position_window_rad = command.number_or("position_window_rad", RAD, window)?;
    config.position_window_time = millis(&mut command, "position_window_time_ms", 10)?;
    config.interpolation = millis(&mut command, "interpolation_ms", 0)?;
    config.extrapolation = millis(&mut command, "extrapolation_ms", 0)?;
    let mut signal =
        |signal, unit, range| tables.command(&command, group, (name, signal), unit, &range);
    let signals = CommandSignals {
        controlword: signal("controlword", "", 0.0..=65_535.0)?,
        mode: signal("mode", "", -128.0..=127.0)?,
        target_position: signal("target_position", "rad", RAD)?,
        target_velocity: signal("target_velocity", "rad/s", VELOCITY)?,
    };
    command.finish()?;
    if let Some(table) = table.table_if("homing")? {
        config.homing = homing(tables, table)?;
    }
    Ok((Some(signals), config))
}

fn homing(tables: &mut RootTables<'_, '_>, mut table: Table<'_>) -> Result<HomingConfig> {
    let number = table.number("method", -128.0..=127.0)?;
    let Some(method) = METHODS
        .into_iter()
        .find(|method| f64::from(*method) == number)
    else {
        let what = format!(
            "`method` is {}, which an axis with an absolute encoder does not have",
            figure(number)
        );
        let fix =
            "use 17 to 22 (switches), 35 or 37 (present position), -3 or -4 (hard stop), or 0";
        return Err(table.error_at("method", what, fix));
    };
    let closed = table.boolean_or("switch_normally_closed", false)?;
    let channel = tables.input_if(&mut table, "switch")?;
    if channel.is_none() && (19..=22).contains(&method) {
        let what = format!("homing method {method} needs a home switch");
        return Err(table.error_at("method", what, "name its input: switch = \"...\""));
    }
    let config = HomingConfig {
        method,
        fast_rad_s: table.number_or("fast_rad_s", VELOCITY, 0.0)?,
        slow_rad_s: table.number_or("slow_rad_s", VELOCITY, 0.0)?,
        offset_rad: table.number_or("offset_rad", RAD, 0.0)?,
        switch: channel.map(|channel| LimitSwitch {
            channel,
            normally_closed: closed,
        }),
        stop_command_volts: table.number_or("stop_command_volts", VOLTS, 0.0)?,
        max_travel_rad: match matches!(method, 0 | 35 | 37) {
            true => table.number_or("max_travel_rad", RAD, 0.0)?,
            false => table.number("max_travel_rad", RAD)?,
        },
    };
    table.finish()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use crate::axis::{Arm, CommandConfig, HomingConfig, OnLoss, QuickStopOption, Rearm};
    use crate::config::Config;
    use crate::stock::{SIM_BOARD, registry, servo::Axes};
    use crate::time::Duration;

    const TIMEOUT: &str = "[axis.x.command]\ntimeout_ms = 100\n";

    fn read(tables: &str) -> Result<Config, String> {
        let text = format!("{SIM_BOARD}\n{tables}\n[link.local]\n");
        Config::parse_with("board.toml", &text, &registry()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_keys_of_command_and_homing_are_read() {
        let config = read(
            "[axis.x.command]\ntimeout_ms = 100\non_loss = \"hold\"\n\
             quick_stop = \"slow-down-and-stay\"\nposition_window_rad = 0.5\n\
             position_window_time_ms = 7\ninterpolation_ms = 10\nextrapolation_ms = 15\n\
             [axis.x.homing]\nmethod = -4\nfast_rad_s = 3.0\nslow_rad_s = 1.0\n\
             offset_rad = 0.25\nstop_command_volts = 2.0\nmax_travel_rad = 9.0\n",
        )
        .unwrap();
        let axis = &Axes::of(&config).unwrap().config.axes[0];
        let expected = CommandConfig {
            on_loss: OnLoss::Hold,
            quick_stop: QuickStopOption::SlowDownAndStay,
            position_window_rad: 0.5,
            position_window_time: Duration::from_millis(7),
            interpolation: Duration::from_millis(10),
            extrapolation: Duration::from_millis(15),
            homing: HomingConfig {
                method: -4,
                fast_rad_s: 3.0,
                slow_rad_s: 1.0,
                offset_rad: 0.25,
                switch: None,
                stop_command_volts: 2.0,
                max_travel_rad: 9.0,
            },
        };
        assert_eq!(axis.command_config, expected);
        let signals = axis.command.unwrap();
        assert_eq!(signals.target_velocity.received_number(), Some((3, 0)));
        let groups = &config.machine.signals.groups().groups;
        assert_eq!((groups[0].name.as_str(), groups[0].count), ("x", 4));
        for signal in ["controlword", "mode", "target_position", "target_velocity"] {
            let name = format!("x.{signal}");
            let mut signals = config.machine.signals.iter();
            assert!(signals.any(|signal| signal.name == name), "{name}");
        }
    }

    #[test]
    fn an_axis_without_the_table_takes_no_commands() {
        let config = read("").unwrap();
        let axes = Axes::of(&config).unwrap();
        assert_eq!(axes.config.axes[0].command, None);
    }

    #[test]
    fn an_axis_with_the_table_alone_has_the_defaults() {
        let config = read(TIMEOUT).unwrap();
        let axis = &Axes::of(&config).unwrap().config.axes[0];
        assert_eq!(axis.command_config, CommandConfig::default());
    }

    #[test]
    fn arming_on_command_is_read_and_needs_an_axis_with_commands() {
        let text = SIM_BOARD.replace(
            "arm = \"at-start\"",
            "arm = \"on-command\"\nrearm = \"on-command\"",
        );
        let parse = |text: &str| Config::parse_with("board.toml", text, &registry());
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains("no axis takes commands"), "{error}");
        let config = parse(&format!("{text}\n{TIMEOUT}[link.local]\n")).unwrap();
        let servo = &Axes::of(&config).unwrap().config;
        assert_eq!((servo.arm, servo.rearm), (Arm::OnCommand, Rearm::OnCommand));
    }

    #[test]
    fn wrong_values_are_refused() {
        let homing = |keys: &str| format!("{TIMEOUT}[axis.x.homing]\n{keys}\n");
        for (tables, what) in [
            ("[axis.x.command]\n".to_owned(), "has no `timeout_ms`"),
            (
                "[axis.x.homing]\nmethod = 37\n".to_owned(),
                "the axis takes no commands",
            ),
            (format!("{TIMEOUT}on_loss = \"stop\"\n"), "on_loss"),
            (
                format!("{TIMEOUT}position_window_rad = 0.0\n"),
                "position_window_rad",
            ),
            (homing("method = 33"), "does not have"),
            (homing("method = 3.5"), "does not have"),
            (homing("method = 19"), "needs a home switch"),
            (homing("method = 17"), "has no `max_travel_rad`"),
            (
                homing("method = 17\nmax_travel_rad = 9.0"),
                "negative_switch",
            ),
            (homing("method = 37\nspeed = 1.0"), "speed"),
            (
                homing("method = -3\nslow_rad_s = 1.0\nmax_travel_rad = 9.0"),
                "stop_command_volts",
            ),
            (
                homing(
                    "method = -3\nslow_rad_s = 1000.0\nstop_command_volts = 1.0\nmax_travel_rad = 9.0",
                ),
                "slow_rad_s",
            ),
        ] {
            let error = read(&tables).unwrap_err();
            assert!(error.contains(what), "{what}: {error}");
        }
    }
}
