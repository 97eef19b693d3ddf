//! Reads `[simulation]`: the plants that a simulated board's channels are connected to.

use super::io::Io;
use super::machine::Machine;
use super::names::{Kind, channel, channel_if};
use super::reader::{Result, Table};
use super::registry::Registry;
use crate::sim::{EndStops, LimitSwitch, MAX_HEATERS, MAX_MOTORS, MotorConfig, ThermalConfig};
use crate::time::Duration;

/// A simulated motor and the channels that are connected to it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedMotor {
    /// Its name in the board file.
    pub name: String,
    /// Number of the encoder on its shaft.
    pub encoder: u8,
    /// Number of the analog output that commands its amplifier.
    pub analog_output: u8,
    /// Number of the digital output that enables its amplifier; `None`: always enabled.
    pub enable: Option<u8>,
    /// Number of the digital output that releases its brake; `None`: no brake.
    pub brake_release: Option<u8>,
    /// The switch at the lower end.
    pub lower_switch: Option<LimitSwitch>,
    /// The switch at the upper end.
    pub upper_switch: Option<LimitSwitch>,
    /// Inertia, friction, torque constant, load and end stops.
    pub motor: MotorConfig,
    /// Largest error of an encoder reading, counts: 0 to 1,000.
    pub noise_counts: u16,
}

/// A simulated heater and the channels that are connected to it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedHeater {
    /// Its name in the board file.
    pub name: String,
    /// Number of the analog input that reads its temperature sensor.
    pub analog_input: u8,
    /// Number of the digital output that switches it.
    pub switch: u8,
    /// Thermal model and sensor.
    pub thermal: ThermalConfig,
}

/// `[simulation]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationConfig {
    /// Seed of the noise. The same seed gives the same run, to the last bit.
    pub seed: u64,
    /// Integration step of motors and heaters, 1 us to 10 ms.
    pub step: Duration,
    /// Whether simulated time stops while the loop is late. The lateness of a host without
    /// real time then shows in the measured times, and not in the motion.
    pub waits: bool,
    /// Duration of a cycle on the virtual clock, 0 to 1 s.
    pub cycle_cost: Duration,
    /// The motors.
    pub motors: Vec<SimulatedMotor>,
    /// The heaters.
    pub heaters: Vec<SimulatedHeater>,
}

impl SimulationConfig {
    pub(super) fn read(
        mut table: Table<'_>,
        io: &Io,
        machine: &mut Machine,
        registry: &Registry,
    ) -> Result<Self> {
        let seed = table.integer_or("seed", 0..=i64::MAX as u64, 1)?;
        let step = Duration::from_micros(table.integer_or("step_us", 1..=10_000, 100)?);
        let waits = table.boolean_or("waits", false)?;
        let cycle_cost =
            Duration::from_micros(table.integer_or("cycle_cost_us", 0..=1_000_000, 20)?);
        let mut motors = Vec::new();
        for (name, table) in table.tables("motor", MAX_MOTORS)? {
            motors.push(motor(name, table, io)?);
        }
        let mut heaters = Vec::new();
        for (name, table) in table.tables("heater", MAX_HEATERS)? {
            heaters.push(heater(name, table, io)?);
        }
        served(
            &table,
            ("encoder", "motor"),
            io.encoders.iter().map(|e| e.name.as_str()),
            |channel| motors.iter().filter(|m| m.encoder == channel).count(),
        )?;
        served(
            &table,
            ("analog_output", "motor"),
            io.analog_outputs.iter().map(|o| o.name.as_str()),
            |channel| motors.iter().filter(|m| m.analog_output == channel).count(),
        )?;
        served(
            &table,
            ("analog_input", "heater"),
            io.analog_inputs.iter().map(|i| i.name.as_str()),
            |channel| heaters.iter().filter(|h| h.analog_input == channel).count(),
        )?;
        machine.read_plants(&mut table, registry)?;
        table.finish()?;
        Ok(Self {
            seed,
            step,
            waits,
            cycle_cost,
            motors,
            heaters,
        })
    }
}

