//! The probe of `check` for a board file on a machine: all errors at once, devices compared
//! by number, and no device opened for use. The machine is stub GPIO chips and a root
//! directory.
#![cfg(feature = "linux")]

mod device_stub;

use device_stub::{StubChip, chip, input};
use embedded_hal::spi::MODE_0;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use steadfast::board::{self, Machine, buses};
use steadfast::config::Config;
use steadfast::device::gpio::{self, Bias, Chips, GpioError, InputLine, Name, flag};
use steadfast::sys::Errno;

const BOARD: &str = include_str!("board_files/linux.toml");

struct StubChips(Vec<StubChip>);

impl Chips for StubChips {
    type Chip = StubChip;

    fn names(&self) -> Vec<String> {
        (0..self.0.len()).map(|n| format!("gpiochip{n}")).collect()
    }

    fn open(&self, name: &str) -> Result<StubChip, Errno> {
        let number = name.trim_start_matches(|c: char| !c.is_ascii_digit());
        let number: usize = number.parse().map_err(|_| Errno(2))?;
        self.0.get(number).cloned().ok_or(Errno(2))
    }
}

/// A root directory that is removed with the test, with the devices of [`BOARD`]:
/// links to devices that every machine has, all different.
struct Root(PathBuf);

impl Root {
    fn new(test: &str) -> Self {
        let name = format!("steadfast-{}-probe-{test}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(root.0.join("dev")).unwrap();
        fs::create_dir_all(root.0.join("sys/dev/char")).unwrap();
        root.put("sys/dev/char/.keep", "");
        for (name, like) in [
            ("spidev0.0", "null"),
            ("spidev0.1", "zero"),
            ("spidev1.0", "full"),
            ("spidev1.1", "random"),
            ("watchdog0", "urandom"),
        ] {
            root.link(&format!("dev/{name}"), &format!("/dev/{like}"));
        }
        root.link("dev/i2c-2", "/dev/tty");
        root.link("sys/dev/char/5:0", "../../devices/soc/i2c-2/i2c-dev/i2c-2");
        root.put("sys/devices/soc/30660000.pwm/uevent", "");
        root.put("sys/class/pwm/pwmchip0/npwm", "2\n");
        root.put("sys/class/pwm/pwmchip0/export", "");
        root.link(
            "sys/class/pwm/pwmchip0/device",
            "../../../devices/soc/30660000.pwm",
        );
        // The controller of bus 0, its interrupt and the interrupt's thread.
        root.put("sys/devices/soc/30820000.spi/uevent", "");
        root.put("sys/class/spi_master/spi0/uevent", "");
        let controller = root.0.join("sys/devices/soc/30820000.spi");
        root.link(
            "sys/class/spi_master/spi0/device",
            controller.to_str().unwrap(),
        );
        root.link("sys/dev/char/1:3", "../../devices/spidev0.0");
        root.put("sys/kernel/irq/41/actions", "30820000.spi\n");
        root.put("proc/92/comm", "irq/41-30820000.spi\n");
        let between = ["0"; 36].join(" ");
        root.put("proc/92/stat", &format!("92 (irq) S {between} 85 1 0 0\n"));
        root
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.0.join(path);
        let _ = fs::remove_file(&path);
        symlink(to, path).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).unwrap();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The chips of [`BOARD`]: `main` is gpiochip0, `expander` is gpiochip4.
fn chips() -> StubChips {
    let lines: Vec<&str> = ["", "", "", "", "", "", "", "", "", "", "", "RESET"].to_vec();
    let mut all: Vec<_> = ["pinctrl-bcm2711", "b", "c", "d", "expander"]
        .iter()
        .enumerate()
        .map(|(n, label)| chip(&format!("gpiochip{n}"), label, &lines))
        .collect();
    for chip in &mut all {
        // A running controller holds its lines.
        chip.lines[8].flags = flag::USED;
        chip.lines[8].consumer = Name::new("steadfast");
    }
    StubChips(all)
}

/// The errors, each as its line of the board file and its message.
fn missing(text: &str, chips: StubChips, root: &Root) -> Vec<(String, String)> {
    let config = Config::parse("b.toml", text).expect("good");
    let machine = Machine {
        chips,
        root: &root.0,
    };
    let lines = text.lines().collect::<Vec<_>>();
    board::missing(&config, &machine)
        .iter()
        .map(|error| {
            let position = error.position.expect("each has a position");
            let shown = error.to_string();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert!(shown.starts_with(&format!("b.toml:{}:", position.line)));
            assert!(!error.fix.is_empty(), "{shown}");
            (lines[position.line - 1].to_owned(), shown)
        })
        .collect()
}

/// Requires these errors in this order: the table they point at, and part of the message.
fn require(found: &[(String, String)], expected: &[(&str, &str)]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((line, shown), (table, words)) in found.iter().zip(expected) {
        assert!(line.contains(table), "{table} in {line}: {shown}");
        assert!(shown.contains(words), "{words:?} in {shown}");
    }
}

#[test]
fn a_bias_is_refused_for_a_chip_whose_driver_ignores_it() {
    let root = Root::new("bias");
    let mut chips = chips();
    chips.0[0].info.label = Name::new("30200000.gpio");
    let text = BOARD.replace("\"pinctrl-bcm2711\"", "\"gpiochip0\"");
    require(
        &missing(&text, chips, &root),
        &[(
            "[input.emergency_stop]",
            "the driver of 30200000.gpio (gpio-mxc) does not set a bias",
        )],
    );
}

#[test]
fn a_complete_machine_has_no_missing_devices() {
    let root = Root::new("all");
    require(&missing(BOARD, chips(), &root), &[]);
}

#[test]
fn all_missing_devices_are_listed_in_the_order_of_the_file() {
    let root = Root::new("missing");
    for name in ["dev/spidev0.1", "dev/spidev1.0", "dev/watchdog0"] {
        root.remove(name);
    }
    root.put("dev/spidev1.0", "a file");
    root.remove("proc/92/comm");
    root.put("proc/2/comm", "kthreadd\n");
    let mut chips = chips();
    chips.0.truncate(4);
    chips.0[0].lines[5].flags = flag::USED;
    chips.0[0].lines[5].consumer = Name::new("regulator-vmmc");
    let text = BOARD.replace("line = \"RESET\"", "line = \"PANEL\"");
    let text = text.replace("line = 10\nsafe = false", "line = 12\nsafe = false");
    require(
        &missing(&text, chips, &root),
        &[
            ("[watchdog]", "/dev/watchdog0: no such watchdog"),
            (
                "[gpio.expander]",
                "no GPIO chip has the name or label \"gpiochip4\"",
            ),
            ("[spi.shaft]", "interrupt 41 has no thread"),
            ("[spi.dac]", "/dev/spidev0.1: no such device"),
            ("[spi.adc]", "not an SPI device"),
            (
                "[input.emergency_stop]",
                "line 5 is in use by regulator-vmmc",
            ),
            ("[input.reset]", "none of 12 lines is named \"PANEL\""),
            ("[output.heartbeat]", "there is no line 12"),
        ],
    );
}

#[test]
fn a_device_configured_under_two_names_is_detected() {
    let root = Root::new("twice");
    root.link("dev/spidev1.1", "spidev0.0");
    let mut chips = chips();
    // gpiochip4 is a link to gpiochip0.
    chips.0[4] = chips.0[0].clone();
    // Line 11 by its name.
    let text = BOARD.replace("line = 10\nsafe = false", "line = 11\nsafe = false");
    require(
        &missing(&text, chips, &root),
        &[
            (
                "[gpio.expander]",
                "[gpio.expander] is the same chip as [gpio.main] in line",
            ),
            (
                "[spi.table]",
                "[spi.table] /dev/spidev1.1 is the same device as [spi.shaft] in line",
            ),
            (
                "[output.heartbeat]",
                "uses line 11 of [gpio.main], as does [input.reset] in line",
            ),
        ],
    );
}

#[test]
fn errors_of_adapters_and_pwm_channels_are_detected_without_opening_them() {
    let root = Root::new("buses");
    let adapter = |words| missing_words(&root, "[i2c.sensors]", words);
    root.remove("dev/i2c-2");
    adapter("/dev/i2c-2: no such device");
    root.put("dev/i2c-2", "a file");
    adapter("not an I2C adapter");
    root.remove("dev/i2c-2");
    root.link("dev/i2c-2", "/dev/zero");
    root.link("sys/dev/char/1:5", "../../devices/virtual/mem/zero");
    adapter("not an I2C adapter");
    root.link("dev/i2c-2", "/dev/tty");

    let channel = |words| missing_words(&root, "[pwm.valve]", words);
    root.put("sys/class/pwm/pwmchip0/npwm", "1\n");
    channel("30660000.pwm: the chip has 1 channels, numbered from 0");
    root.put("sys/class/pwm/pwmchip0/npwm", "2\n");
    root.remove("sys/class/pwm/pwmchip0/export");
    channel("30660000.pwm: export cannot be written");
    // Exported already.
    root.put("sys/class/pwm/pwmchip0/pwm1/duty_cycle", "0\n");
    require(&missing(BOARD, chips(), &root), &[]);
    root.remove("sys/class/pwm/pwmchip0/device");
    channel("30660000.pwm: no such PWM chip");
}

/// Requires one error for [`BOARD`], in `table`, with these `words`.
fn missing_words(root: &Root, table: &str, words: &str) {
    require(&missing(BOARD, chips(), root), &[(table, words)]);
}

#[test]
fn a_bus_without_a_stock_chip_is_not_probed() {
    let text = "[board]\nname = \"b\"\ndevices = \"linux\"\n[loop]\nperiod_us = 1000\n\
                [spi.imu]\ndevice = \"/dev/spidev99.0\"\n[i2c.x]\ndevice = \"/dev/i2c-99\"\n\
                [pwm.x]\nchip = \"no-such.pwm\"\nchannel = 0\nperiod_ns = 50_000\n";
    let config = Config::parse("b.toml", text).expect("good");
    assert!(
        board::Linux::open(&config).is_ok(),
        "the devices are not opened"
    );
    let refused = [
        buses::spi(config.buses(), 0, MODE_0).map(|_| ()),
        buses::i2c(config.buses(), 0).map(|_| ()),
        buses::pwm(config.buses(), 0, 0).map(|_| ()),
    ];
    let words = [
        "b.toml:6:6: /dev/spidev99.0: no such device",
        "b.toml:8:6: /dev/i2c-99: no such device",
        "b.toml:10:6: no-such.pwm: no such PWM chip",
    ];
    for (refused, words) in refused.into_iter().zip(words) {
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with(words), "{words}: {error}");
    }
}

#[test]
fn an_adapter_or_pwm_channel_under_two_names_is_detected() {
    let root = Root::new("bus-twice");
    root.link("dev/i2c-a", "i2c-2");
    let text = BOARD.replace(
        "[input.emergency_stop]",
        "[i2c.again]\ndevice = \"/dev/i2c-a\"\n[pwm.other]\nchip = \"pwmchip0\"\nchannel = 0\n\
         period_ns = 1\n[pwm.again]\nchip = \"/sys/class/pwm/pwmchip0\"\nchannel = 1\n\
         period_ns = 1\n[input.emergency_stop]",
    );
    require(
        &missing(&text, chips(), &root),
        &[
            (
                "[i2c.again]",
                "[i2c.again] /dev/i2c-a is the same device as [i2c.sensors] in line",
            ),
            (
                "[pwm.again]",
                "[pwm.again] is the same channel as [pwm.valve]",
            ),
        ],
    );
}

#[test]
fn a_label_is_not_ambiguous_because_of_a_link() {
    let root = Root::new("label");
    let mut chips = chips();
    chips.0.push(chips.0[0].clone());
    require(&missing(BOARD, chips, &root), &[]);
}

#[test]
fn inputs_beyond_the_limits_of_one_request_are_detected_without_a_request() {
    let biases = [Bias::AsIs, Bias::PullUp, Bias::PullDown, Bias::Disabled];
    let kinds = [(false, false), (false, true), (true, false), (true, true)];
    let lines = biases.iter().flat_map(|bias| {
        kinds.map(|(active_low, latch)| InputLine {
            active_low,
            bias: *bias,
            latch,
            ..input(0, 0)
        })
    });
    let lines: Vec<_> = lines
        .zip(0_u8..)
        .map(|(line, n)| InputLine {
            channel: n,
            offset: u32::from(n),
            ..line
        })
        .collect();
    // One kind is the default, ten more are the kernel's limit.
    assert_eq!(gpio::check_inputs(&lines[..11]), Ok(()));
    assert_eq!(
        gpio::check_inputs(&lines[..12]),
        Err(GpioError::TooManyKinds)
    );
    assert_eq!(gpio::check_inputs(&[]), Ok(()));
}

#[test]
fn a_timeout_that_the_watchdog_refuses_is_detected_without_starting_it() {
    let root = Root::new("watchdog");
    for (attribute, text, words) in [
        ("max_timeout", "1\n", "refuses a timeout of 2 s"),
        ("min_timeout", "3\n", "refuses a timeout of 2 s"),
        ("options", "0x8580\n", "raises an alarm and does not reset"),
    ] {
        let path = format!("sys/class/watchdog/watchdog0/{attribute}");
        root.link("sys/dev/char/1:9", "../../devices/watchdog0");
        root.put(&path, text);
        require(&missing(BOARD, chips(), &root), &[("[watchdog]", words)]);
        root.remove(&path);
    }
    root.put("sys/class/watchdog/watchdog0/max_timeout", "0\n");
    root.put("sys/class/watchdog/watchdog0/options", "0x8180\n");
    require(&missing(BOARD, chips(), &root), &[]);
}

#[test]
fn a_watchdog_that_cannot_be_stopped_is_reported_beforehand() {
    let root = Root::new("nowayout");
    let config = Config::parse("b.toml", BOARD).expect("good");
    let warnings = || {
        let machine = Machine {
            chips: chips(),
            root: Path::new(&root.0),
        };
        board::warnings(&config, &machine)
    };
    root.link("sys/dev/char/1:9", "../../devices/watchdog0");
    root.put("sys/class/watchdog/watchdog0/nowayout", "0\n");
    assert_eq!(warnings(), Vec::<String>::new());
    root.put("sys/class/watchdog/watchdog0/nowayout", "1\n");
    root.put("sys/class/watchdog/watchdog0/device/uevent", "");
    root.link(
        "sys/class/watchdog/watchdog0/device/driver",
        "../../bus/platform/drivers/imx2-wdt",
    );
    assert_eq!(
        warnings(),
        [
            "/dev/watchdog0: the kernel never stops this watchdog (nowayout): the board \
             resets 2 s after every end of the controller, an orderly stop included; boot \
             with imx2_wdt.nowayout=0, or expect the reset"
        ]
    );
}
