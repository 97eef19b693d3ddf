//! GPIO with a stub of the kernel's GPIO interface: requests, calls per cycle, and the error
//! of each refusal.
#![cfg(feature = "linux")]

mod device_stub;

use device_stub::{StubChip, chip, input};
use std::os::fd::AsFd;
use steadfast::cycle::image::DigitalInputs;
use steadfast::device::gpio::{
    Bank, Bias, Chips, GpioError, InputLine, InputLines, KernelChips, Levels, LineId, LineValues,
    Name, OutputLine, OutputLines, Requested, SetClear, find_chip, find_line, flag, present_chips,
};
use steadfast::sys::gpio::{LineAttribute, LineConfigAttribute};
use steadfast::sys::registers::Registers;
use steadfast::sys::{Errno, emergency};
use testbed::emulation;

struct StubChips(Vec<Result<StubChip, Errno>>);

impl Chips for StubChips {
    type Chip = StubChip;

    fn names(&self) -> Vec<String> {
        (0..self.0.len()).map(|n| format!("gpiochip{n}")).collect()
    }

    fn open(&self, name: &str) -> Result<StubChip, Errno> {
        let number = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let number: usize = number.parse().map_err(|_| Errno(2))?;
        self.0[number].clone()
    }
}

fn board() -> StubChips {
    StubChips(vec![
        Ok(chip("gpiochip0", "30200000.gpio", &["", "estop", "twice"])),
        Ok(chip("gpiochip1", "30210000.gpio", &["brake", "twice"])),
        Ok(chip("gpiochip2", "expander", &["same", "same"])),
        Ok(chip("gpiochip3", "expander", &[])),
    ])
}

fn output(channel: u8, offset: u32, safe: bool) -> OutputLine {
    OutputLine {
        channel,
        offset,
        safe,
        ..OutputLine::default()
    }
}

#[test]
fn a_chip_is_found_by_label_name_and_path() {
    let board = board();
    for name in ["30210000.gpio", "gpiochip1", "/dev/gpiochip1"] {
        let (_, info) = find_chip(&board, name).ok().unwrap();
        assert_eq!(info.name.as_str(), "gpiochip1", "{name}");
    }
    let none = find_chip(&board, "nowhere").err();
    let expected = GpioError::NoChip {
        present: 4,
        unreadable: None,
    };
    assert_eq!(none, Some(expected));
    let both = find_chip(&board, "expander").err();
    assert_eq!(both, Some(GpioError::AmbiguousChip { matches: 2 }));
    let locked = StubChips(vec![Err(Errno(13))]);
    let expected = GpioError::NoChip {
        present: 0,
        unreadable: Some(Errno(13)),
    };
    assert_eq!(find_chip(&locked, "expander").err(), Some(expected));
    let opened = find_chip(&locked, "gpiochip0").err();
    assert_eq!(opened, Some(GpioError::Open(Errno(13))));
}

/// On a Raspberry Pi 5, /dev/gpiochip4 is a symbolic link to gpiochip0.
#[test]
fn a_chip_with_two_names_is_one_chip() {
    let mut board = board();
    let link = board.0[0].clone();
    board.0.push(link);
    for name in ["30200000.gpio", "gpiochip4", "/dev/gpiochip4"] {
        let (_, info) = find_chip(&board, name).ok().unwrap();
        assert_eq!(info.name.as_str(), "gpiochip0", "{name}");
    }
    assert_eq!(present_chips(&board).len(), 4);
    let both = find_chip(&board, "expander").err();
    assert_eq!(both, Some(GpioError::AmbiguousChip { matches: 2 }));
}

#[test]
fn a_missing_chip_is_reported_with_the_existing_chips() {
    let board = board();
    let error = find_chip(&board, "30200000").err().unwrap();
    let present = present_chips(&board);
    let words = error
        .explain(Requested {
            chip: "30200000",
            line: "",
            present: &present,
        })
        .to_string();
    assert_eq!(
        words,
        "no GPIO chip has the name or label \"30200000\"; this machine has gpiochip0 \
         (30200000.gpio, 3 lines), gpiochip1 (30210000.gpio, 2 lines), gpiochip2 (expander, \
         2 lines), gpiochip3 (expander, 0 lines)"
    );
}

