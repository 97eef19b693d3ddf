//! `/dev/spidevB.C` with the interface of the kernel's driver
//! (`include/uapi/linux/spi/spidev.h`, `drivers/spi/spidev.c`) and a simulated chip.

use std::sync::{Arc, Mutex};

use crate::cuse::{Answer, Device, Ioctl, Span, errno, u32_at, u64_at};
use crate::rig::{self, Action, Rig};

/// `SPI_IOC_MAGIC`.
const MAGIC: u32 = b'k' as u32;
/// `sizeof(struct spi_ioc_transfer)`.
const TRANSFER: usize = 32;
/// `_IOC_WRITE` and `_IOC_READ` (asm-generic/ioctl.h).
const WRITE: u32 = 1;
const READ: u32 = 2;
/// `SPI_LSB_FIRST` of the mode.
const LSB_FIRST: u32 = 0x08;

/// One SPI device node.
pub(crate) struct Spidev {
    rig: Arc<Mutex<Rig>>,
    /// Index of the chip in the rig.
    chip: usize,
    mode: u32,
    bits_per_word: u32,
    max_speed_hz: u32,
}

/// The used fields of `struct spi_ioc_transfer`.
#[derive(Copy, Clone, Debug)]
struct Transfer {
    tx: u64,
    rx: u64,
    len: usize,
    deselects: bool,
}

impl Spidev {
    /// The node of `chip`, configured as after probing: mode 0, 8 bits, 10 MHz.
    pub(crate) fn new(rig: Arc<Mutex<Rig>>, chip: usize) -> Self {
        Self {
            rig,
            chip,
            mode: 0,
            bits_per_word: 8,
            max_speed_hz: 10_000_000,
        }
    }

    /// Runs frames (tx bytes per chip select); gives all rx bytes and the number of bytes
    /// reported as moved.
    fn exchange(&mut self, frames: &[Vec<u8>]) -> Result<(usize, Vec<u8>), i32> {
        let total: usize = frames.iter().map(Vec::len).sum();
        let action = rig::meet(&self.rig, self.chip)?;
        let mut received = Vec::with_capacity(total);
        rig::with(&self.rig, |rig| {
            rig.advance();
            for frame in frames {
                let start = received.len();
                received.resize(start + frame.len(), 0);
                rig.frame(self.chip, frame, &mut received[start..]);
                if action == Action::WrongParity
                    && let Some(first) = received.get_mut(start)
                {
                    *first ^= 0x80;
                }
            }
        });
        Ok(match action {
            Action::Short(bytes) => (bytes.min(total), received),
            Action::Fail(_) | Action::Delay(_) | Action::WrongParity | Action::Pass => {
                (total, received)
            }
        })
    }

    fn message(&mut self, size: usize, request: Ioctl<'_>) -> Answer {
        if size == 0 || !size.is_multiple_of(TRANSFER) {
            return Answer::Failed(errno::EINVAL);
        }
        let Some(array) = request.input.get(..size) else {
            return Answer::Fetch {
                input: vec![Span {
                    base: request.argument,
                    len: size as u64,
                }],
                output: Vec::new(),
            };
        };
        let Some(transfers) = array
            .chunks_exact(TRANSFER)
            .map(parse)
            .collect::<Option<Vec<_>>>()
        else {
            return Answer::Failed(errno::EINVAL);
        };
        let side = |has: fn(&Transfer) -> u64| -> Vec<Span> {
            let used = transfers
                .iter()
                .filter(|transfer| has(transfer) != 0 && transfer.len > 0);
            used.map(|transfer| Span {
                base: has(transfer),
                len: transfer.len as u64,
            })
            .collect()
        };
        let mut input = vec![Span {
            base: request.argument,
            len: size as u64,
        }];
        input.extend(side(|transfer| transfer.tx));
        let output = side(|transfer| transfer.rx);
        let total = |spans: &[Span]| spans.iter().map(|span| span.len as usize).sum::<usize>();
        if (request.input.len(), request.output_len) != (total(&input), total(&output)) {
            // Each call starts anew, and the owner may have changed the array in between:
            // then it is fetched again.
            return Answer::Fetch { input, output };
        }

        let frames = frames(&transfers, &request.input[size..]);
        match self.exchange(&frames) {
            Err(error) => Answer::Failed(error),
            Ok((moved, received)) => {
                let mut output = Vec::with_capacity(request.output_len);
                let mut at = 0;
                for transfer in &transfers {
                    if transfer.rx != 0 {
                        output.extend_from_slice(&received[at..at + transfer.len]);
                    }
                    at += transfer.len;
                }
                // Bytes that were not moved are not written to the caller.
                output.truncate(moved);
                Answer::Done {
                    result: i32::try_from(moved).unwrap_or(i32::MAX),
                    output,
                }
            }
        }
    }

