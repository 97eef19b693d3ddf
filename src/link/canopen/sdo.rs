//! The SDO server: expedited and segmented transfer, block upload (CiA 301, SDO).
//!
//! A block download is refused: no object is longer than four bytes for writing.

mod storing;

use super::abort::Abort;
use super::dictionary::Dictionary;
use super::drive::Drive;
use super::eds::Cursor;
use super::frame::{Frame, OUTBOX_FRAMES, Outbox};
use super::object::{Access, Source};
use super::table::{Found, find};
use crate::time::{Duration, Instant};

/// The longest time between two frames of a client.
const TIMEOUT: Duration = Duration::from_millis(1000);
/// Bytes of a segment.
const SEGMENT: usize = 7;
/// Segments of a block stop here, so that other frames find room.
const BUSY: usize = OUTBOX_FRAMES / 2;
/// Segments of a block that are sent in one go, and the time until the next: half of the load of
/// a bus of 1 Mbit/s, and no more than the receive buffer of a simple controller (SJA1000: 64
/// bytes, five frames).
const BURST: u8 = 4;
const PAUSE: Duration = Duration::from_millis(1);

/// Data that is uploaded, from a place in it on.
#[derive(Copy, Clone, Debug)]
enum Data {
    /// A value of 1 to 4 bytes: the bytes, and how many of them are left, at the end.
    Value([u8; 4], u8, u8),
    Text(&'static [u8]),
    Eds(Cursor),
}

/// A block upload.
#[derive(Copy, Clone, Debug)]
struct Block {
    /// What is not yet acknowledged, and its checksum so far.
    confirmed: Data,
    crc: u16,
    uses_crc: bool,
    /// What is not yet sent.
    rest: Data,
    /// Segments in a block: 1 to 127.
    size: u8,
    /// Segments sent of this block.
    sent: u8,
    /// The last one is sent.
    ended: bool,
}

#[derive(Copy, Clone, Debug)]
enum State {
    Idle,
    Upload {
        rest: Data,
        toggle: u8,
    },
    Download {
        bytes: [u8; 4],
        len: u8,
        toggle: u8,
    },
    /// Done; the confirmation waits until the machine has taken the controlword.
    Held([u8; 8]),
    /// The confirmation waits until the disk has taken what is to be stored.
    Storing([u8; 8]),
    /// Initiated; the client has not started it.
    BlockReady(Block),
    /// Segments are being sent, or the acknowledgement is awaited.
    Block(Block),
    /// All is acknowledged; the client confirms the end.
    BlockEnd,
}

/// The server of the default SDO channel.
#[derive(Clone, Debug)]
pub(super) struct Server {
    state: State,
    index: u16,
    sub: u8,
    last: Instant,
}

impl Data {
    /// Copies the next segment; also returns whether it is the last one.
    fn segment(&mut self, axes: u8, to: &mut [u8; SEGMENT]) -> (usize, bool) {
        match self {
            Self::Value(bytes, len, left) => {
                let from = usize::from(*len - *left);
                let rest = bytes.get(from..usize::from(*len)).unwrap_or(&[]);
                to[..rest.len()].copy_from_slice(rest);
                *left = 0;
                (rest.len(), true)
            }
            Self::Text(text) => {
                let (now, later) = text.split_at(text.len().min(SEGMENT));
                to[..now.len()].copy_from_slice(now);
                *text = later;
                (now.len(), later.is_empty())
            }
            Self::Eds(cursor) => {
                let len = cursor.read(axes, to);
                let mut ahead = *cursor;
                (len, ahead.read(axes, &mut [0]) == 0)
            }
        }
    }
}

impl Server {
    pub(super) const IDLE: Self = Self {
        state: State::Idle,
        index: 0,
        sub: 0,
        last: Instant::from_nanos(0),
    };