#[test]
fn a_line_is_found_by_number_and_by_name() {
    let board = board();
    let (chip, info) = find_chip(&board, "gpiochip0").ok().unwrap();
    let find = |line| find_line(&chip, &info, line);
    assert_eq!(find(LineId::Offset(2)), Ok(2));
    assert_eq!(find(LineId::Name("estop")), Ok(1));
    let beyond = GpioError::OffsetOutOfRange {
        offset: 3,
        lines: 3,
    };
    assert_eq!(find(LineId::Offset(3)), Err(beyond));
    assert_eq!(
        find(LineId::Name("lamp")),
        Err(GpioError::NoLine { lines: 3 })
    );
    let (chip, info) = find_chip(&board, "gpiochip2").ok().unwrap();
    assert_eq!(
        find_line(&chip, &info, LineId::Name("same")),
        Err(GpioError::AmbiguousLine { matches: 2 })
    );
}

#[test]
fn outputs_are_requested_at_their_safe_values_in_one_request() {
    let chip = chip("gpiochip0", "", &[]);
    let lines = [
        output(5, 20, true),
        OutputLine {
            active_low: true,
            ..output(3, 11, false)
        },
        output(4, 12, true),
    ];
    let outputs = OutputLines::request(&chip, &lines).unwrap();
    let requests = chip.wires.requests.borrow();
    let [request] = requests.as_slice() else {
        panic!("expected one request, got {}", requests.len());
    };
    assert_eq!(request.offsets[..4], [11, 12, 20, 0]);
    assert_eq!(request.line_count, 3);
    assert_eq!(request.consumer.as_str(), "steadfast");
    assert_eq!(request.config.flags, flag::OUTPUT | flag::ACTIVE_LOW);
    assert_eq!(request.config.attribute_count, 2);
    let attribute = |attribute, mask| LineConfigAttribute { attribute, mask };
    assert_eq!(
        request.config.attributes[..2],
        [
            attribute(LineAttribute::output_values(0b110), 0b111),
            attribute(LineAttribute::flags(flag::OUTPUT), 0b110),
        ]
    );
    assert_eq!(outputs.channels(), 0b11_1000);
    assert!(chip.wires.sets.borrow().is_empty(), "one call is enough");
}

#[test]
fn all_outputs_are_set_by_one_call_and_other_channels_are_ignored() {
    let chip = chip("gpiochip0", "", &[]);
    let lines = [output(1, 7, true), output(2, 9, false), output(8, 4, true)];
    let mut outputs = OutputLines::request(&chip, &lines).unwrap();
    outputs.write(0xFFFF_FFFB).unwrap();
    outputs.write(0b100).unwrap();
    let sets = [0b101, 0b010].map(|bits| LineValues { bits, mask: 0b111 });
    assert_eq!(*chip.wires.sets.borrow(), sets);
    chip.wires.refuse.set(Some(Errno(5)));
    assert_eq!(outputs.write(0), Err(GpioError::Set(Errno(5))));
}

#[test]
fn inputs_are_read_by_one_call_and_edges_are_changes_of_level() {
    let chip = chip("gpiochip0", "", &[]);
    let lines = [input(9, 3), input(8, 2), input(10, 30)];
    let (mut inputs, reader) = InputLines::request(&chip, &lines).unwrap();
    assert!(reader.is_none());
    assert_eq!(inputs.channels(), 0b111 << 8);
    assert_eq!(chip.wires.requests.borrow()[0].offsets[..3], [2, 3, 30]);
    assert_eq!(chip.wires.requests.borrow()[0].event_buffer_size, 0);
    let mut read = |levels| {
        chip.wires.levels.set(levels);
        inputs.read().unwrap()
    };
    let digital = |levels: u32, rose: u32, fell: u32| DigitalInputs {
        levels: levels << 8,
        rose: rose << 8,
        fell: fell << 8,
    };
    assert_eq!(
        read(0b001),
        digital(0b001, 0, 0),
        "the first reading has no edges"
    );
    assert_eq!(read(0b110), digital(0b110, 0b110, 0b001));
    assert_eq!(read(0b110), digital(0b110, 0, 0));
    assert_eq!(chip.wires.gets.get(), 3);
}

