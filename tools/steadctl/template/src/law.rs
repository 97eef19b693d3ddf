//! The control law: `[law.NAME] kind = "two-point"`.

use steadfast::config::{ConfigError, LawKind, LawTable};
use steadfast::cycle::law::Law;
use steadfast::cycle::ports::FaultNumber;
use steadfast::cycle::signal::{Input, Io, Output};

const TOO_HOT: FaultNumber = FaultNumber::new(1).unwrap();
const NO_EFFECT: FaultNumber = FaultNumber::new(2).unwrap();

/// Switches the heater on below a band around the target, and off above it. This type is the
/// configuration, which is constant while the loop runs.
#[derive(Clone)]
pub struct TwoPoint {
    temperature: Input<f64>,
    heater: Output<bool>,
    /// Target temperature, degC.
    target: f64,
    /// Half the width of the band, K.
    band: f64,
    /// Maximum temperature, degC; above it the law reports a fault.
    limit: f64,
    /// Maximum time that the heater is on without a pause, s.
    longest: f64,
}

/// The state of the law, which each step updates.
#[derive(Clone, Default)]
pub struct State {
    celsius: Option<f64>,
    heating: bool,
    /// How long the heater has been on, s.
    heated: f64,
    fault: Option<FaultNumber>,
}

impl Law for TwoPoint {
    type State = State;
    const TRACE: &'static [&'static str] = &["temperature_degc"];

    fn start(&self) -> State {
        State::default()
    }

    fn step(&self, state: &mut State, io: &mut Io<'_>) {
        state.celsius = io.read(self.temperature).value.ok();
        if state.celsius.is_some_and(|celsius| celsius > self.limit) {
            state.fault = state.fault.or(Some(TOO_HOT));
        }
        if state.heated > self.longest {
            state.fault = state.fault.or(Some(NO_EFFECT));
        }
        let below = if state.heating {
            self.target + self.band
        } else {
            self.target - self.band
        };
        // Without a valid reading the heater stays off.
        let cold = state.celsius.is_some_and(|celsius| celsius < below);
        state.heating = cold && state.fault.is_none() && !io.is_stopping();
        state.heated = match state.heating {
            true => state.heated + io.elapsed().as_secs_f64(),
            false => 0.0,
        };
        io.set(self.heater, state.heating);
    }

    fn at_rest(&self, state: &State) -> bool {
        !state.heating
    }

    fn fault(&self, state: &State) -> Option<FaultNumber> {
        state.fault
    }

    fn trace(&self, state: &State, values: &mut [f32]) {
        values[0] = state.celsius.map_or(f32::NAN, |celsius| celsius as f32);
    }
}

impl LawKind for TwoPoint {
    const KIND: &'static str = "two-point";

    fn read(table: &mut LawTable<'_, '_>) -> Result<Self, ConfigError> {
        Ok(Self {
            temperature: table.input("temperature", "degC")?,
            heater: table.output("heater", "")?,
            target: table.number("target_c", 0.0..=300.0)?,
            band: table.number_or("band_k", 0.1..=20.0, 1.0)?,
            limit: table.number("limit_c", 0.0..=350.0)?,
            longest: table.number("longest_heating_s", 1.0..=3600.0)?,
        })
    }

    fn explain(&self, fault: FaultNumber) -> String {
        match fault {
            TOO_HOT => "the oven is too hot; check the switch of the heater",
            _ => "the heater has no effect; check heater, fuse and thermometer",
        }
        .to_owned()
    }
}

/// A law is tested without Linux, devices and clock: it needs only a process image.
#[cfg(test)]
mod tests {
    use super::*;
    use steadfast::cycle::image::{InputError, Inputs, Outputs};
    use steadfast::cycle::ports::Tick;
    use steadfast::cycle::signal::Readings;
    use steadfast::time::{Duration, Instant};

    fn law() -> TwoPoint {
        TwoPoint {
            temperature: Input::numbered(0).unwrap(),
            heater: Output::numbered(0).unwrap(),
            target: 60.0,
            band: 1.0,
            limit: 80.0,
            longest: 8.0,
        }
    }

    /// One step, one second after the last one. Returns whether it heats.
    fn step(law: &TwoPoint, state: &mut State, celsius: Result<f64, InputError>) -> bool {
        let tick = Tick::default();
        let (mut inputs, mut outputs) = (Inputs::NOT_READ, Outputs::new(0, &[]));
        let began = Instant::from_nanos(0);
        Readings::new(&mut inputs, &tick, began).put(law.temperature, celsius);
        let mut io = Io::new(&inputs, &mut outputs, &tick, Duration::from_secs(1));
        law.step(state, &mut io);
        law.heater.of(&outputs).unwrap()
    }

    #[test]
    fn it_switches_on_below_the_band_and_off_above_it() {
        let (law, mut state) = (law(), law().start());
        for (celsius, heats) in [(59.5, false), (58.5, true), (60.5, true), (61.5, false)] {
            assert_eq!(step(&law, &mut state, Ok(celsius)), heats, "{celsius}");
        }
        assert!(law.at_rest(&state));
    }

    #[test]
    fn it_does_not_heat_without_a_reading() {
        let (law, mut state) = (law(), law().start());
        assert!(step(&law, &mut state, Ok(20.0)));
        assert!(!step(&law, &mut state, Err(InputError::Bus)));
        assert_eq!(law.fault(&state), None);
    }

    #[test]
    fn faults_are_latched_and_switch_the_heater_off() {
        let (law, mut state) = (law(), law().start());
        assert!(!step(&law, &mut state, Ok(81.0)));
        assert!(!step(&law, &mut state, Ok(20.0)));
        assert_eq!(law.fault(&state), Some(TOO_HOT));

        let mut state = law.start();
        let heated = (0..20).filter(|_| step(&law, &mut state, Ok(20.0))).count();
        assert_eq!((heated, law.fault(&state)), (9, Some(NO_EFFECT)));
    }
}
