//! The confirmation of 1010h and 1011h, which waits for the disk.

use super::{Server, State, send};
use crate::link::canopen::dictionary::Dictionary;
use crate::link::canopen::frame::Outbox;
use crate::link::canopen::keeping::Keeping;

impl Server {
    /// Whether a request has just written 1010h or 1011h.
    pub(super) fn has_begun_to_store(&self, service: u8, dictionary: &Dictionary) -> bool {
        // The last segment, or the only one; another one leaves the state of a download.
        matches!((service, self.state), (0 | 1, State::Idle))
            && matches!(self.index, 0x1010 | 0x1011)
            && dictionary.keeping.is_some()
    }

    /// Confirms a download to 1010h or 1011h, or aborts it, when the disk has taken it or not.
    pub(super) fn end_storing(&mut self, dictionary: &mut Dictionary, out: &mut Outbox) {
        let node_id = dictionary.config.node_id;
        let kept = dictionary
            .kept
            .take_if(|(what, _)| *what != Keeping::NodeId);
        if let (State::Storing(answer), Some((_, result))) = (self.state, kept) {
            self.state = State::Idle;
            match result {
                Ok(()) => send(node_id, answer, out),
                Err(refusal) => self.abort(node_id, refusal.into(), out),
            }
        }
    }
}
