//! What one message can hold.

/// Most operations of one transaction.
pub const MAX_OPERATIONS: usize = 16;

/// Most transfers of one message. An operation takes one; a `Transfer` of
/// unequal lengths takes two; a pause takes none when it fits behind the
/// transfer before it, else one for each 65,535 us. 16 operations without
/// pauses always fit, and 1 s of pauses beside 16 transfers.
pub const MAX_TRANSFERS: usize = 32;

/// `ARCH_DMA_MINALIGN`, the grid on which spidev lays transfers in its buffer:
/// 128 on arm64, a cache line of 64 on 32-bit ARM; where the kernel names none
/// it is the alignment of `unsigned long long`.
pub(super) const DMA_ALIGN: usize = if cfg!(target_arch = "aarch64") {
    128
} else if cfg!(target_arch = "arm") {
    64
} else {
    8
};