    fn get(&self, number: u32) -> Option<u32> {
        Some(match number {
            1 | 5 => self.mode,
            2 => u32::from(self.mode & LSB_FIRST != 0),
            3 => self.bits_per_word,
            4 => self.max_speed_hz,
            _ => return None,
        })
    }

    fn set(&mut self, number: u32, value: u32) -> Result<(), i32> {
        match number {
            1 => self.mode = self.mode & !0xff | value & 0xff,
            2 if value == 0 => self.mode &= !LSB_FIRST,
            2 => self.mode |= LSB_FIRST,
            3 if value == 0 => self.bits_per_word = 8,
            3 if value <= 32 => self.bits_per_word = value,
            4 if value > 0 => self.max_speed_hz = value,
            5 => self.mode = value,
            _ => return Err(errno::EINVAL),
        }
        Ok(())
    }
}

/// The bytes on the wire, one entry per assertion of chip select.
fn frames(transfers: &[Transfer], mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![Vec::new()];
    for (index, transfer) in transfers.iter().enumerate() {
        if let Some(frame) = frames.last_mut() {
            if transfer.tx == 0 {
                frame.resize(frame.len() + transfer.len, 0);
            } else {
                let (sent, rest) = data.split_at(transfer.len);
                frame.extend_from_slice(sent);
                data = rest;
            }
        }
        if transfer.deselects && index + 1 < transfers.len() {
            frames.push(Vec::new());
        }
    }
    frames
}

fn parse(bytes: &[u8]) -> Option<Transfer> {
    Some(Transfer {
        tx: u64_at(bytes, 0)?,
        rx: u64_at(bytes, 8)?,
        len: usize::try_from(u32_at(bytes, 16)?).ok()?,
        deselects: *bytes.get(27)? != 0,
    })
}

impl Device for Spidev {
    fn ioctl(&mut self, request: Ioctl<'_>) -> Answer {
        let command = request.command;
        let (direction, size) = (command >> 30, (command >> 16 & 0x3fff) as usize);
        if command >> 8 & 0xff != MAGIC {
            return Answer::Failed(errno::ENOTTY);
        }
        let number = command & 0xff;
        let value = Span {
            base: request.argument,
            len: size as u64,
        };
        match (number, direction, size) {
            (0, WRITE, _) => self.message(size, request),
            (1..=5, READ, 1 | 4) => match self.get(number) {
                None => Answer::Failed(errno::ENOTTY),
                Some(_) if request.output_len != size => Answer::Fetch {
                    input: Vec::new(),
                    output: vec![value],
                },
                Some(found) => Answer::Done {
                    result: 0,
                    output: found.to_le_bytes()[..size].to_vec(),
                },
            },
            (1..=5, WRITE, 1 | 4) => {
                let Some(given) = request.input.get(..size) else {
                    return Answer::Fetch {
                        input: vec![value],
                        output: Vec::new(),
                    };
                };
                let mut bytes = [0; 4];
                bytes[..size].copy_from_slice(given);
                match self.set(number, u32::from_le_bytes(bytes)) {
                    Ok(()) => Answer::Done {
                        result: 0,
                        output: Vec::new(),
                    },
                    Err(error) => Answer::Failed(error),
                }
            }
            _ => Answer::Failed(errno::ENOTTY),
        }
    }

    fn read(&mut self, len: usize) -> Result<Vec<u8>, i32> {
        let (moved, mut received) = self.exchange(&[vec![0; len]])?;
        received.truncate(moved);
        Ok(received)
    }

