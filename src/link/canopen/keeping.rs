//! What is stored on command.

/// What is stored on command.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// 1010h.
    Store,
    /// 1011h.
    Restore,
    /// The node id (LSS).
    NodeId,
}
