//! The packets between the local link and its clients.
//!
//! A packet is at most [`MAX_PACKET`] bytes in the machine's byte order: processes of one machine
//! speak. `include/steadfast.h` has the same layout for C.

/// The longest packet, bytes.
pub const MAX_PACKET: usize = 1024;
/// Bytes before the values of a request, and before the text of an answer.
pub const HEAD: usize = 16;
/// A packet.
pub type Packet = heapless::Vec<u8, MAX_PACKET>;
/// Most values of a request.
pub const MAX_VALUES: usize = 64;
/// The version of the protocol.
pub const VERSION: u32 = 1;

/// What a client asks for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Answer to the connection itself: the value is the client's number; the memory with the
    /// signals comes with it.
    Hello = 0,
    /// Become the owner of a group of commands.
    Claim = 1,
    /// Give a group up.
    Release = 2,
    /// Set all commands of a group, which also refreshes it.
    Write = 3,
    /// Refresh all groups that the client has written. Has no answer.
    Refresh = 4,
    /// Take a group from its owner, which may be another client: its commands have no value any
    /// more. For a stop.
    Revoke = 5,
    /// Describe the parameter `target`. The value of the answer, also of a refusal, is how many
    /// numbers there are; what follows a grant is [`described`](super::parameters::described).
    Parameter = 6,
    /// Change parameters: the values are pairs of a number and its new value. They are granted or
    /// refused together. With the target 1 all others get their values of the start.
    Change = 7,
    /// Force the signal `target`, its number in the shared memory: the values are its value and
    /// the time in s. The answer comes when the loop has taken it over or refused it.
    Force = 8,
    /// End the forces of the signal `target`, or all with [`ALL`](super::force::ALL), whoever
    /// asked for them. The value of the answer is how many there were.
    Unforce = 9,
    /// Describe the force at the place `target`. The value of the answer is how many places there
    /// are; behind the head of a grant are four numbers: the value, the rest of the time in s,
    /// the numbers of client and signal; then the signal's name and a zero.
    Forced = 10,
    /// Save the parameters for the next start; with the target 1, remove the saved ones. The value
    /// of the answer is how many are saved now.
    Save = 11,
    /// Tell the value of the parameter `target` in the board file, and its value at the next start:
    /// two values after the head of the answer.
    Kept = 12,
}

impl Kind {
    const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Hello,
            1 => Self::Claim,
            2 => Self::Release,
            3 => Self::Write,
            4 => Self::Refresh,
            5 => Self::Revoke,
            6 => Self::Parameter,
            7 => Self::Change,
            8 => Self::Force,
            9 => Self::Unforce,
            10 => Self::Forced,
            11 => Self::Save,
            12 => Self::Kept,
            _ => return None,
        })
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub kind: Kind,
    /// A number of the client's choice, which the answer repeats.
    pub number: u32,
    /// The group, or another target.
    pub target: u32,
    /// The values.
    pub values: heapless::Vec<f64, MAX_VALUES>,
}

/// Whether a request was granted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Answer {
    /// It was done.
    Done = 0,
    /// It was refused; the text says why.
    Refused = 1,
    /// It was not understood.
    Malformed = 2,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    word.try_into().ok().map(u32::from_ne_bytes)
}

impl Request {
    /// Reads a packet; `None` for one that no client of this version sends.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let kind = Kind::from_number(word(packet, 0)?)?;
        let count = word(packet, 12)? as usize;
        let (words, rest) = packet.get(HEAD..)?.as_chunks::<8>();
        if words.len() != count || !rest.is_empty() || count > MAX_VALUES {
            return None;
        }
        Some(Self {
            kind,
            number: word(packet, 4)?,
            target: word(packet, 8)?,
            values: words.iter().map(|word| f64::from_ne_bytes(*word)).collect(),
        })
    }

    /// The packet of this request.
    #[must_use]
    pub fn packet(&self) -> Packet {
        let head = [
            self.kind as u32,
            self.number,
            self.target,
            self.values.len() as u32,
        ];
        let head = head.into_iter().flat_map(u32::to_ne_bytes);
        let values = self.values.iter().flat_map(|value| value.to_ne_bytes());
        head.chain(values).collect()
    }
}

/// The packet of an answer to request `number` of `kind`.
#[must_use]
pub fn answer(kind: u32, number: u32, answer: Answer, value: u32, text: &str) -> Packet {
    let head = [kind, number, answer as u32, value];
    let head = head.into_iter().flat_map(u32::to_ne_bytes);
    head.chain(text.bytes().take(MAX_PACKET - HEAD)).collect()
}

/// An answer as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered<'p> {
    /// The kind of the request, as a number.
    pub kind: u32,
    /// The number of the request.
    pub number: u32,
    /// Whether it was done.
    pub done: bool,
    /// The value.
    pub value: u32,
    /// The text of a refusal.
    pub text: &'p str,
}

impl<'p> Answered<'p> {
    /// Reads a packet; `None` for one that is too short or has text that is not UTF-8.
    #[must_use]
    pub fn read(packet: &'p [u8]) -> Option<Self> {
        Some(Self {
            kind: word(packet, 0)?,
            number: word(packet, 4)?,
            done: word(packet, 8)? == Answer::Done as u32,
            value: word(packet, 12)?,
            text: core::str::from_utf8(packet.get(HEAD..)?).ok()?,
        })
    }
}

/// The kind and number of a packet that is no [`Request`], for its answer.
#[must_use]
pub fn kind_and_number(packet: &[u8]) -> (u32, u32) {
    (word(packet, 0).unwrap_or(0), word(packet, 4).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let request = Request {
            kind: Kind::Write,
            number: 7,
            target: 2,
            values: [1.5, f64::MIN].into_iter().collect(),
        };
        let packet = request.packet();
        assert_eq!(packet.len(), 32);
        assert_eq!(Request::read(&packet), Some(request));
        for end in 0..packet.len() {
            assert_eq!(Request::read(&packet[..end]), None, "cut at {end}");
        }
        let mut longer = packet.clone();
        longer.push(0).unwrap();
        assert_eq!(Request::read(&longer), None);
        longer[0] = 99;
        assert_eq!(Request::read(&longer), None);
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let packet = answer(3, 9, Answer::Refused, 4, "client 1 commands it");
        let read = Answered::read(&packet).unwrap();
        assert_eq!(
            (read.kind, read.number, read.done, read.value),
            (3, 9, false, 4)
        );
        assert_eq!(read.text, "client 1 commands it");
        assert_eq!(Answered::read(&packet[..15]), None);
    }
}