/// Refuses a channel of a `kind` that is not connected to exactly one `plant`.
fn served<'n>(
    table: &Table<'_>,
    (kind, plant): (&str, &str),
    names: impl Iterator<Item = &'n str>,
    users: impl Fn(u8) -> usize,
) -> Result<()> {
    for (channel, name) in names.enumerate() {
        let what = match users(channel as u8) {
            1 => continue,
            0 => format!("[{kind}.{name}] is not connected to a {plant}"),
            count => format!("[{kind}.{name}] is connected to {count} {plant}s"),
        };
        let fix = format!("let exactly one [simulation.{plant}.NAME] name it as its `{kind}`");
        return Err(table.error(what, fix));
    }
    Ok(())
}

fn switch(
    table: &mut Table<'_>,
    input: &'static str,
    at: &'static str,
    io: &Io,
) -> Result<Option<LimitSwitch>> {
    let Some(input) = channel_if(table, input, Kind::Input, io)? else {
        table.without(at, "there is no switch")?;
        return Ok(None);
    };
    let at_rad = table.number(at, -1.0e6..=1.0e6)?;
    Ok(Some(LimitSwitch { input, at_rad }))
}

fn motor(name: &str, mut table: Table<'_>, io: &Io) -> Result<SimulatedMotor> {
    let default = MotorConfig::default();
    let coulomb_nm = table.number_or("coulomb_nm", 0.0..=1000.0, default.coulomb_nm)?;
    let end_stops = if table.has("lower_end_rad") || table.has("upper_end_rad") {
        Some(EndStops {
            lower_rad: table.number("lower_end_rad", -1.0e6..=0.0)?,
            upper_rad: table.number("upper_end_rad", 0.0..=1.0e6)?,
        })
    } else {
        None
    };
    let motor = SimulatedMotor {
        name: name.to_owned(),
        encoder: channel(&mut table, "encoder", Kind::Encoder, io)?,
        analog_output: channel(&mut table, "analog_output", Kind::AnalogOutput, io)?,
        enable: channel_if(&mut table, "enable", Kind::Output, io)?,
        brake_release: channel_if(&mut table, "brake_release", Kind::Output, io)?,
        lower_switch: switch(&mut table, "lower_switch", "lower_switch_rad", io)?,
        upper_switch: switch(&mut table, "upper_switch", "upper_switch_rad", io)?,
        motor: MotorConfig {
            inertia_kg_m2: table.number_or("inertia_kg_m2", 1e-9..=1e3, default.inertia_kg_m2)?,
            viscous_nm_s: table.number_or("viscous_nm_s", 0.0..=1e3, default.viscous_nm_s)?,
            coulomb_nm,
            stiction_nm: table.number_or(
                "stiction_nm",
                coulomb_nm..=1000.0,
                default.stiction_nm.max(coulomb_nm),
            )?,
            torque_nm_per_volt: table.number_or(
                "torque_nm_per_volt",
                -1e3..=1e3,
                default.torque_nm_per_volt,
            )?,
            load_nm: table.number_or("load_nm", -1e3..=1e3, default.load_nm)?,
            disturbance_nm: table.number_or("disturbance_nm", 0.0..=1e3, default.disturbance_nm)?,
            end_stops,
        },
        noise_counts: table.integer_or("noise_counts", 0..=1000, 0)? as u16,
    };
    table.finish()?;
    Ok(motor)
}

fn heater(name: &str, mut table: Table<'_>, io: &Io) -> Result<SimulatedHeater> {
    let default = ThermalConfig::default();
    let heater = SimulatedHeater {
        name: name.to_owned(),
        analog_input: channel(&mut table, "analog_input", Kind::AnalogInput, io)?,
        switch: channel(&mut table, "switch", Kind::Output, io)?,
        thermal: ThermalConfig {
            ambient_c: table.number_or("ambient_c", -100.0..=1000.0, default.ambient_c)?,
            full_power_rise_k: table.number_or(
                "full_power_rise_k",
                0.001..=10_000.0,
                default.full_power_rise_k,
            )?,
            time_constant_s: table.number_or(
                "time_constant_s",
                0.001..=1e6,
                default.time_constant_s,
            )?,
            sensor_volts_at_0_c: table.number_or(
                "sensor_volts_at_0_c",
                -1000.0..=1000.0,
                default.sensor_volts_at_0_c,
            )?,
            sensor_volts_per_k: table.number_or(
                "sensor_volts_per_k",
                -1000.0..=1000.0,
                default.sensor_volts_per_k,
            )?,
            ..default
        },
    };
    table.finish()?;
    Ok(heater)
}
