//! Models of third-party chips at their bus, byte by byte as in their datasheets.

/// A chip at its bus.
pub(crate) trait Chip {
    /// Chip select becomes active.
    fn select(&mut self);
    /// One byte in each direction.
    fn shift(&mut self, incoming: u8) -> u8;
    /// Chip select becomes inactive.
    fn deselect(&mut self);
}

/// Bosch BMI160, datasheet BST-BMI160-DS000, "Primary interface", SPI: the
/// first byte is the register, its top bit set for reading; the register counts
/// up.
pub(crate) struct Bmi160Chip {
    pub(crate) registers: [u8; 128],
    pub(crate) address: Option<u8>,
}

/// "Register map": CHIP_ID, PMU_STATUS and CMD; data from GYR_X, ACC_X.
pub(crate) const CHIP_ID: usize = 0x00;
pub(crate) const PMU_STATUS: usize = 0x03;
pub(crate) const ACC_X: usize = 0x12;
pub(crate) const CMD: u8 = 0x7E;

impl Bmi160Chip {
    pub(crate) fn new() -> Self {
        let mut registers = [0; 128];
        registers[CHIP_ID] = 0xD1;
        Self {
            registers,
            address: None,
        }
    }
}

impl Chip for Bmi160Chip {
    fn select(&mut self) {
        self.address = None;
    }

    fn shift(&mut self, incoming: u8) -> u8 {
        let Some(address) = self.address else {
            self.address = Some(incoming);
            return 0;
        };
        self.address = Some(address.wrapping_add(1));
        let register = usize::from(address & 0x7F);
        if address & 0x80 != 0 {
            return self.registers[register];
        }
        match (address, incoming) {
            // Commands acc_set_pmu_mode and gyr_set_pmu_mode, "normal".
            (CMD, 0x11) => self.registers[PMU_STATUS] |= 0b01 << 4,
            (CMD, 0x15) => self.registers[PMU_STATUS] |= 0b01 << 2,
            _ => self.registers[register] = incoming,
        }
        0
    }

    fn deselect(&mut self) {}
}

/// Trinamic TMC5072, datasheet "SPI datagram structure": frames of 40 bits; the
/// top bit of the first byte writes; what is read comes with the next frame.
pub(crate) struct Tmc5072Chip {
    pub(crate) registers: [u32; 128],
    pub(crate) frame: [u8; 5],
    pub(crate) place: usize,
    pub(crate) answer: u32,
}

/// "Register mapping": the first motor's, and IOIN with the IC's version.
pub(crate) const IOIN: usize = 0x04;
pub(crate) const XACTUAL: usize = 0x21;
pub(crate) const XTARGET: usize = 0x2D;

impl Tmc5072Chip {
    pub(crate) fn new() -> Self {
        let mut registers = [0; 128];
        registers[IOIN] = 0x10 << 24;
        Self {
            registers,
            frame: [0; 5],
            place: 0,
            answer: 0,
        }
    }
}

impl Chip for Tmc5072Chip {
    fn select(&mut self) {
        self.place = 0;
    }

    fn shift(&mut self, incoming: u8) -> u8 {
        let [a, b, c, d] = self.answer.to_be_bytes();
        let back = [0, a, b, c, d][self.place];
        self.frame[self.place] = incoming;
        self.place += 1;
        back
    }

    fn deselect(&mut self) {
        assert_eq!(self.place, 5, "a frame of 40 bits");
        let [address, a, b, c, d] = self.frame;
        let register = &mut self.registers[usize::from(address & 0x7F)];
        if address & 0x80 != 0 {
            *register = u32::from_be_bytes([a, b, c, d]);
        }
        self.answer = *register;
        // The motor is always at its target.
        self.registers[XACTUAL] = self.registers[XTARGET];
    }
}

/// Analog Devices AD5754, datasheet AD5724/AD5734/AD5754, "Input shift
/// register": frames of 24 bits; register in bits 21 to 19 (0 output, 1 range,
/// 2 power, 3 control), channel or function in bits 18 to 16.
#[derive(Default)]
pub(crate) struct Ad5754Chip {
    pub(crate) outputs: [u16; 4],
    pub(crate) ranges: [u16; 4],
    pub(crate) power: u16,
    pub(crate) loads: u32,
    pub(crate) frame: [u8; 3],
    pub(crate) place: usize,
}

impl Chip for Ad5754Chip {
    fn select(&mut self) {
        self.place = 0;
    }

    fn shift(&mut self, incoming: u8) -> u8 {
        self.frame[self.place] = incoming;
        self.place += 1;
        0
    }

    fn deselect(&mut self) {
        assert_eq!(self.place, 3, "a frame of 24 bits");
        let [head, high, low] = self.frame;
        let data = u16::from_be_bytes([high, low]);
        let channel = usize::from(head & 0b111);
        match (head >> 7, (head >> 3) & 0b111) {
            (0, 0) => self.outputs[channel] = data,
            (0, 1) => self.ranges[channel] = data,
            (0, 2) => self.power = data,
            (0, 3) if channel == 5 => self.loads += 1,
            other => panic!("not a frame of this test: {other:?}"),
        }
    }
}