    fn write(&mut self, data: &[u8]) -> Result<(), i32> {
        self.exchange(&[data.to_vec()]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::{Echo, Model, Plant};

    fn device() -> Spidev {
        let chip = Model::Echo(Echo::default());
        let chips = vec![("spidev0.0".to_owned(), chip, None)];
        let mut rig = Rig::new(Plant::new(), None, Vec::new(), None);
        rig.add(chips);
        Spidev::new(Arc::new(Mutex::new(rig)), 0)
    }

    /// `SPI_IOC_MESSAGE(n)`.
    fn message(count: usize) -> u32 {
        WRITE << 30 | ((count * TRANSFER) as u32) << 16 | MAGIC << 8
    }

    fn transfer(tx: u64, rx: u64, len: u32, deselects: bool) -> Vec<u8> {
        let mut bytes = vec![0; TRANSFER];
        bytes[..8].copy_from_slice(&tx.to_ne_bytes());
        bytes[8..16].copy_from_slice(&rx.to_ne_bytes());
        bytes[16..20].copy_from_slice(&len.to_ne_bytes());
        bytes[27] = u8::from(deselects);
        bytes
    }

    fn call(device: &mut Spidev, command: u32, input: &[u8], output_len: usize) -> Answer {
        device.ioctl(Ioctl {
            command,
            argument: 0x1000,
            input,
            output_len,
        })
    }

    fn span(base: u64, len: u64) -> Span {
        Span { base, len }
    }

    #[test]
    fn a_message_is_fetched_as_array_then_buffers() {
        let mut device = device();
        let command = message(2);
        let array = [transfer(0x2000, 0, 2, false), transfer(0, 0x3000, 3, false)].concat();
        assert_eq!(
            call(&mut device, command, &[], 0),
            Answer::Fetch {
                input: vec![span(0x1000, 64)],
                output: vec![]
            }
        );
        let buffers = Answer::Fetch {
            input: vec![span(0x1000, 64), span(0x2000, 2)],
            output: vec![span(0x3000, 3)],
        };
        assert_eq!(call(&mut device, command, &array, 0), buffers);
        let data = [array.as_slice(), &[0xab, 0xcd]].concat();
        let done = |output| Answer::Done { result: 5, output };
        assert_eq!(call(&mut device, command, &data, 3), done(vec![0; 3]));
        // It was one frame of five bytes: the next reply contains all of it.
        assert_eq!(device.read(5), Ok(vec![0xab, 0xcd, 0, 0, 0]));
    }

    #[test]
    fn an_array_that_changed_since_it_was_fetched_is_fetched_again() {
        let mut device = device();
        let longer = [transfer(0x2000, 0, 3, false), vec![1, 2]].concat();
        assert_eq!(
            call(&mut device, message(1), &longer, 0),
            Answer::Fetch {
                input: vec![span(0x1000, 32), span(0x2000, 3)],
                output: vec![]
            }
        );
    }

    #[test]
    fn a_change_of_chip_select_ends_a_frame_except_after_the_last_transfer() {
        let parsed: Vec<Transfer> = [
            transfer(1, 0, 1, true),
            transfer(0, 1, 2, false),
            transfer(1, 0, 1, true),
        ]
        .iter()
        .filter_map(|bytes| parse(bytes))
        .collect();
        assert_eq!(frames(&parsed, &[7, 9]), [vec![7], vec![0, 0, 9]]);
    }

    #[test]
    fn a_configuration_is_kept_and_a_wrong_one_refused() {
        let mut device = device();
        let write = |number: u32, size: u32| WRITE << 30 | size << 16 | MAGIC << 8 | number;
        let read = |number: u32, size: u32| READ << 30 | size << 16 | MAGIC << 8 | number;
        let set = Answer::Done {
            result: 0,
            output: vec![],
        };
        let speed = 8_000_000_u32.to_le_bytes();
        assert_eq!(call(&mut device, write(4, 4), &speed, 0), set);
        assert_eq!(call(&mut device, write(1, 1), &[1], 0), set);
        assert_eq!(
            call(&mut device, read(4, 4), &[], 4),
            Answer::Done {
                result: 0,
                output: speed.to_vec()
            }
        );
        assert_eq!(
            call(&mut device, read(5, 4), &[], 4),
            Answer::Done {
                result: 0,
                output: vec![1, 0, 0, 0]
            }
        );
        let refused = Answer::Failed(errno::EINVAL);
        assert_eq!(call(&mut device, write(4, 4), &[0; 4], 0), refused);
        assert_eq!(call(&mut device, write(3, 1), &[33], 0), refused);
        assert_eq!(
            call(&mut device, 0x5401, &[], 0),
            Answer::Failed(errno::ENOTTY)
        );
    }
}
