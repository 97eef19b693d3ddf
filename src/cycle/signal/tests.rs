use super::*;
use crate::cycle::image::DigitalInputs;

const TICK: Tick = Tick {
    slot: 4,
    release: Instant::from_nanos(100),
    now: Instant::from_nanos(110),
    elapsed_slots: 1,
    directive: Directive::Run,
};

#[test]
fn a_device_writes_the_inputs_and_drives_the_outputs_of_a_law() {
    let mut inputs = Inputs::NOT_READ;
    let (rate, ready) = (Input::numbered(100).unwrap(), Input::numbered(31).unwrap());
    let angle = Input::<Angle>::numbered(31).unwrap();
    let mut readings = Readings::new(&mut inputs, &TICK, Instant::from_nanos(105));
    readings.put(rate, Ok(2.5));
    readings.put(ready, Ok(true));
    assert!(!readings.failed());
    readings.put_at(angle, Err(InputError::Parity), Instant::from_nanos(90));
    assert!(readings.failed());

    let (duty, on) = (Output::numbered(63).unwrap(), Output::numbered(31).unwrap());
    let mut outputs = Outputs::new(0, &[]);
    let mut io = Io::new(&inputs, &mut outputs, &TICK, Duration::from_millis(1));
    assert_eq!(io.read(rate).value, Ok(2.5));
    assert_eq!(io.read(rate).at, Instant::from_nanos(105));
    assert_eq!(io.read(ready).value, Ok(true));
    assert_eq!(io.read(angle).value, Err(InputError::Parity));
    assert_eq!(io.read(angle).at, Instant::from_nanos(90));
    io.set(duty, -0.25);
    io.set(on, true);
    assert_eq!(io.read(duty.reading()).value, Ok(-0.25));
    let commands = Commands::new(&outputs, &TICK);
    assert_eq!((commands.get(duty), commands.get(on)), (-0.25, true));
}

#[test]
fn digital_lines_are_signals() {
    let button = Input::line(InputChannel::new(3).unwrap());
    let lamp = Output::line(OutputChannel::new(5).unwrap());
    let mut inputs = Inputs::NOT_READ;
    let mut outputs = Outputs::new(0, &[]);
    let mut io = Io::new(&inputs, &mut outputs, &TICK, Duration::from_millis(1));
    assert_eq!(io.read(button).value, Err(InputError::NotRead));
    io.set(lamp, true);
    assert_eq!(io.read(lamp.reading()).value, Ok(true));
    assert_eq!(outputs.digital, 1 << 5);
    inputs.digital = Ok(DigitalInputs {
        levels: 8,
        rose: 0,
        fell: 0,
    });
    let io = Io::new(&inputs, &mut outputs, &TICK, Duration::from_millis(1));
    assert_eq!(io.read(button).value, Ok(true));
    assert_eq!(io.read(button).at, TICK.now);
}

#[test]
fn signal_numbers_beyond_the_image_are_refused() {
    assert!(Input::<f64>::numbered(MAX_ANALOGS as u8).is_none());
    assert!(Input::<bool>::numbered(MAX_FLAGS as u8).is_none());
    assert!(Input::<Angle>::numbered(MAX_POSITIONS as u8).is_none());
    assert!(Output::<f64>::numbered(MAX_COMMANDS as u8).is_none());
    assert!(Output::<bool>::numbered(MAX_FLAGS as u8).is_none());
    assert!(Output::<Angle>::numbered(0).is_none());
}