/// Registers of a chip in a file, which stands in for its device.
fn registers(test: &str, levels: u32) -> Registers {
    let name = format!("steadfast-{}-{test}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, [0; 4_096]).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path);
    let registers = Registers::map(file.unwrap().as_fd(), 0, Bank::Bcm2835.block_bytes()).unwrap();
    std::fs::remove_file(path).unwrap();
    registers.write(0x08, levels);
    registers
}

#[test]
fn inputs_by_registers_need_no_call_and_must_agree_with_the_kernel_at_first() {
    let chip = chip("gpiochip0", "", &[]);
    let lines = [input(8, 2), input(9, 3)];
    let (mut inputs, _) = InputLines::request(&chip, &lines).unwrap();
    let block = registers("levels", 1 << 3);
    let levels = || Levels::new(Bank::Mxc, block, &lines).unwrap();

    chip.wires.levels.set(0b01);
    let refused = inputs.by_registers(levels());
    assert_eq!(refused, Err(GpioError::OtherLevels));
    // They are still read through the kernel.
    assert_eq!(inputs.read().unwrap().levels, 0b01 << 8);

    chip.wires.levels.set(0b10);
    inputs.by_registers(levels()).unwrap();
    let calls = chip.wires.gets.get();
    assert_eq!(inputs.read().unwrap().levels, 0b10 << 8);
    block.write(0x08, 1 << 2);
    let read = inputs.read().unwrap();
    assert_eq!(
        (read.levels, read.rose, read.fell),
        (1 << 8, 1 << 8, 2 << 8)
    );
    assert_eq!(chip.wires.gets.get(), calls);
}

/// The only test here that depends on the safe-state latch.
#[test]
fn outputs_by_registers_need_no_call_and_only_the_kernel_sets_them_after_the_safe_plan() {
    let [functions, set, clear, levels] = [0x00, 0x1c, 0x28, 0x34];
    let chip = chip("gpiochip0", "", &[]);
    let lines = [output(4, 5, false), output(5, 6, true)];
    let mut outputs = OutputLines::request(&chip, &lines).unwrap();
    let block = registers("outputs", 0);
    let by_registers = || SetClear::new(Bank::Bcm2835, block, &lines).unwrap();
    chip.wires.levels.set(0b10);

    // Functions of lines 5 and 6: input and output, then both output.
    block.write(functions, 0b001 << 18);
    let refused = outputs.by_registers(by_registers());
    assert_eq!(refused, Err(GpioError::NotAnOutput { offset: 5 }));
    block.write(functions, 0b001_001 << 15);
    let refused = outputs.by_registers(by_registers());
    assert_eq!(refused, Err(GpioError::OtherLevels));
    outputs.write(0b01 << 4).unwrap();
    let by_kernel = |bits| LineValues { bits, mask: 0b11 };
    assert_eq!(*chip.wires.sets.borrow(), [by_kernel(0b01)]);

    block.write(levels, 1 << 6);
    outputs.by_registers(by_registers()).unwrap();
    outputs.write(0b01 << 4).unwrap();
    assert_eq!((block.read(set), block.read(clear)), (1 << 5, 1 << 6));
    assert_eq!(chip.wires.sets.borrow().len(), 1, "no call");

    emergency::lines();
    let refused = outputs.write(0b11 << 4);
    let safe = outputs.write_by_kernel(0b10 << 4);
    emergency::release_latch();
    assert_eq!(refused, Err(GpioError::Set(Errno(libc::ECANCELED))));
    assert_eq!((block.read(set), block.read(clear)), (1 << 5, 1 << 6));
    assert_eq!(safe, Ok(()));
    assert_eq!(chip.wires.sets.borrow()[1..], [by_kernel(0b10)]);
}

#[test]
fn a_failed_reading_is_an_error_and_loses_no_edge() {
    let chip = chip("gpiochip0", "", &[]);
    let (mut inputs, _) = InputLines::request(&chip, &[input(0, 3)]).unwrap();
    inputs.read().unwrap();
    chip.wires.levels.set(1);
    chip.wires.refuse.set(Some(Errno(121)));
    assert_eq!(inputs.read(), Err(GpioError::Get(Errno(121))));
    chip.wires.refuse.set(None);
    assert_eq!(inputs.read().unwrap().rose, 1);
}

#[test]
fn a_line_in_use_is_reported_with_its_consumer() {
    let mut chip = chip("gpiochip0", "", &["", "", ""]);
    chip.lines[2].flags = flag::USED;
    chip.lines[2].consumer = Name::new("regulator-vmmc");
    chip.wires.refuse.set(Some(Errno(16)));
    let refused = OutputLines::request(&chip, &[output(0, 1, false), output(1, 2, false)]);
    let expected = GpioError::Busy {
        offset: 2,
        consumer: Name::new("regulator-vmmc"),
    };
    let error = refused.err().unwrap();
    assert_eq!(error, expected);
    let words = error.explain(Requested {
        chip: "gpiochip0",
        line: "lamp",
        present: &[],
    });
    assert!(words.to_string().contains("in use by regulator-vmmc"));
}

#[test]
fn other_errors_of_the_kernel_keep_their_errno() {
    let latched = InputLine {
        latch: true,
        ..input(0, 3)
    };
    let chip = chip("gpiochip0", "", &[]);
    chip.wires.refuse.set(Some(Errno(6)));
    let refused = |lines: &[InputLine]| InputLines::request(&chip, lines).err();
    assert_eq!(refused(&[latched]), Some(GpioError::NoInterrupt));
    let plain = Some(GpioError::Request(Errno(6)));
    assert_eq!(refused(&[input(6, 5)]), plain);
}

#[test]
fn a_contradictory_list_of_lines_is_refused_without_a_system_call() {
    let chip = chip("gpiochip0", "", &[]);
    let refused = |lines: &[InputLine]| InputLines::request(&chip, lines).err();
    assert_eq!(refused(&[]), Some(GpioError::NoLines));
    assert_eq!(
        refused(&[input(32, 1)]),
        Some(GpioError::ChannelOutOfRange { channel: 32 })
    );
    assert_eq!(
        refused(&[input(3, 1), input(3, 2)]),
        Some(GpioError::DuplicateChannel { channel: 3 })
    );
    assert_eq!(
        refused(&[input(3, 1), input(4, 1)]),
        Some(GpioError::DuplicateLine { offset: 1 })
    );
    let biases = [Bias::AsIs, Bias::Disabled, Bias::PullUp, Bias::PullDown];
    let all_different: Vec<_> = (0..12)
        .map(|n| InputLine {
            bias: biases[usize::from(n % 4)],
            active_low: n & 4 != 0,
            latch: n & 8 != 0,
            ..input(n, u32::from(n))
        })
        .collect();
    assert_eq!(refused(&all_different), Some(GpioError::TooManyKinds));
    assert!(chip.wires.requests.borrow().is_empty());
}

#[test]
fn chips_are_listed_by_number_and_other_files_are_refused() {
    let directory = std::env::temp_dir().join(format!("steadfast-{}-chips", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for name in ["gpiochip10", "gpiochip2", "gpiochipx", "gpio"] {
        std::fs::write(directory.join(name), "").unwrap();
    }
    let chips = KernelChips::new(&directory);
    let (names, opened) = (chips.names(), find_chip(&chips, "gpiochip2").err());
    let Some(GpioError::Open(refused)) = opened else {
        panic!("expected an error: the file is not a GPIO chip: {opened:?}");
    };
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(names, ["gpiochip2", "gpiochip10"]);
    assert_eq!(chips.names(), names, "read once: /dev is large");
    assert_eq!(refused, Errno(emulation::enotty(refused.0)));
}
