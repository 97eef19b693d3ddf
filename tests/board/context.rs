//! What a boot is given: what this machine has, and where its console is kept.

use std::sync::{Arc, Mutex};

use crate::Host;
use crate::machine::{Transcript, lock};

/// For one test, or for one boot of the benchmark.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    transcripts: Mutex<Vec<Arc<Transcript>>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(host: &'a Host) -> Self {
        Self {
            host,
            transcripts: Mutex::default(),
        }
    }

    /// The transcript of a boot that is about to begin.
    pub(crate) fn new_transcript(&self) -> Arc<Transcript> {
        let transcript = Arc::new(Transcript::default());
        lock(&self.transcripts).push(Arc::clone(&transcript));
        transcript
    }

    /// Those of all boots so far, in their order.
    pub(crate) fn transcripts(&self) -> Vec<Arc<Transcript>> {
        lock(&self.transcripts).clone()
    }
}