    /// Answers a request.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        request: &[u8; 8],
        dictionary: &mut Dictionary,
        drive: &mut impl Drive,
        out: &mut Outbox,
    ) {
        self.last = now;
        let node_id = dictionary.config.node_id;
        let answer = match request[0] >> 5 {
            0 => self.download_segment(request, dictionary, drive).map(Some),
            1 => self.download(request, dictionary, drive).map(Some),
            2 => self.upload(request, dictionary, drive).map(Some),
            3 => self.upload_segment(request, dictionary.axes).map(Some),
            4 => {
                self.state = State::Idle;
                return;
            }
            5 => self.block(request, dictionary, drive),
            _ => {
                self.address(request);
                Err(Abort::COMMAND)
            }
        };
        match answer {
            Ok(Some(answer)) if self.has_begun_to_store(request[0] >> 5, dictionary) => {
                self.state = State::Storing(answer);
                dictionary.look_kept(drive);
                self.end_storing(dictionary, out);
            }
            // After a download.
            Ok(Some(answer)) if matches!(request[0] >> 5, 0 | 1) && !drive.is_taken() => {
                self.state = State::Held(answer);
            }
            Ok(Some(answer)) => send(node_id, answer, out),
            Ok(None) => {}
            Err(abort) => self.abort(node_id, abort, out),
        }
        self.send_block(now, dictionary.axes, node_id, out);
    }

    /// Confirms a download that waits for the machine, sends segments of a block as long as there
    /// is room, and ends a transfer that stands still.
    pub(super) fn poll(
        &mut self,
        now: Instant,
        dictionary: &mut Dictionary,
        drive: &mut impl Drive,
        out: &mut Outbox,
        next: &mut Instant,
    ) {
        let node_id = dictionary.config.node_id;
        // Of a client that no longer waits, too.
        self.end_storing(dictionary, out);
        match self.state {
            // As long as the disk takes.
            State::Storing(_) => return,
            State::Idle => return,
            State::Held(answer) if drive.is_taken() => {
                self.state = State::Idle;
                send(node_id, answer, out);
                return;
            }
            State::Held(_) => *next = (now + PAUSE).min(*next),
            _ => {}
        }
        let due = self.last + TIMEOUT;
        if due <= now {
            if matches!(self.state, State::Held(_))
                && let 0x6000.. = self.index
                && let Ok(found) = find(self.index, self.sub, dictionary.axes)
            {
                drive.withdraw(usize::from(found.axis));
            }
            self.abort(node_id, Abort::TIMEOUT, out);
            return;
        }
        *next = due.min(*next);
        if self.send_block(now, dictionary.axes, node_id, out) {
            *next = (now + PAUSE).min(*next);
        }
    }

    fn abort(&mut self, node_id: u8, abort: Abort, out: &mut Outbox) {
        self.state = State::Idle;
        let [low, high] = self.index.to_le_bytes();
        let [a, b, c, d] = abort.0.to_le_bytes();
        send(node_id, [0x80, low, high, self.sub, a, b, c, d], out);
    }

    /// Takes index and sub-index of a request that begins a transfer.
    fn address(&mut self, request: &[u8; 8]) {
        self.state = State::Idle;
        self.index = u16::from_le_bytes([request[1], request[2]]);
        self.sub = request[3];
    }

    /// An answer that repeats index and sub-index.
    fn answer(&self, command: u8, data: [u8; 4]) -> [u8; 8] {
        let [low, high] = self.index.to_le_bytes();
        let [a, b, c, d] = data;
        [command, low, high, self.sub, a, b, c, d]
    }

    fn open(&self, dictionary: &Dictionary, drive: &impl Drive) -> Result<Data, Abort> {
        let found = find(self.index, self.sub, dictionary.axes)?;
        Ok(match found.object.source {
            Source::Text(text) => Data::Text(text.as_bytes()),
            Source::Eds => Data::Eds(Cursor::START),
            _ => {
                let size = found.object.kind.size();
                let value = dictionary.read(&found, drive)?;
                Data::Value(value.to_le_bytes(), size, size)
            }
        })
    }

