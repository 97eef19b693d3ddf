//! The faults of an axis.
//!
//! Each fault has a small number for records, an error code of CiA 402 (object 603Fh, table of
//! error codes; codes from FF00h are manufacturer-specific), and three texts for the operator:
//! name, possible cause, remedy.

use crate::cycle::ports::FaultNumber;

/// A fault of an axis.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Fault {
    /// The emergency stop was active.
    EmergencyStop = 1,
    /// The digital inputs could not be read, and the controller needs one of them.
    DigitalInputs = 2,
    /// The position error exceeded its window for longer than its time-out.
    FollowingError = 3,
    /// The axis moved towards the negative limit switch while it was hit.
    NegativeLimitSwitch = 4,
    /// The axis moved towards the positive limit switch while it was hit.
    PositiveLimitSwitch = 5,
    /// The position left its range at the lower end.
    NegativePositionLimit = 6,
    /// The position left its range at the upper end.
    PositivePositionLimit = 7,
    /// The measured velocity exceeded its limit.
    Overspeed = 8,
    /// The encoder could not be read: the transfer failed.
    FeedbackBus = 9,
    /// The parity of the encoder's answers was wrong.
    FeedbackParity = 10,
    /// The encoder reported a malformed request.
    FeedbackFraming = 11,
    /// The encoder was not read, or its value was out of range.
    FeedbackInvalid = 12,
    /// The encoder was not ready to measure.
    FeedbackNotReady = 13,
    /// The magnet was too far from the encoder.
    FieldWeak = 14,
    /// The magnet was too close to the encoder.
    FieldStrong = 15,
    /// The position changed by more than the axis can move.
    FeedbackJump = 16,
    /// The position did not change while the motor was driven.
    FeedbackFrozen = 17,
    /// The controller computed a command that is not finite.
    NonFiniteCommand = 18,
    /// Both limit switches were hit at once.
    BothLimitSwitches = 19,
    /// The commands from outside were not refreshed within their timeout.
    CommandLost = 20,
}

/// The texts of a fault.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub name: &'static str,
    /// Its possible causes.
    pub cause: &'static str,
    /// Its remedy.
    pub remedy: &'static str,
}

impl Fault {
    /// Numbers of faults that each axis has, of which the highest are not used.
    pub const PER_AXIS: u16 = 32;

    /// Every fault, in the order of [`Fault::number`].
    pub const ALL: [Self; 20] = [
        Self::EmergencyStop,
        Self::DigitalInputs,
        Self::FollowingError,
        Self::NegativeLimitSwitch,
        Self::PositiveLimitSwitch,
        Self::NegativePositionLimit,
        Self::PositivePositionLimit,
        Self::Overspeed,
        Self::FeedbackBus,
        Self::FeedbackParity,
        Self::FeedbackFraming,
        Self::FeedbackInvalid,
        Self::FeedbackNotReady,
        Self::FieldWeak,
        Self::FieldStrong,
        Self::FeedbackJump,
        Self::FeedbackFrozen,
        Self::NonFiniteCommand,
        Self::BothLimitSwitches,
        Self::CommandLost,
    ];

    /// The number of this fault of the axis `axis` in records, from 1: that of the fault, and
    /// [`Fault::PER_AXIS`] for each axis before.
    pub const fn number(self, axis: u8) -> FaultNumber {
        FaultNumber::MIN.saturating_add(self as u16 - 1 + Self::PER_AXIS * axis as u16)
    }

    /// The axis and the fault with this number; `None` for 0 and unknown numbers.
    pub const fn from_number(number: u16) -> Option<(u8, Self)> {
        let (axis, number) = (number / Self::PER_AXIS, number % Self::PER_AXIS);
        if axis > u8::MAX as u16 || number == 0 || number as usize > Self::ALL.len() {
            None
        } else {
            Some((axis as u8, Self::ALL[number as usize - 1]))
        }
    }

    /// The error code of CiA 402, object 603Fh.
    pub const fn code(self) -> u16 {
        match self {
            // Contacts.
            Self::EmergencyStop => 0x5440,
            // Control hardware: measurement circuit.
            Self::DigitalInputs => 0x5210,
            Self::FollowingError => 0x8611,
            // Reference limit.
            Self::NegativeLimitSwitch
            | Self::PositiveLimitSwitch
            | Self::NegativePositionLimit
            | Self::PositivePositionLimit => 0x8612,
            // Velocity controller.
            Self::Overspeed => 0x8400,
            // Communication of an additional module.
            Self::FeedbackBus => 0x7500,
            // Its serial interface 1.
            Self::FeedbackParity | Self::FeedbackFraming => 0x7510,
            // Sensor.
            Self::FeedbackInvalid | Self::FeedbackNotReady | Self::BothLimitSwitches => 0x7300,
            // Incremental sensor 1.
            Self::FieldWeak | Self::FieldStrong => 0x7305,
            // Position sensor.
            Self::FeedbackJump | Self::FeedbackFrozen => 0x7320,
            // Life guard or heartbeat error.
            Self::CommandLost => 0x8130,
            // Manufacturer-specific: the standard has no code for arithmetic.
            Self::NonFiniteCommand => 0xFF01,
        }
    }

    /// Whether the measured position can be trusted under this fault. If so, the axis stops on
    /// the quick stop ramp; otherwise power is removed at once.
    pub const fn stops_on_ramp(self) -> bool {
        match self {
            Self::FollowingError
            | Self::NegativeLimitSwitch
            | Self::PositiveLimitSwitch
            | Self::NegativePositionLimit
            | Self::PositivePositionLimit
            | Self::BothLimitSwitches
            | Self::CommandLost => true,
            Self::EmergencyStop
            | Self::DigitalInputs
            | Self::Overspeed
            | Self::FeedbackBus
            | Self::FeedbackParity
            | Self::FeedbackFraming
            | Self::FeedbackInvalid
            | Self::FeedbackNotReady
            | Self::FieldWeak
            | Self::FieldStrong
            | Self::FeedbackJump
            | Self::FeedbackFrozen
            | Self::NonFiniteCommand => false,
        }
    }

