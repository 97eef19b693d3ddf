//! User-defined drivers, plants and a control law.

use steadfast::firmware::prelude::*;

/// A hall sensor, simulated at its signal.
pub(crate) struct Hall(Input<Angle>);

/// A drive commanded in volts, simulated at its signal; its duty has another unit.
pub(crate) struct Drive(Output<f64>);

impl Device for Hall {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        readings.put(self.0, Err(InputError::NotReady));
    }
}

impl Device for Drive {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        let _ = commands.get(self.0);
        Err(NotDriven)
    }
}

impl Driver for Hall {
    const NAME: &'static str = "hall";
    type Device = Self;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.publish("angle", "").map(Self)
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<Self, ConfigError> {
        Err(opening.error("there is no such sensor", "simulate the board"))
    }
}

impl Driver for Drive {
    const NAME: &'static str = "drive";
    type Device = Self;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        table.command("duty", "1", -1.0..=1.0)?;
        table.command("volts", "V", -12.0..=12.0).map(Self)
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<Self, ConfigError> {
        Err(opening.error("there is no such drive", "simulate the board"))
    }
}

/// A motor that follows its voltage as a first-order lag.
#[derive(Clone)]
pub(crate) struct Motor {
    volts: Output<f64>,
    angle: Input<Angle>,
    rad: f64,
    rad_s: f64,
}

impl Plant for Motor {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        let dt = step.as_secs_f64();
        self.rad_s += (5.0 * world.get(self.volts) - self.rad_s) * dt / 0.02;
        self.rad += self.rad_s * dt;
        let turns = (self.rad / core::f64::consts::TAU).rem_euclid(1.0);
        world.put(
            self.angle,
            Angle::from_counts((turns * 16_384.0) as u32, 14),
        );
    }
}

impl PlantKind for Motor {
    const KIND: &'static str = "motor";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            volts: table.output("volts", "V")?,
            angle: table.input("angle", "")?,
            rad: 0.0,
            rad_s: 0.0,
        })
    }
}

pub(crate) const JOINTS: usize = 32;

/// A motor for each joint.
#[derive(Clone)]
pub(crate) struct Motors(Vec<Motor>);

impl Plant for Motors {
    fn advance(&mut self, world: &mut World<'_>, step: Duration) {
        for motor in &mut self.0 {
            motor.advance(world, step);
        }
    }
}

impl PlantKind for Motors {
    const KIND: &'static str = "motors";

    fn read(table: &mut PlantTable<'_, '_>) -> Result<Self, ConfigError> {
        let volts = table.outputs::<f64, JOINTS>("volts", "V")?;
        let angles = table.inputs::<Angle, JOINTS>("angles", "")?;
        let motors = volts.into_iter().zip(angles).map(|(volts, angle)| Motor {
            volts,
            angle,
            rad: 0.0,
            rad_s: 0.0,
        });
        Ok(Self(motors.collect()))
    }
}

/// The maximum number of joints, on one board with voltages as outputs and angles as inputs,
/// simulated at its signals.
pub(crate) struct Joints(Vec<Output<f64>>);

impl Device for Joints {
    fn act(&mut self, commands: &Commands<'_>) -> Result<(), NotDriven> {
        for joint in &self.0 {
            let _ = commands.get(*joint);
        }
        Err(NotDriven)
    }
}

impl Driver for Joints {
    const NAME: &'static str = "joints";
    type Device = Self;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let mut joints = Vec::new();
        for joint in 0..JOINTS {
            table.publish::<Angle>(&format!("angle{joint}"), "")?;
            joints.push(table.command(format!("volts{joint}").leak(), "V", -12.0..=12.0)?);
        }
        Ok(Self(joints))
    }

    fn open(&self, opening: &mut Opening<'_>) -> Result<Self, ConfigError> {
        Err(opening.error("there is no such board", "simulate it"))
    }
}

/// A fan that runs while the drive has more than a given voltage.
#[derive(Clone)]
pub(crate) struct Fan {
    volts: Input<f64>,
    fan: Output<bool>,
    above: f64,
}

impl Law for Fan {
    type State = u32;
    const TRACE: &'static [&'static str] = &["switched"];

    fn start(&self) -> u32 {
        0
    }

    fn step(&self, switched: &mut u32, io: &mut Io<'_>) {
        let on = io
            .read(self.volts)
            .value
            .is_ok_and(|volts| volts.abs() > self.above);
        *switched += u32::from(on);
        io.set(self.fan, on);
    }

    fn trace(&self, switched: &u32, values: &mut [f32]) {
        if let Some(value) = values.first_mut() {
            *value = *switched as f32;
        }
    }
}

impl LawKind for Fan {
    const KIND: &'static str = "fan";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            volts: table.input("volts", "V")?,
            fan: table.output("fan", "")?,
            above: table.number("above", 0.0..=12.0)?,
        })
    }
}
