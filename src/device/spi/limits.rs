//! Limits of one message.

/// Maximum number of operations of one transaction.
pub const MAX_OPERATIONS: usize = 16;

/// Maximum number of transfers of one message. An operation takes one; a `Transfer` of
/// unequal lengths takes two; a pause takes none if it can be attached to the transfer
/// before it, else one for each 65,535 us. 16 operations without pauses always fit, as do
/// 16 transfers with 1 s of pauses.
pub const MAX_TRANSFERS: usize = 32;

/// `ARCH_DMA_MINALIGN`, the alignment in bytes of each transfer in spidev's buffer: 128 on
/// arm64, a cache line of 64 on 32-bit ARM, else that of `unsigned long long`.
pub(super) const DMA_ALIGN: usize = if cfg!(target_arch = "aarch64") {
    128
} else if cfg!(target_arch = "arm") {
    64
} else {
    8
};