    /// Whether the fault is one of the encoder.
    pub const fn is_of_encoder(self) -> bool {
        self as u16 >= Self::FeedbackBus as u16 && self as u16 <= Self::FeedbackFrozen as u16
    }

    /// The texts of the fault.
    pub const fn message(self) -> Message {
        let (name, cause, remedy) = match self {
            Self::EmergencyStop => (
                "emergency stop",
                "the emergency stop was pressed, or its circuit is open",
                "release the emergency stop, make sure that no person is within reach, then reset",
            ),
            Self::DigitalInputs => (
                "digital inputs not readable",
                "the kernel refused to read the input lines",
                "check that the GPIO chip exists and no other process uses the lines",
            ),
            Self::FollowingError => (
                "following error",
                "the shaft is blocked or overloaded, or the gains are too low",
                "free the shaft; check profile, gains and command limit",
            ),
            Self::NegativeLimitSwitch => (
                "negative limit switch",
                "the axis ran onto the switch, or a wire to it is broken",
                "reset and move in positive direction; check the wiring",
            ),
            Self::PositiveLimitSwitch => (
                "positive limit switch",
                "the axis ran onto the switch, or a wire to it is broken",
                "reset and move in negative direction; check the wiring",
            ),
            Self::NegativePositionLimit => (
                "lower position limit",
                "the axis went below its position range",
                "reset and move in positive direction; check range and offset",
            ),
            Self::PositivePositionLimit => (
                "upper position limit",
                "the axis went above its position range",
                "reset and move in negative direction; check range and offset",
            ),
            Self::Overspeed => (
                "overspeed",
                "the axis runs away (wrong sign of motor or encoder) or the limit is too low",
                "check the signs with a low command limit; check the velocity limits",
            ),
            Self::FeedbackBus => (
                "encoder not readable",
                "the transfer on the bus failed several times in a row",
                "check cable, chip select and bus of the encoder",
            ),
            Self::FeedbackParity => (
                "encoder parity",
                "the encoder's answers were corrupted several times in a row",
                "shorten or shield the cable, or lower the bus clock",
            ),
            Self::FeedbackFraming => (
                "encoder framing",
                "the encoder received malformed requests several times in a row",
                "check clock polarity and phase, or lower the bus clock",
            ),
            Self::FeedbackInvalid => (
                "encoder reading invalid",
                "the encoder channel was not read, or its value was out of range",
                "check the encoder and its channel number in the board file",
            ),
            Self::FeedbackNotReady => (
                "encoder not ready",
                "the encoder has not finished its start-up or is not powered",
                "check the supply of the encoder",
            ),
            Self::FieldWeak => (
                "magnet too weak",
                "the magnet is too far from the encoder, or lost",
                "check that the magnet is in place, or reduce the air gap",
            ),
            Self::FieldStrong => (
                "magnet too strong",
                "the magnet is too close to the encoder",
                "increase the air gap",
            ),
            Self::FeedbackJump => (
                "encoder position jumped",
                "the position changed by more than the axis can move in that time",
                "check coupling, magnet and cable of the encoder",
            ),
            Self::FeedbackFrozen => (
                "encoder position frozen",
                "the encoder repeats one value while the motor is driven, or the shaft is blocked",
                "check that shaft, coupling and brake move freely, then check the encoder",
            ),
            Self::NonFiniteCommand => (
                "command is not finite",
                "an input or a gain is out of range, or the controller has a defect",
                "check gains and feed-forward; report it with the black box",
            ),
            Self::BothLimitSwitches => (
                "both limit switches at once",
                "a wire, a plug or the supply of the switches is broken",
                "check the wiring of both switches, and `switches_normally_closed` in the board file",
            ),
            Self::CommandLost => (
                "commands lost",
                "the commanding program or master has ended or is late, or the bus is broken",
                "check the master and the bus, start the master again, then reset",
            ),
        };
        Message {
            name,
            cause,
            remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_numbers_start_at_one_and_decode_to_their_fault() {
        assert_eq!(Fault::from_number(0), None);
        for (at, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(fault.number(0).get()), at + 1);
            for axis in [0, 1, 7, u8::MAX] {
                let number = fault.number(axis).get();
                assert_eq!(Fault::from_number(number), Some((axis, fault)));
            }
        }
        assert_eq!(Fault::from_number(Fault::ALL.len() as u16 + 1), None);
    }

    #[test]
    fn each_fault_has_its_own_description() {
        for (at, fault) in Fault::ALL.into_iter().enumerate() {
            let message = fault.message();
            assert!(!message.cause.is_empty() && !message.remedy.is_empty());
            for other in &Fault::ALL[..at] {
                assert_ne!(other.message().name, message.name);
            }
        }
    }

    #[test]
    fn no_fault_has_the_code_of_no_error_or_generic_error() {
        // 0000h means no error, 1000h is the generic error.
        assert!(Fault::ALL.iter().all(|fault| fault.code() > 0x1000));
    }

    #[test]
    fn feedback_faults_do_not_stop_on_a_ramp() {
        let feedback = Fault::FeedbackBus.number(0)..=Fault::FeedbackFrozen.number(0);
        for fault in Fault::ALL {
            if feedback.contains(&fault.number(0)) {
                assert!(!fault.stops_on_ramp(), "{fault:?}");
            }
        }
    }
}
