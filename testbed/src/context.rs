//! What a boot is given: what this machine has, and where its console is kept.

use std::sync::{Arc, Mutex};

use crate::host::Host;
use crate::machine::{Transcript, lock};

/// For one test, or for one boot of the benchmark.
pub struct Context<'a> {
    /// What this machine has.
    pub host: &'a Host,
    transcripts: Mutex<Vec<Arc<Transcript>>>,
}

impl<'a> Context<'a> {
    /// One without a boot so far.
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            transcripts: Mutex::default(),
        }
    }

    /// The transcript of a boot that is about to begin.
    pub fn new_transcript(&self) -> Arc<Transcript> {
        let transcript = Arc::new(Transcript::default());
        lock(&self.transcripts).push(Arc::clone(&transcript));
        transcript
    }

    /// The console of all boots so far, one after the other.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        let transcripts = self.transcripts();
        let lines = transcripts.iter().flat_map(|of| lock(&of.console).clone());
        lines.collect()
    }

    /// Those of all boots so far, in their order.
    pub fn transcripts(&self) -> Vec<Arc<Transcript>> {
        lock(&self.transcripts).clone()
    }
}
