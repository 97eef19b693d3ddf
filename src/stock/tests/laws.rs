use super::*;

#[test]
fn a_non_finite_input_counts_as_missing() {
    let mut bench = pid("set_point = 5.0\nset_point_rate = 9.0\nkp = 0.1\ntolerated_s = 1.0");
    let mut lamp = law(
        "alarm",
        "output = \"output.lamp\"\nlow = 1.0\ntolerated_s = 1.0",
    );
    let keys = "targets = [5.0]\nrates = [9.0]\nholds_s = [99.0]\ntolerated_s = 1.0";
    let mut profile = law("profile", keys);
    for nothing in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (gauge, duty, lit, set_point) in [(nothing, SAFE, true, 0.0), (5.0, 0.0, false, 5.0)] {
            bench.step(gauge);
            assert_eq!(bench.duty(), duty, "{gauge} of {nothing}");
            lamp.step(gauge);
            assert_eq!(lamp.lamp(), lit, "{gauge} of {nothing}");
            profile.step(gauge);
            assert_eq!(
                profile.outputs.analogs[1], set_point,
                "{gauge} of {nothing}"
            );
        }
    }
    let mut bench = pid("set_point = 5.0\nkp = 0.1");
    bench.step(f64::NAN);
    assert_eq!(bench.words(0), UNKNOWN);
}

/// A bench with a law of this `kind` on the gauge.
fn law(kind: &str, keys: &str) -> Bench {
    Bench::new(&format!(
        "\n[law.x]\nkind = \"{kind}\"\ninput = \"gauge.angle\"\n{keys}\n"
    ))
}

const UNKNOWN: &str =
    "gauge.angle has no valid value; check for a broken wire or a device that does not answer";

fn pid(keys: &str) -> Bench {
    law("pid", &format!("output = \"valve.duty\"\n{keys}"))
}

#[test]
fn a_pid_acts_on_the_deviation_within_the_range_of_its_output() {
    let mut bench = pid("set_point = 5.0\nkp = 0.1");
    for (gauge, duty) in [(0.0, 0.5), (3.0, 0.2), (6.0, 0.0), (-20.0, 1.0)] {
        bench.step(gauge);
        assert!((bench.duty() - duty).abs() < 1e-12, "{}", bench.duty());
    }
    let mut bench = pid("set_point = 5.0\nkp = 0.1\nmin = 0.1\nmax = 0.9");
    for (gauge, duty) in [(6.0, 0.1), (-20.0, 0.9)] {
        bench.step(gauge);
        assert_eq!(bench.duty(), duty);
    }
}

#[test]
fn a_reverse_pid_raises_its_output_when_the_input_is_above_the_set_point() {
    let mut bench = pid("set_point = 5.0\nkp = 0.1\nreverse = true");
    bench.step(8.0);
    assert!((bench.duty() - 0.3).abs() < 1e-12, "{}", bench.duty());
    bench.step(2.0);
    assert_eq!(bench.duty(), 0.0);
}

#[test]
fn a_pid_integrates_and_leaves_a_limit_in_the_time_of_its_gains() {
    let mut bench = pid("set_point = 1.0\nkp = 0.1\nki = 0.1");
    (0..100).for_each(|_| bench.step(0.5));
    // 0.05 from kp, and 10 s of 0.05/s without the last step.
    assert!((bench.duty() - 0.545).abs() < 1e-9, "{}", bench.duty());
    (0..10_000).for_each(|_| bench.step(0.0));
    assert_eq!(bench.duty(), 1.0);
    // kp/ki is 1 s. Without anti-windup it would take 1,000 s.
    (0..30).for_each(|_| bench.step(2.0));
    assert!(bench.duty() < 0.9, "{}", bench.duty());
}

