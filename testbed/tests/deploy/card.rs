//! The card of a target: its partitions, the two copies of the boot loader's environment, and the
//! writes that it has received.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Failure, Host, require};
use testbed::work::WorkFolder;

/// The card made by `tests/deploy/image`.
const IMAGE: &str = "image.img";
/// A sector, bytes.
const SECTOR: u64 = 512;
/// The boot partition begins 4 MB after the start of the card, behind the partition table.
const BOOT_BEGIN: u64 = 4 << 20;
/// The boot partition ends here.
const BOOT_END: u64 = 132 << 20;
/// The files of the two copies of the environment.
const COPIES: [&str; 2] = ["uboot.env", "uboot-redund.env"];
/// `CONFIG_ENV_SIZE` of the boot loader: checksum, number of the copy, variables.
const ENVIRONMENT: usize = 0x4000;

/// A card in the target.
pub(crate) struct Card {
    image: PathBuf,
    /// Whether writes persist when the power is cut.
    kept: bool,
    /// Where the emulator logs the writes.
    log: Option<PathBuf>,
    /// The folder of a copy, removed with it.
    work: Option<WorkFolder>,
}

/// A write that the card has received.
pub(crate) struct Write {
    /// Bytes from the start of the card.
    pub(crate) offset: u64,
    pub(crate) data: Vec<u8>,
}

impl Card {
    /// The card as made by `tests/deploy/image`; writes are discarded when the power is cut.
    pub(crate) fn fresh(host: &Host) -> Self {
        Self {
            image: host.disks.join(IMAGE),
            kept: false,
            log: None,
            work: None,
        }
    }

