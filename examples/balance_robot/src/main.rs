//! A two-wheeled balancing robot: a BMI160 on SPI (x forward, z up), two H-bridges, two wheel
//! encoders, and a state feedback of tilt, tilt rate, position and velocity, forward positive.

use bmi160::interface::SpiInterface;
use bmi160::{AccelerometerPowerMode as Accel, Bmi160, GyroscopePowerMode as Gyro, SensorSelector};
use embedded_hal::spi::MODE_0;
use std::{process::ExitCode, thread::sleep, time::Duration};
use steadfast::firmware::prelude::*;

#[cfg(test)]
mod tests;

#[global_allocator]
static ALLOCATOR: SealedAllocator = SealedAllocator;

/// For the range after a reset, 2,000 degrees/s (BST-BMI160-DS000, table 2).
const LSB_PER_RAD_S: f64 = 16.4 * 180.0 / std::f64::consts::PI;

/// Signals: the tilt from the accelerometer, and the tilt rate.
struct Imu([Input<f64>; 2], SpiClaim);

struct OpenImu([Input<f64>; 2], Bmi160<SpiInterface<Spi>>);

impl OpenImu {
    fn new(signals: [Input<f64>; 2], spi: Spi) -> Option<Self> {
        let mut imu = Bmi160::new_with_spi(spi);
        imu.chip_id().ok()?; // The first access only selects SPI (section 3.2.1).
        imu.set_accel_power_mode(Accel::Normal).ok()?;
        sleep(Duration::from_millis(4));
        imu.set_gyro_power_mode(Gyro::Normal).ok()?;
        sleep(Duration::from_millis(81));
        (imu.chip_id().ok()? == 0xD1).then_some(Self(signals, imu))
    }
}

impl Driver for Imu {
    const NAME: &'static str = "bmi160";
    type Device = OpenImu;

    fn read(table: &mut DeviceTable<'_, '_>) -> Result<Self, ConfigError> {
        let tilt = table.publish("tilt", "rad")?;
        let rate = table.publish("rate", "rad/s")?;
        Ok(Self([tilt, rate], table.spi(MODE_0, 10_000_000)?))
    }
    fn open(&self, opening: &mut Opening<'_>) -> Result<OpenImu, ConfigError> {
        let silent = opening.error("no BMI160 answers", "check its wiring and its supply");
        OpenImu::new(self.0, opening.spi(self.1)?).ok_or(silent)
    }
}

impl Device for OpenImu {
    fn sense(&mut self, readings: &mut Readings<'_>) {
        let data = self.1.data(SensorSelector::new().accel().gyro());
        let data = data.ok().and_then(|data| Some((data.accel?, data.gyro?)));
        let read = data.ok_or(InputError::Bus);
        let tilt = read.map(|(a, _)| f64::atan2(-f64::from(a.x), f64::from(a.z)));
        readings.put(self.0[0], tilt);
        readings.put(self.0[1], read.map(|(_, g)| f64::from(g.y) / LSB_PER_RAD_S));
    }
}

#[derive(Clone)]
struct Balance {
    tilt: Input<f64>,
    rate: Input<f64>,
    wheels: [Input<f64>; 2],
    duties: [Output<f64>; 2],
    /// For tilt, tilt rate, position, velocity and the difference of the wheels.
    gains: [f64; 5],
    filter_s: f64,
    radius_m: f64,
}

#[derive(Clone, Default)]
struct State {
    tilt: Option<f64>,
    rate: f64,
    /// Position at the start, m.
    origin: Option<f64>,
    position: f64,
    velocity: f64,
    has_fallen: bool,
}

impl Law for Balance {
    type State = State;

    fn start(&self) -> State {
        State::default()
    }
    fn step(&self, now: &mut State, io: &mut Io<'_>) {
        let dt = io.elapsed().as_secs_f64();
        let felt = io.read(self.tilt).value.ok();
        // A missing reading is bridged with the last rate.
        now.rate = io.read(self.rate).value.unwrap_or(now.rate);
        let turned = now.tilt.or(felt).map(|tilt| tilt + now.rate * dt);
        let blend = |tilt| tilt + (felt.unwrap_or(tilt) - tilt) * dt / self.filter_s;
        now.tilt = turned.map(blend);
        let [left, right] = self.wheels.map(|wheel| io.read(wheel).value);
        let (Some(tilt), Ok(left), Ok(right)) = (now.tilt, left, right) else {
            return; // Outputs that are not set are driven safe: the motors are off.
        };
        // Encoders measure the wheels relative to the tilted body.
        let counted = self.radius_m * ((left + right) / 2.0 + tilt);
        let position = counted - *now.origin.get_or_insert(counted);
        now.velocity += ((position - now.position) / dt - now.velocity) * dt / 0.02;
        now.position = position;
        now.has_fallen |= tilt.abs() > 0.7;
        if !now.has_fallen && !io.is_stopping() {
            let states = [tilt, now.rate, position.clamp(-0.3, 0.3), now.velocity];
            let drive: f64 = (0..4).map(|k| self.gains[k] * states[k]).sum();
            let turn = self.gains[4] * (right - left);
            io.set(self.duties[0], drive + turn);
            io.set(self.duties[1], drive - turn);
        }
    }
    fn fault(&self, now: &State) -> Option<FaultNumber> {
        now.has_fallen.then_some(FaultNumber::MIN)
    }
}

impl LawKind for Balance {
    const KIND: &'static str = "balance";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            tilt: table.input("tilt", "rad")?,
            rate: table.input("rate", "rad/s")?,
            wheels: table.inputs("wheels", "rad")?,
            duties: table.outputs("duties", "1")?,
            gains: table.numbers_exactly("gains", 0.0..=100.0)?,
            filter_s: table.number("filter_s", 0.01..=100.0)?,
            radius_m: table.number("radius_m", 0.001..=1.0)?,
        })
    }
    fn explain(&self, _: FaultNumber) -> String {
        "the robot has fallen over; stand it up and start again".to_owned()
    }
}

fn firmware() -> Firmware {
    Firmware::stock()
        .driver::<Imu>()
        .law::<Balance>()
        .board("balance_robot.toml", include_str!("../board.toml"))
}

fn main() -> ExitCode {
    firmware().main()
}