    fn upload(
        &mut self,
        request: &[u8; 8],
        dictionary: &Dictionary,
        drive: &impl Drive,
    ) -> Result<[u8; 8], Abort> {
        self.address(request);
        let rest = self.open(dictionary, drive)?;
        let answer = match rest {
            Data::Value(bytes, size, _) => {
                let mut data = [0; 4];
                for (to, from) in data.iter_mut().zip(bytes).take(usize::from(size)) {
                    *to = from;
                }
                return Ok(self.answer(0x43 | (4 - size) << 2, data));
            }
            Data::Text(text) => self.answer(0x41, (text.len() as u32).to_le_bytes()),
            // The length is known only after the text has been generated.
            Data::Eds(_) => self.answer(0x40, [0; 4]),
        };
        self.state = State::Upload { rest, toggle: 0 };
        Ok(answer)
    }

    fn upload_segment(&mut self, request: &[u8; 8], axes: u8) -> Result<[u8; 8], Abort> {
        let State::Upload { rest, toggle } = &mut self.state else {
            return Err(Abort::COMMAND);
        };
        if request[0] & 0x10 != *toggle {
            return Err(Abort::TOGGLE);
        }
        let mut segment = [0; SEGMENT];
        let (len, last) = rest.segment(axes, &mut segment);
        let command = *toggle | ((SEGMENT - len) as u8) << 1 | u8::from(last);
        *toggle ^= 0x10;
        if last {
            self.state = State::Idle;
        }
        let [a, b, c, d, e, f, g] = segment;
        Ok([command, a, b, c, d, e, f, g])
    }

    /// The object of a download; `len` is its length if the client says it.
    fn target(&self, axes: u8, len: Option<u32>) -> Result<Found, Abort> {
        let found = find(self.index, self.sub, axes)?;
        if found.object.access != Access::Rw {
            return Err(Abort::READ_ONLY);
        }
        check_length(len.unwrap_or(found.object.kind.size().into()), &found)?;
        Ok(found)
    }

    fn download(
        &mut self,
        request: &[u8; 8],
        dictionary: &mut Dictionary,
        drive: &mut impl Drive,
    ) -> Result<[u8; 8], Abort> {
        self.address(request);
        let [command, _, _, _, a, b, c, d] = *request;
        let has_length = command & 1 != 0;
        let expedited = command & 2 != 0;
        let data = u32::from_le_bytes([a, b, c, d]);
        let len = match (expedited, has_length) {
            (_, false) => None,
            (true, true) => Some(4 - u32::from(command >> 2 & 3)),
            (false, true) => Some(data),
        };
        let found = self.target(dictionary.axes, len)?;
        if expedited {
            dictionary.write(&found, data, drive)?;
        } else {
            self.state = State::Download {
                bytes: [0; 4],
                len: 0,
                toggle: 0,
            };
        }
        Ok(self.answer(0x60, [0; 4]))
    }

    fn download_segment(
        &mut self,
        request: &[u8; 8],
        dictionary: &mut Dictionary,
        drive: &mut impl Drive,
    ) -> Result<[u8; 8], Abort> {
        let State::Download { bytes, len, toggle } = &mut self.state else {
            return Err(Abort::COMMAND);
        };
        let [command, data @ ..] = request;
        if command & 0x10 != *toggle {
            return Err(Abort::TOGGLE);
        }
        let used = SEGMENT - usize::from(command >> 1 & 7);
        for byte in &data[..used] {
            let Some(to) = bytes.get_mut(usize::from(*len)) else {
                return Err(Abort::TOO_LONG);
            };
            *to = *byte;
            *len += 1;
        }
        let answer = [0x20 | *toggle, 0, 0, 0, 0, 0, 0, 0];
        *toggle ^= 0x10;
        if command & 1 != 0 {
            let (raw, len) = (u32::from_le_bytes(*bytes), u32::from(*len));
            self.state = State::Idle;
            let found = self.target(dictionary.axes, Some(len))?;
            dictionary.write(&found, raw, drive)?;
        }
        Ok(answer)
    }

