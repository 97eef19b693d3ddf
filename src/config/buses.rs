//! Reads the buses that have no stock chip, `[i2c.X]` and `[pwm.X]`, and records which table
//! uses which line, chip select, address and channel. Each has one user.

use super::found::index_of;
use super::io::{I2cAdapter, Io, Line, PwmChannel};
use super::reader::{Result, Table};
use crate::device::pwm::Polarity;

/// Things that only one table can use.
#[derive(PartialEq)]
pub(super) enum Thing {
    GpioChip(String),
    /// A device node; of a controller that is driven by registers, address and chip select.
    SpiPath(String),
    /// A chip select of the controller whose registers are at this address.
    SpiSelect(u64, u8),
    I2cPath(String),
    /// A channel of the PWM chip of this name.
    PwmOf(String, u32),
    /// A line of the GPIO chip with this index.
    Pin(usize, Line),
    /// A channel of the chip at the SPI device with this index.
    Converter(usize, u8),
    /// The SPI device with this index.
    Spi(usize),
    /// The chip with this address on the I2C adapter with this index.
    I2c(usize, u8),
    /// The PWM channel with this index.
    Pwm(usize),
}

/// The table that uses a thing, and its line in the file.
pub(super) struct Used {
    pub(super) by: String,
    pub(super) line: usize,
}

impl Used {
    pub(super) fn by(table: &Table<'_>) -> Self {
        Self {
            by: table.title(),
            line: table.source().position(table.span()).line,
        }
    }
}

/// The things in use, and their users.
#[derive(Default)]
pub(super) struct Uses(Vec<(Thing, Used)>);

impl Uses {
    /// Records `table` as the user of `thing`. The error names the present user, and points at
    /// `key`; it calls the thing `shown`.
    pub(super) fn take(
        &mut self,
        thing: Thing,
        table: &mut Table<'_>,
        key: &'static str,
        shown: &str,
    ) -> Result<()> {
        match self.0.iter().find(|(taken, _)| *taken == thing) {
            None => {
                self.0.push((thing, Used::by(table)));
                Ok(())
            }
            Some((_, Used { by, line })) => {
                let what = format!("{shown} is already used by {by} in line {line}");
                Err(table.error_at(key, what, "choose another one, only one table can use it"))
            }
        }
    }
}

/// Buses of `[device.X]`. A simulated board has none: keys that name one have no effect there.
impl Uses {
    /// The SPI device that `spi` of `table` names, claimed by this table.
    pub(super) fn spi(&mut self, table: &mut Table<'_>, io: &Io) -> Result<usize> {
        let names: Vec<_> = io.spi.iter().map(|entry| entry.name.as_str()).collect();
        self.named(table, ("spi", "spi"), &names, Thing::Spi)
    }

    /// The I2C adapter that `i2c` of `table` names, and `address`, both claimed by this table.
    pub(super) fn i2c(&mut self, table: &mut Table<'_>, io: &Io) -> Result<(usize, u8)> {
        let names: Vec<_> = io.i2c.iter().map(|entry| entry.name.as_str()).collect();
        let at = table.text("i2c")?;
        let index = index_of(&names, &at, "i2c", table)?;
        // The others are reserved (I2C-bus specification, table 4).
        let address = table.integer("address", 0x08..=0x77)? as u8;
        let shown = format!("address {address:#04x} of [i2c.{}]", at.value);
        self.take(Thing::I2c(index, address), table, "address", &shown)?;
        Ok((index, address))
    }

    /// The PWM channel that `key` of `table` names, claimed by this table.
    pub(super) fn pwm(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        io: &Io,
    ) -> Result<usize> {
        let names: Vec<_> = io.pwm.iter().map(|entry| entry.name.as_str()).collect();
        self.named(table, (key, "pwm"), &names, Thing::Pwm)
    }