#[test]
fn a_pid_without_its_input_is_safe_at_once_and_reports_a_fault_after_the_tolerated_time() {
    let mut bench = pid("set_point = 5.0\nkp = 0.1\ntolerated_s = 0.25");
    bench.step(0.0);
    for _ in 0..2 {
        bench.step(None);
        assert_eq!((bench.duty(), bench.status.fault), (SAFE, None));
    }
    bench.step(0.0);
    assert_eq!((bench.duty(), bench.status.fault), (0.5, None));
    (0..3).for_each(|_| bench.step(None));
    assert_eq!((bench.duty(), bench.words(0).as_str()), (SAFE, UNKNOWN));
    // It does not start again by itself.
    bench.step(0.0);
    assert_eq!((bench.duty(), bench.words(0).as_str()), (SAFE, UNKNOWN));
}

#[test]
fn a_pid_approaches_its_set_point_from_where_the_input_is() {
    let mut bench = pid("set_point = 5.0\nset_point_rate = 2.0\nkp = 1.0");
    for cycle in 1..=20_u8 {
        bench.step(4.0);
        let on_the_way = (0.2 * f64::from(cycle)).min(1.0);
        assert!(
            (bench.duty() - on_the_way).abs() < 1e-9,
            "{cycle}: {}",
            bench.duty()
        );
    }
    // After a stop it starts at the present input.
    bench.stop(true);
    bench.step(3.0);
    assert_eq!(bench.duty(), SAFE);
    bench.stop(false);
    bench.step(3.0);
    assert!((bench.duty() - 0.2).abs() < 1e-9, "{}", bench.duty());
}

#[test]
fn a_pid_whose_input_does_not_follow_reports_a_fault() {
    let mut bench = pid("set_point = 5.0\nkp = 0.01\ndeviation = 4.0");
    bench.step(1.5);
    assert_eq!(bench.status.fault, None);
    bench.step(0.5);
    let words = "gauge.angle does not follow its set point; \
                 check for an obstacle or an actuator without power";
    assert_eq!((bench.duty(), bench.words(0).as_str()), (SAFE, words));
}

#[test]
fn a_pid_damps_with_the_measured_rate_or_else_with_the_input() {
    let mut bench = pid("set_point = 5.0\nkp = 0.1\nkd = 0.05\nrate = \"rate.angle\"");
    bench.inputs.analogs[1].value = Ok(4.0);
    bench.step(0.0);
    assert!((bench.duty() - 0.3).abs() < 1e-12, "{}", bench.duty());
    bench.inputs.analogs[1].value = Err(InputError::Bus);
    bench.step(0.0);
    assert_eq!(bench.duty(), SAFE, "the rate is not known");
    let mut bench = pid("set_point = 5.0\nkp = 0.1\nkd = 0.05\nderivative_cutoff_hz = 4.9");
    bench.step(1.0);
    assert!((bench.duty() - 0.4).abs() < 1e-12, "no rate so far");
    bench.step(2.0);
    assert!(bench.duty() < 0.1, "{}", bench.duty());
}

#[test]
fn a_pid_brakes_during_a_stop_with_the_measured_rate() {
    let keys = "set_point = 5.0\nkp = 0.1\nkd = 0.1\nrate = \"rate.angle\"\nbrake_to = 0.5";
    let mut bench = pid(keys);
    bench.stop(true);
    for (rate, duty, rests) in [(-4.0, 0.4, false), (4.0, 0.0, false), (0.5, SAFE, true)] {
        bench.inputs.analogs[1].value = Ok(rate);
        bench.step(0.0);
        assert_eq!(
            (bench.duty(), bench.laws[0].at_rest()),
            (duty, rests),
            "{rate}"
        );
    }
    bench.inputs.analogs[1].value = Err(InputError::Bus);
    bench.step(0.0);
    assert_eq!((bench.duty(), bench.laws[0].at_rest()), (SAFE, true));
    let mut bench = pid(&format!("{keys}\nreverse = true"));
    bench.stop(true);
    bench.inputs.analogs[1].value = Ok(4.0);
    bench.step(0.0);
    assert_eq!(bench.duty(), 0.4, "the other way round");
}

