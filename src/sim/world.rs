//! The trait of a plant, which connects the outputs of a machine to its inputs.

pub use crate::cycle::device::World;

use crate::time::Duration;

/// A plant, such as a motor, a tank or a pendulum. It reads outputs and sets inputs.
///
/// It runs between cycles and must not allocate. A run is bit-identical for the same board
/// file if the plant uses only [`World`] and its own state.
pub trait Plant: Send {
    /// Advances by `step` with the outputs of the last cycle.
    fn advance(&mut self, world: &mut World<'_>, step: Duration);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::image::{Inputs, Outputs};
    use crate::cycle::ports::Tick;
    use crate::cycle::signal::{Input, Output};
    use crate::time::Instant;

    /// A tank with an inflow.
    struct Tank {
        level: f64,
        inflow: Output<f64>,
        gauge: Input<f64>,
    }

    impl Plant for Tank {
        fn advance(&mut self, world: &mut World<'_>, step: Duration) {
            self.level += world.get(self.inflow) * step.as_secs_f64();
            world.put(self.gauge, self.level);
        }
    }

    #[test]
    fn a_plant_connects_outputs_to_inputs() {
        let mut inputs = Inputs::NOT_READ;
        let outputs = Outputs::new(0, &[0.5]);
        let mut tank = Tank {
            level: 1.0,
            inflow: Output::numbered(0).unwrap(),
            gauge: Input::numbered(0).unwrap(),
        };
        let tick = Tick::default();
        for seconds in 1..=4 {
            let now = Instant::from_nanos(seconds * 1_000_000_000);
            let mut world = World::new(&mut inputs, &outputs, &tick, now);
            tank.advance(&mut world, Duration::from_secs(1));
        }
        assert_eq!(inputs.analogs[0].value, Ok(3.0));
        assert_eq!(inputs.analogs[0].at, Instant::from_nanos(4_000_000_000));
    }
}
