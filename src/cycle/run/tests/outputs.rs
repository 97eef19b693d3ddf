//! Failing outputs, together with other losses.

use super::*;

#[test]
fn output_failures_count_only_in_a_row_and_also_while_an_input_is_lost() {
    /// Fails as scripted, cycle by cycle.
    struct Failing(Vec<Result<(), OutputError>>, usize);
    impl Sense for Failing {
        fn sense(&mut self, _: &Tick, _: &mut Inputs) {}
    }
    impl Act for Failing {
        fn safe_image(&self) -> Outputs {
            SAFE
        }

        fn act(&mut self, _: &Tick, _: &Outputs) -> Result<(), OutputError> {
            let result = self.0[self.1.min(self.0.len() - 1)];
            self.1 += 1;
            result
        }

        fn safe(&mut self, _: &Tick) -> Result<(), OutputError> {
            Ok(())
        }
    }
    /// Never comes to rest.
    struct Restless;
    impl Decide for Restless {
        type Config = ();
        type State = ();

        fn decide((): &(), (): &mut (), _: &Inputs, _: &Tick, _: &mut Outputs) {}

        fn at_rest((): &(), (): &()) -> bool {
            false
        }
    }
    let lost = Lost::AnalogInput(0, InputError::Bus);
    let (lost, failed) = (OutputError::Lost(lost), OutputError::Analog(0));
    let (lost, failed) = (Err(lost), Err(failed));
    let ended = End::OutputFailed(OutputError::Analog(0));
    for (acted, cycles, end) in [
        (vec![Ok(()), lost, failed], 5, ended),
        (vec![lost, failed, failed, lost, failed], 7, ended),
        (vec![failed, failed, failed], 3, ended),
        // The tenth slot after the loss is one too many.
        (vec![failed, failed, lost], 14, End::NotAtRest),
    ] {
        let mut cycle = Cycle::<_, Restless>::new(Failing(acted, 0), &(), (), None);
        let mut clock = Scripted {
            now: 0.into(),
            work: 40_000,
            late: Vec::new(),
        };
        let (timing, demand) = (
            &mut Timing::new(),
            &mut demand_at(u64::MAX, Demand::Continue),
        );
        let (plan, epoch) = (plan(Limit::None), Instant::from_nanos(0));
        let mut kept = Kept(Vec::new());
        let summary = run(
            &mut cycle, &plan, epoch, &mut clock, timing, &mut kept, demand,
        );
        assert_eq!((summary.end, kept.0.len()), (end, cycles));
    }
}