#[test]
fn a_pid_without_an_output_key_publishes_its_output_as_a_signal() {
    let mut bench = Bench::new(
        r#"
law.heat = { kind = "pid", input = "gauge.angle", set_point = 10.0, kp = 0.1 }
law.relay = { kind = "proportion", input = "heat.output", output = "output.relay", window = 10 }
"#,
    );
    let on = (0..10).filter(|_| {
        bench.step(7.0);
        bench.relay()
    });
    assert_eq!(on.count(), 3);
}

#[test]
fn a_proportion_is_off_at_once_at_a_share_of_zero() {
    let mut bench = Bench::new(
        r#"
law.heat = { kind = "pid", input = "gauge.angle", set_point = 10.0, kp = 0.1, tolerated_s = 9 }
law.relay = { kind = "proportion", input = "heat.output", output = "output.relay", window = 10 }
"#,
    );
    bench.step(2.0);
    assert!(bench.relay());
    bench.step(None);
    assert!(!bench.relay());
    bench.stop(true);
    bench.step(2.0);
    assert!(!bench.relay());
    bench.stop(false);
    // The window's first cycle was skipped.
    bench.tick.slot = 13;
    bench.step(5.0);
    assert!(bench.relay());
    bench.tick.slot = 15;
    bench.step(5.0);
    assert!(!bench.relay());
}

#[test]
fn a_two_point_law_switches_at_the_ends_of_its_hysteresis() {
    let keys = "output = \"output.relay\"\nset_point = 60.0\nhysteresis = 2.0";
    let mut bench = law("two_point", keys);
    let path = [50.0, 59.5, 60.9, 61.1, 60.0, 59.1, 58.9, 59.5];
    let on = [true, true, true, false, false, false, true, true];
    for (gauge, on) in path.into_iter().zip(on) {
        bench.step(gauge);
        assert_eq!(bench.relay(), on, "{gauge}");
    }
    bench.stop(true);
    bench.step(50.0);
    assert!(!bench.relay());
    let mut bench = law("two_point", &format!("{keys}\nreverse = true"));
    for (gauge, on) in path
        .into_iter()
        .zip([false, false, false, true, true, true, false, false])
    {
        bench.step(gauge);
        assert_eq!(bench.relay(), on, "{gauge}");
    }
}

#[test]
fn a_two_point_law_is_safe_while_its_input_is_out_of_range() {
    let keys = "set_point = 60.0\nhysteresis = 2.0\nvalid_min = -20.0\nvalid_max = 150.0";
    let keys = format!("output = \"output.relay\"\n{keys}\ntolerated_s = 0.15");
    for broken in [Some(-50.0), Some(151.0), Some(f64::NAN), None] {
        let mut bench = law("two_point", &keys);
        bench.step(20.0);
        assert!(bench.relay());
        bench.step(broken);
        assert!(!bench.relay() && bench.status.fault.is_none(), "{broken:?}");
        bench.step(20.0);
        assert!(bench.relay(), "{broken:?}");
        (0..2).for_each(|_| bench.step(broken));
        assert_eq!(bench.words(0), UNKNOWN);
        bench.step(20.0);
        assert!(!bench.relay(), "{broken:?}");
    }
}

#[test]
fn an_alarm_waits_for_its_delay_but_not_if_the_input_is_lost() {
    let keys = "output = \"output.lamp\"\nlow = 10.0\nhigh = 20.0\ndelay_s = 0.25";
    let mut bench = law("alarm", &format!("{keys}\ntolerated_s = 0.15"));
    for (gauge, lit) in [
        (15.0, false),
        (9.0, false),
        (9.0, false),
        (15.0, false),
        (21.0, false),
        (9.0, false),
        (21.0, true),
        (20.0, false),
    ] {
        bench.step(gauge);
        assert_eq!(bench.lamp(), lit, "{gauge}");
    }
    bench.step(None);
    assert!(bench.lamp() && bench.status.fault.is_none());
    bench.step(15.0);
    assert!(!bench.lamp());
    (0..2).for_each(|_| bench.step(None));
    assert_eq!(bench.words(0), UNKNOWN);
    bench.step(15.0);
    assert!(bench.lamp(), "a fault stays");
}

