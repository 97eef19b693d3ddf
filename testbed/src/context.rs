//! Context of a test: the host's resources, and the transcripts of its boots.

use std::sync::{Arc, Mutex};

use crate::host::Host;
use crate::machine::{Transcript, lock};

/// Context of one test, or of one boot of the benchmark.
pub struct Context<'a> {
    /// Kernels, tools and programs of this machine.
    pub host: &'a Host,
    transcripts: Mutex<Vec<Arc<Transcript>>>,
}

impl<'a> Context<'a> {
    /// A context without boots.
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            transcripts: Mutex::default(),
        }
    }

    /// Adds the transcript of a new boot.
    pub fn new_transcript(&self) -> Arc<Transcript> {
        let transcript = Arc::new(Transcript::default());
        lock(&self.transcripts).push(Arc::clone(&transcript));
        transcript
    }

    /// The console lines of all boots, in order.
    #[must_use]
    pub fn console(&self) -> Vec<String> {
        let transcripts = self.transcripts();
        let lines = transcripts.iter().flat_map(|of| lock(&of.console).clone());
        lines.collect()
    }

    /// The transcripts of all boots, in order.
    pub fn transcripts(&self) -> Vec<Arc<Transcript>> {
        lock(&self.transcripts).clone()
    }
}