    fn block(
        &mut self,
        request: &[u8; 8],
        dictionary: &Dictionary,
        drive: &impl Drive,
    ) -> Result<Option<[u8; 8]>, Abort> {
        match (request[0] & 3, self.state) {
            (0, _) => {
                self.address(request);
                let data = self.open(dictionary, drive)?;
                let size = block_size(request[4])?;
                self.state = State::BlockReady(Block {
                    confirmed: data,
                    crc: 0,
                    uses_crc: request[0] & 4 != 0,
                    rest: data,
                    size,
                    sent: 0,
                    ended: false,
                });
                Ok(Some(match data {
                    Data::Value(_, len, _) => self.answer(0xC6, u32::from(len).to_le_bytes()),
                    Data::Text(text) => self.answer(0xC6, (text.len() as u32).to_le_bytes()),
                    Data::Eds(_) => self.answer(0xC4, [0; 4]),
                }))
            }
            (3, State::BlockReady(block)) => {
                self.state = State::Block(block);
                Ok(None)
            }
            (2, State::Block(mut block)) => {
                let (acknowledged, size) = (request[1], block_size(request[2])?);
                if acknowledged > block.sent {
                    return Err(Abort::SEQUENCE);
                }
                let complete = block.ended && acknowledged == block.sent;
                let len = block.confirm(acknowledged, dictionary.axes);
                block.size = size;
                if !complete {
                    self.state = State::Block(block);
                    return Ok(None);
                }
                self.state = State::BlockEnd;
                let unused = (SEGMENT - len) as u8;
                let crc = if block.uses_crc { block.crc } else { 0 };
                let [low, high] = crc.to_le_bytes();
                Ok(Some([0xC1 | unused << 2, low, high, 0, 0, 0, 0, 0]))
            }
            (1, State::BlockEnd) => {
                self.state = State::Idle;
                Ok(None)
            }
            _ => Err(Abort::COMMAND),
        }
    }

    /// Sends segments; whether some are left to be sent.
    fn send_block(&mut self, now: Instant, axes: u8, node_id: u8, out: &mut Outbox) -> bool {
        let State::Block(block) = &mut self.state else {
            return false;
        };
        for _ in 0..BURST {
            if block.sent >= block.size || block.ended {
                return false;
            }
            if out.len() >= BUSY {
                break;
            }
            let mut segment = [0; SEGMENT];
            let (_, last) = block.rest.segment(axes, &mut segment);
            block.ended = last;
            block.sent += 1;
            let [a, b, c, d, e, f, g] = segment;
            let command = block.sent | u8::from(last) << 7;
            send(node_id, [command, a, b, c, d, e, f, g], out);
            self.last = now;
        }
        true
    }
}

impl Block {
    /// Goes on after `count` segments, which have arrived, and returns the length of the last
    /// one.
    fn confirm(&mut self, count: u8, axes: u8) -> usize {
        let mut len = 0;
        for _ in 0..count {
            let mut segment = [0; SEGMENT];
            len = self.confirmed.segment(axes, &mut segment).0;
            for byte in &segment[..len] {
                self.crc = crc16(self.crc, *byte);
            }
        }
        self.rest = self.confirmed;
        self.sent = 0;
        self.ended = false;
        len
    }
}

/// CRC-16 with the polynomial x^16 + x^12 + x^5 + 1, beginning with 0 (CiA 301).
fn crc16(crc: u16, byte: u8) -> u16 {
    let mut crc = crc ^ u16::from(byte) << 8;
    for _ in 0..8 {
        let carry = crc & 0x8000 != 0;
        crc <<= 1;
        if carry {
            crc ^= 0x1021;
        }
    }
    crc
}

const fn block_size(size: u8) -> Result<u8, Abort> {
    if size == 0 || size > 127 {
        return Err(Abort::BLOCK_SIZE);
    }
    Ok(size)
}

fn check_length(len: u32, found: &Found) -> Result<(), Abort> {
    let size = u32::from(found.object.kind.size());
    if len > size {
        return Err(Abort::TOO_LONG);
    }
    if len < size {
        return Err(Abort::TOO_SHORT);
    }
    Ok(())
}

/// Sends an answer. Without room it is lost, and the client repeats its request.
fn send(node_id: u8, answer: [u8; 8], out: &mut Outbox) {
    let _ = out.push_back(Frame::clipped(0x580 + u16::from(node_id), &answer));
}