#[test]
fn an_alarm_is_off_while_an_oscillating_input_passes_both_limits_within_the_delay() {
    let keys = "output = \"output.lamp\"\nlow = 16.0\nhigh = 8.0\ndelay_s = 0.35";
    for (swing, lit) in [
        ([20.0, 5.0], false),
        ([15.0, 5.0], true),
        ([20.0, 9.0], true),
    ] {
        let mut bench = law("alarm", keys);
        for _ in 0..10 {
            (0..2).for_each(|_| bench.step(swing[0]));
            (0..2).for_each(|_| bench.step(swing[1]));
        }
        assert_eq!(bench.lamp(), lit, "{swing:?}");
    }
}

/// The set points of a profile during `cycles` cycles with a gauge that follows exactly.
fn followed(bench: &mut Bench, cycles: usize) -> Vec<f64> {
    let mut gauge = 0.0;
    let step = |_| {
        bench.step(gauge);
        gauge = bench.outputs.analogs[1];
        gauge
    };
    (0..cycles).map(step).collect()
}

#[test]
fn a_profile_follows_its_ramps_and_holds_and_then_idles() {
    let keys = "targets = [2.0, 1.0]\nrates = [5.0, 10.0]\nholds_s = [0.3, 0.0]";
    let mut bench = law(
        "profile",
        &format!("{keys}\nenable = \"output.relay\"\nidle = -1.0"),
    );
    let path = followed(&mut bench, 4);
    for (is, expected) in path.into_iter().zip([0.5, 1.0, 1.5, 2.0]) {
        assert!((is - expected).abs() < 1e-9, "{is}");
    }
    assert!(bench.relay());
    assert_eq!(followed(&mut bench, 2), [2.0, 2.0]);
    let path = followed(&mut bench, 3);
    assert_eq!(path[2], -1.0, "{path:?}");
    assert!(!bench.relay());
}

#[test]
fn a_profile_that_repeats_keeps_its_period() {
    let keys = "targets = [2.0, 1.0]\nrates = [1e9, 1e9]\nholds_s = [0.25, 0.45]\nrepeat = true";
    let mut bench = law("profile", keys);
    let path = followed(&mut bench, 7_000);
    // Periods of 0.7 s in steps of 0.1 s.
    let rises = path.windows(2).filter(|pair| pair[1] > pair[0]).count();
    assert!((999..=1_000).contains(&rises), "{rises}");
}

#[test]
fn a_repeated_profile_without_duration_does_not_loop_for_ever() {
    let keys = "targets = [1.0, 1.0]\nrates = [1.0, 1.0]\nholds_s = [0.0, 0.0]\nrepeat = true";
    let mut bench = law("profile", keys);
    assert_eq!(followed(&mut bench, 12)[11], 1.0);
}

#[test]
fn a_profile_waits_while_the_input_lags_behind() {
    let keys = "targets = [9.0]\nrates = [10.0]\nholds_s = [1.0]\nholdback = 2.5\nabove = 3.0";
    let mut bench = law("profile", keys);
    (0..20).for_each(|_| bench.step(0.0));
    assert_eq!(bench.outputs.analogs[1], 3.0);
    bench.step(1.0);
    assert_eq!(bench.outputs.analogs[1], 4.0);
    assert_eq!(bench.status.fault, None);
    bench.step(7.5);
    let words = "gauge.angle is above its set point; \
                 check for an output that does not switch off";
    assert_eq!(bench.words(0), words);
    assert_eq!(bench.outputs.analogs[1], 0.0, "idle");
}
