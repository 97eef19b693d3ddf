//! Arbitrary replies of all chips to the ports of the loop: no panic, no more frames in a
//! cycle than its retries allow, no voltage out of range, and a lost device stays lost.
//! This includes the monitor of an analog output, because the MCP4922 has no data output.

#![no_main]

mod wire;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use steadfast::board::{Devices, Ports, SpiMap};
use steadfast::config::{Config, Io};
use steadfast::cycle::image::{DigitalInputs, InputError, Inputs, OutputError};
use steadfast::cycle::ports::{Act, Sense, Tick};
use steadfast::driver::as5047p;
use steadfast::time::{Duration, Instant};
use wire::Wire;

static BOARD: LazyLock<(Io, SpiMap)> = LazyLock::new(|| {
    const TEXT: &str = include_str!("../../tests/board_files/linux.toml");
    let io = Config::parse("linux.toml", TEXT).expect("good").io;
    let index = |spi: Option<usize>| spi.expect("a real board");
    let map = SpiMap {
        encoders: io.encoders.iter().map(|e| index(e.spi)).collect(),
        analog_outputs: io.analog_outputs.iter().map(|o| index(o.spi)).collect(),
        analog_inputs: io.analog_inputs.iter().map(|i| index(i.spi)).collect(),
    };
    assert!(
        io.analog_outputs
            .iter()
            .any(|output| output.monitor.is_some())
    );
    (io, map)
});

const PERIOD: Duration = Duration::from_millis(1);

/// One bus for all devices.
struct Board<'b> {
    wire: Wire<'b>,
    levels: u32,
}

impl<'b> Devices for Board<'b> {
    type Spi<'a>
        = &'a mut Wire<'b>
    where
        'b: 'a;

    fn advance(&mut self, tick: &Tick) -> Instant {
        tick.now
    }

    fn spi(&mut self, _: usize) -> &mut Wire<'b> {
        &mut self.wire
    }

    fn digital_inputs(&mut self) -> Result<DigitalInputs, InputError> {
        match self.wire.byte() {
            Some(levels) => Ok(DigitalInputs {
                levels: u32::from(levels),
                ..DigitalInputs::default()
            }),
            None => Err(InputError::Bus),
        }
    }

    fn digital_outputs(&mut self, levels: u32) -> Result<(), OutputError> {
        self.levels = levels;
        match self.wire.byte() {
            Some(0xFF) => Err(OutputError::Digital),
            _ => Ok(()),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (io, map) = &*BOARD;
    let board = Board {
        wire: Wire::new(bytes),
        levels: 0,
    };
    let mut ports = Ports::new(board, io, map).retrying_until(PERIOD);
    let most = io.encoders.len() as u32 * as5047p::MAX_FRAMES
        + io.analog_inputs.len() as u32
        + io.analog_outputs.len() as u32;
    let (mut inputs, mut outputs) = (Inputs::NOT_READ, ports.safe_image());
    let (mut slot, mut lost) = (0, None);
    while let Some(how) = ports.devices.wire.byte() {
        let elapsed_slots = if how & 1 == 0 { 1 } else { u32::from(how) };
        slot += u64::from(elapsed_slots);
        let release = Instant::from_nanos(0) + PERIOD * slot;
        let tick = Tick {
            slot,
            release,
            // A cycle that begins after its deadline may not retry.
            now: release + PERIOD * u64::from(how & 2 != 0),
            elapsed_slots,
            ..Tick::default()
        };
        let before = ports.devices.wire.frames;
        ports.sense(&tick, &mut inputs);
        for (input, read) in io.analog_inputs.iter().zip(&inputs.analogs) {
            let limits = input.min_volts..=input.max_volts;
            assert!(read.value.is_err() || read.value.is_ok_and(|volts| limits.contains(&volts)));
        }
        for output in &mut outputs.analogs {
            let volts = ports.devices.wire.byte().map_or(0.0, f64::from) - 128.0;
            *output = if volts == 127.0 {
                f64::NAN
            } else {
                volts / 8.0
            };
        }
        let acted = ports.act(&tick, &outputs);
        let now_lost = match acted {
            Err(OutputError::Lost(device)) => Some(device),
            // Ends the run independent of lost devices, and does not report them.
            Err(OutputError::NotFinite(_)) => lost,
            // A failed output takes precedence over a lost input.
            Err(_) => lost.filter(|lost| lost.can_stop()),
            Ok(()) => None,
        };
        assert!(lost.is_none() || now_lost.is_some(), "{lost:?} came back");
        // An input lost in a cycle with failed outputs is reported in the next cycle.
        lost = now_lost;
        let frames = ports.devices.wire.frames - before;
        let allowed = if how & 2 == 0 { 2 * most } else { most };
        assert!(frames <= allowed, "{frames} frames, {allowed} allowed");
        if how & 4 != 0 {
            let _ = ports.safe(&tick);
            let safe = io.outputs.iter().enumerate();
            let safe = safe.fold(0, |all, (at, o)| all | u32::from(o.safe) << at);
            assert_eq!(ports.devices.levels, safe);
            lost = None;
        }
    }
});