    /// A copy of the card, on which writes persist.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub(crate) fn copied(host: &Host) -> Result<Self, Failure> {
        let work = WorkFolder::new()?;
        let image = work.path.join(IMAGE);
        let status = Command::new("cp")
            .arg("--sparse=always")
            .arg(host.disks.join(IMAGE))
            .arg(&image)
            .status()?;
        require(status.success(), || {
            "the card could not be copied".to_owned()
        })?;
        Ok(Self {
            image,
            kept: true,
            log: None,
            work: Some(work),
        })
    }

    /// A copy with the partition table and the boot partition alone: the boot loader starts and finds
    /// no kernel.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub(crate) fn boot_loader(host: &Host) -> Result<Self, Failure> {
        let work = WorkFolder::new()?;
        let image = work.path.join(IMAGE);
        let whole = File::open(host.disks.join(IMAGE))?;
        let mut bytes = vec![0; BOOT_END as usize];
        whole.read_exact_at(&mut bytes, 0)?;
        let copy = File::create(&image)?;
        copy.set_len(whole.metadata()?.len())?;
        // Most of it is empty.
        const BLOCK: usize = 64 << 10;
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                copy.write_all_at(block, (number * BLOCK) as u64)?;
            }
        }
        Ok(Self {
            image,
            kept: true,
            log: None,
            work: Some(work),
        })
    }

    /// A copy of the card whose partition table has no data partition.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub(crate) fn without_data(host: &Host) -> Result<Self, Failure> {
        /// The fourth entry of the partition table, in the first sector.
        const ENTRY: (u64, usize) = (446 + 3 * 16, 16);
        let card = Self::copied(host)?;
        card.write(ENTRY.0, &[0; ENTRY.1])?;
        Ok(card)
    }

    /// The same card; the emulator logs what is written.
    ///
    /// # Errors
    /// The card is not a copy, or the log cannot be written.
    pub(crate) fn logged(mut self) -> Result<Self, Failure> {
        let work = self.work.as_ref();
        let work = work.ok_or_else(|| Failure::new("a shared card has no log"))?;
        let log = work.path.join("writes");
        File::create(&log)?;
        self.log = Some(log);
        Ok(self)
    }

    /// The same card; from now on, writes are discarded when the power is cut.
    pub(crate) fn discards_writes(&mut self, discards: bool) {
        self.kept = !discards;
    }

    /// Writes bytes while the power is off.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let file = File::options().write(true).open(&self.image)?;
        Ok(file.write_all_at(bytes, offset)?)
    }

    /// Whether a write would change the card.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn differs(&self, write: &Write) -> Result<bool, Failure> {
        let mut found = vec![0; write.data.len()];
        File::open(&self.image)?.read_exact_at(&mut found, write.offset)?;
        Ok(found != write.data)
    }

    /// The writes to the boot partition, in their order. The format of the log is that of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst).
    ///
    /// # Errors
    /// There is no log.
    pub(crate) fn writes(&self) -> Result<Vec<Write>, Failure> {
        /// The entry has no data: the sectors are discarded.
        const DISCARD: u64 = 4;
        let log = (self.log.as_ref()).ok_or_else(|| Failure::new("the card has no log"))?;
        let log = fs::read(log)?;
        let mut writes = Vec::new();
        // The first sector describes the log.
        let mut at = SECTOR as usize;
        while let Some(entry) = log.get(at..at + 32) {
            let number = |index: usize| {
                let bytes = entry[index * 8..][..8].try_into();
                u64::from_le_bytes(bytes.expect("eight bytes"))
            };
            let (sector, sectors, flags) = (number(0), number(1), number(2));
            at += SECTOR as usize;
            if flags & DISCARD != 0 {
                continue;
            }
            let length = (sectors * SECTOR) as usize;
            let Some(data) = log.get(at..at + length) else {
                break;
            };
            at += length;
            let offset = sector * SECTOR;
            if length > 0 && (BOOT_BEGIN..BOOT_END).contains(&offset) {
                writes.push(Write {
                    offset,
                    data: data.to_vec(),
                });
            }
        }
        Ok(writes)
    }

    /// The copies of the environment.
    ///
    /// # Errors
    /// The boot partition lacks one.
    pub(crate) fn environment(&self) -> Result<[Vec<u8>; 2], Failure> {
        let read = |name| -> Result<Vec<u8>, Failure> {
            let copy = self.get(name)?;
            require(copy.len() == ENVIRONMENT, || {
                format!("{name} has {} bytes", copy.len())
            })?;
            Ok(copy)
        };
        Ok([read(COPIES[0])?, read(COPIES[1])?])
    }

    /// Fills one copy of the environment with another content.
    ///
    /// # Errors
    /// The boot partition cannot be written.
    pub(crate) fn damage_environment(&self, copy: usize) -> Result<(), Failure> {
        self.put(COPIES[copy], &[0xa5; ENVIRONMENT])
    }

    /// A file of the boot partition.
    ///
    /// # Errors
    /// The boot partition lacks it.
    pub(crate) fn get(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let output = self.mcopy().arg(format!("::{name}")).arg("-").output()?;
        require(output.status.success(), || {
            format!("{name}: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok(output.stdout)
    }

    /// Writes a file of the boot partition, as a PC does, while the power is off.
    ///
    /// # Errors
    /// The boot partition cannot be written.
    pub(crate) fn put(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        let mut mcopy = self.mcopy();
        mcopy.args(["-D", "o", "-", &format!("::{name}")]);
        let mut process = mcopy.stdin(Stdio::piped()).spawn()?;
        let written = match process.stdin.take() {
            Some(mut input) => input.write_all(content),
            None => Err(ErrorKind::BrokenPipe.into()),
        };
        let status = process.wait()?;
        written?;
        require(status.success(), || format!("{name} cannot be written"))
    }

    fn mcopy(&self) -> Command {
        let mut command = Command::new("mcopy");
        let image = format!("{}@@{BOOT_BEGIN}", self.image.display());
        command.arg("-i").arg(image);
        command
    }

    /// The file of the boot partition that the Raspberry Pi's firmware loads for an entry of
    /// `config.txt`.
    ///
    /// # Errors
    /// The boot partition lacks it, or `config.txt` has no such entry.
    pub(crate) fn firmware_file(&self, entry: &str) -> Result<Vec<u8>, Failure> {
        let config = String::from_utf8_lossy(&self.get("config.txt")?).into_owned();
        let name = config.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key == entry).then_some(value)
        });
        let name = name.ok_or_else(|| Failure::new(format!("config.txt has no {entry}=")))?;
        self.get(name)
    }

    /// Adds the card to the command of the emulator, as an SD card, whose size must be a power of two.
    ///
    /// # Errors
    /// The card is not a copy, or the file cannot be enlarged.
    pub(crate) fn insert(&self, command: &mut Command) -> Result<(), Failure> {
        require(self.kept, || "a shared card is not enlarged".to_owned())?;
        let file = File::options().write(true).open(&self.image)?;
        file.set_len(file.metadata()?.len().next_power_of_two())?;
        let image = self.image.display();
        let drive = format!("if=sd,format=raw,cache=unsafe,file={image}");
        command.args(["-drive", &drive]);
        Ok(())
    }

    /// Adds the card to the command of the emulator, as the first disk of virtio, which the boot
    /// script expects.
    pub(crate) fn attach(&self, command: &mut Command) {
        let image = self.image.display();
        let file = match &self.log {
            Some(log) => format!(
                "driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename={image},log.driver=file,log.filename={}",
                log.display()
            ),
            None => format!("format=raw,file={image}"),
        };
        attach(command, "card", &file, self.kept);
    }
}

/// Adds a disk to the command of the emulator.
pub(crate) fn attach(command: &mut Command, serial: &str, file: &str, kept: bool) {
    let snapshot = if kept { "off" } else { "on" };
    // Our power cuts end the emulator, and this machine keeps what it has written: `unsafe` skips the
    // flushes to its disk.
    command.arg("-drive").arg(format!(
        "if=none,id={serial},snapshot={snapshot},cache=unsafe,{file}"
    ));
    command
        .arg("-device")
        .arg(format!("virtio-blk-pci,drive={serial},serial={serial}"));
}

/// Whether the checksum at the start of a copy of the environment is right: the CRC-32 of its
/// variables (`tools/mkenvimage.c` of U-Boot).
pub(crate) fn is_valid(copy: &[u8]) -> bool {
    /// Checksum and number of the copy.
    const HEADER: usize = 5;
    let crc = copy[HEADER..].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    copy[..4] == (!crc).to_le_bytes()
}

/// The path of the disk with the updates.
pub(crate) fn bundles(host: &Host) -> String {
    let path: &Path = &host.disks.join("bundles.ext4");
    format!("format=raw,file={}", path.display())
}