    /// The index of the `[header.NAME]` that `key` of `table` names, claimed by this table.
    fn named(
        &mut self,
        table: &mut Table<'_>,
        (key, header): (&'static str, &str),
        names: &[&str],
        thing: fn(usize) -> Thing,
    ) -> Result<usize> {
        let at = table.text(key)?;
        let index = index_of(names, &at, header, table)?;
        let shown = format!("[{header}.{}]", at.value);
        self.take(thing(index), table, key, &shown)?;
        Ok(index)
    }
}

/// Reads an `[i2c.NAME]`.
pub(super) fn adapter(uses: &mut Uses, name: &str, table: &mut Table<'_>) -> Result<I2cAdapter> {
    let path = table.text("device")?.value.to_owned();
    uses.take(Thing::I2cPath(path.clone()), table, "device", &path)?;
    let timeout_ms = table.integer_or("timeout_ms", 10..=1_000, 10)? as u32;
    if !timeout_ms.is_multiple_of(10) {
        let what = format!("`timeout_ms` is {timeout_ms}, not a multiple of 10");
        return Err(table.error_at("timeout_ms", what, "use 10, 20, 30 ..., the kernel's steps"));
    }
    Ok(I2cAdapter {
        name: name.to_owned(),
        path,
        timeout_ms,
        position: table.source().position(table.span()),
    })
}

/// Reads a `[pwm.NAME]`.
pub(super) fn channel(uses: &mut Uses, name: &str, table: &mut Table<'_>) -> Result<PwmChannel> {
    let chip = table.text("chip")?.value.to_owned();
    let channel = table.integer("channel", 0..=63)? as u32;
    let shown = format!("channel {channel} of PWM chip \"{chip}\"");
    let thing = Thing::PwmOf(chip.clone(), channel);
    uses.take(thing, table, "channel", &shown)?;
    let polarities = [
        ("normal", Polarity::Normal),
        ("inversed", Polarity::Inversed),
    ];
    Ok(PwmChannel {
        name: name.to_owned(),
        chip,
        channel,
        period_ns: table.integer("period_ns", 1..=u64::from(u32::MAX))? as u32,
        polarity: table.choice_or("polarity", &polarities, Polarity::Normal)?,
        position: table.source().position(table.span()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::Source;
    use crate::config::wiring;
    use crate::time::Duration;
    use toml::de::DeTable;

    const BOARD: &str = r#"
[spi.imu]
device = "/dev/spidev0.0"
[spi.shaft]
device = "/dev/spidev0.1"
[encoder.shaft]
chip = "as5047p"
spi = "shaft"
[i2c.one]
device = "/dev/i2c-1"
[i2c.two]
device = "/dev/i2c-2"
[pwm.valve]
chip = "pwmchip0"
channel = 0
period_ns = 50_000
"#;

    /// Index and address that each device of `tables` claims, or the text of the first error.
    fn claimed(tables: &str) -> std::result::Result<Vec<(usize, u8)>, String> {
        let text = format!("{BOARD}{tables}");
        let source = Source {
            file: "b.toml",
            text: &text,
        };
        let document = DeTable::parse(&text).expect("good");
        let mut root = Table::root(source, &document);
        let mut read = || {
            let (io, mut uses) = wiring::read(&mut root, false, Duration::from_millis(1))?;
            let mut all = Vec::new();
            for (_, mut table) in root.tables("device", 64)? {
                all.push(if table.has("spi") {
                    (uses.spi(&mut table, &io)?, 0)
                } else if table.has("i2c") {
                    uses.i2c(&mut table, &io)?
                } else {
                    (uses.pwm(&mut table, "pwm", &io)?, 0)
                });
                table.finish()?;
            }
            Ok(all)
        };
        read().map_err(|error: crate::config::ConfigError| error.to_string())
    }

    #[test]
    fn each_bus_is_found_by_its_name_and_a_chip_by_its_address() {
        let tables = "[device.a]\nspi = \"imu\"\n[device.b]\ni2c = \"two\"\naddress = 0x48\n\
                      [device.c]\ni2c = \"two\"\naddress = 0x49\n[device.d]\ni2c = \"one\"\n\
                      address = 0x48\n[device.e]\npwm = \"valve\"\n";
        let expected = vec![(0, 0), (1, 0x48), (1, 0x49), (0, 0x48), (0, 0)];
        assert_eq!(claimed(tables), Ok(expected));
    }

    #[test]
    fn a_bus_in_use_is_refused_with_the_name_of_its_user() {
        for (tables, words) in [
            (
                "[device.a]\nspi = \"imu\"\n[device.b]\nspi = \"imu\"\n",
                "[spi.imu] is already used by [device.a] in line 17; choose another one, only one table can use it",
            ),
            (
                "[device.a]\nspi = \"shaft\"\n",
                "[spi.shaft] is already used by [encoder.shaft] in line 6",
            ),
            (
                "[device.a]\ni2c = \"one\"\naddress = 72\n[device.b]\ni2c = \"one\"\naddress = 72\n",
                "address 0x48 of [i2c.one] is already used by [device.a] in line 17",
            ),
            (
                "[device.a]\npwm = \"valve\"\n[device.b]\npwm = \"valve\"\n",
                "[pwm.valve] is already used by [device.a] in line 17",
            ),
            (
                "[device.a]\ni2c = \"tow\"\naddress = 72\n",
                "there is no [i2c.tow]; did you mean \"two\"? Available: one, two",
            ),
            (
                "[device.a]\ni2c = \"two\"\naddress = 0x78\n",
                "`address` is 0x78; it must be a whole number from 8 to 119",
            ),
            (
                "[device.a]\npwm = \"fan\"\n",
                "there is no [pwm.fan]; available: valve",
            ),
        ] {
            let refused = claimed(tables).unwrap_err();
            assert!(refused.contains(words), "{words}: {refused}");
        }
    }
}
