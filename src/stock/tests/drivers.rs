use std::fs;
use std::sync::{Arc, Mutex};

use super::*;
use crate::device::pwm::{Polarity, PwmConfig};
use crate::sim::SimPwm;
use crate::stock::{OpenBridge, OpenCounter, OpenPwm};

const CHANNEL: PwmConfig = PwmConfig {
    channel: 0,
    period_ns: 50_000,
    polarity: Polarity::Normal,
    safe_duty_ns: 0,
};

fn drive(device: &mut impl Device, duty: f64) -> Result<(), NotDriven> {
    let (outputs, tick) = (Outputs::new(0, &[duty]), Tick::default());
    device.act(&Commands::new(&outputs, &tick))
}

#[test]
fn a_pwm_channel_is_on_for_its_share_of_the_period() {
    let load = Arc::new(Mutex::new(SimPwm::default()));
    let channel = Pwm::simulated(&CHANNEL, load.clone()).unwrap();
    let mut device = OpenPwm::new(channel, Output::numbered(0).unwrap());
    for (duty, expected) in [(0.0, 0), (0.5, 25_000), (1.0, 50_000)] {
        drive(&mut device, duty).unwrap();
        let driven = load.lock().unwrap().duty_ns;
        assert!(expected - driven.min(expected) <= 1, "{duty}: {driven} ns");
    }
    load.lock().unwrap().failing = 1;
    assert_eq!(drive(&mut device, 0.5), Err(NotDriven));
}

#[test]
fn a_bridge_never_drives_both_sides() {
    let loads = [(); 2].map(|()| Arc::new(Mutex::new(SimPwm::default())));
    let channels = loads
        .each_ref()
        .map(|load| Pwm::simulated(&CHANNEL, load.clone()).unwrap());
    let mut bridge = OpenBridge::new(channels, Output::numbered(0).unwrap(), 1.0);
    for (duty, expected) in [(0.5, [25_000, 0]), (-1.0, [0, 50_000]), (0.0, [0, 0])] {
        drive(&mut bridge, duty).unwrap();
        let driven = loads.each_ref().map(|load| load.lock().unwrap().duty_ns);
        for (driven, expected) in driven.into_iter().zip(expected) {
            assert!(expected - driven.min(expected) <= 1, "{duty}: {driven} ns");
            assert_eq!(driven == 0, expected == 0, "{duty}");
        }
    }
    let mut bridge = OpenBridge::new(
        loads
            .each_ref()
            .map(|load| Pwm::simulated(&CHANNEL, load.clone()).unwrap()),
        Output::numbered(0).unwrap(),
        24.0,
    );
    drive(&mut bridge, -6.0).unwrap();
    let driven = loads.each_ref().map(|load| load.lock().unwrap().duty_ns);
    assert!(
        driven[0] == 0 && 12_500 - driven[1] <= 1,
        "{driven:?}: 6 of 24 V"
    );
    drive(&mut bridge, 0.0).unwrap();
    // If one side cannot be switched off, the other one stays off.
    loads[0].lock().unwrap().failing = 1;
    assert_eq!(drive(&mut bridge, -0.5), Err(NotDriven));
    assert_eq!(loads[1].lock().unwrap().duty_ns, 0);
}

#[test]
fn a_counter_gives_the_angle_of_its_count_and_fails_without_a_count() {
    let path = std::env::temp_dir().join(format!("steadfast-count-{}", std::process::id()));
    fs::write(&path, "").unwrap();
    let signals = (Input::numbered(0).unwrap(), Input::numbered(0).unwrap());
    let mut counter = OpenCounter::new(fs::File::open(&path).unwrap(), 0.001, signals);
    let mut sense = |count: &str| {
        fs::write(&path, count).unwrap();
        let (mut inputs, tick) = (Inputs::NOT_READ, Tick::default());
        counter.sense(&mut Readings::new(&mut inputs, &tick, tick.now));
        let (whole, within) = (inputs.analogs[0].value, inputs.positions[0].value);
        assert_eq!(within, whole.map(Angle::from_radians));
        whole
    };
    assert_eq!(sense("250\n"), Ok(0.25));
    assert_eq!(sense("-4000\n"), Ok(-4.0));
    for nonsense in ["", "\n", "no count\n", "99999999999999999999999999\n"] {
        assert_eq!(sense(nonsense), Err(InputError::Bus), "{nonsense:?}");
    }
    fs::remove_file(&path).unwrap();
}
