//! A CANopen node: the slave services of CiA 301 and a drive of CiA 402 for each axis.
//!
//! ```text
//! node          frames in, frames out, timers: the entry point
//!   receive     SYNC, RPDO, heartbeat and NMT
//!   transmit    TPDO, heartbeat, EMCY, time-outs
//!   sdo         SDO server: expedited, segmented, block upload
//!     eds       the EDS as text, generated piece by piece
//!   dictionary  the values of the communication objects, access to all objects
//!     stored    store and restore
//!     keeping   what is stored on command
//!     pdo       communication and mapping parameters
//!     emergency error register, history, messages
//!     period    the interpolation period
//!     table     the object dictionary
//!     object    one row of it
//!   lss         node id by LSS (CiA 305)
//!   measure     the measurement of SYNC
//!   drive       what the node needs of the machine
//!   abort       SDO abort codes
//!   frame       CAN frames
//! ```
//!
//! No socket, no clock, no allocation: frames and the time come as arguments. What the objects
//! are is listed in `docs/canopen.md`, which is generated from the table.

mod abort;
mod dictionary;
mod drive;
mod eds;
mod emergency;
mod frame;
mod keeping;
mod lss;
mod measure;
mod node;
mod object;
mod pdo;
mod period;
mod receive;
mod sdo;
mod stored;
mod table;
mod transmit;

pub use abort::Abort;
pub use dictionary::Config;
pub use drive::{Drive, Item, Loss, Pace, Refusal, Reset, Saved};
pub use frame::{Frame, MAX_ID, OUTBOX_FRAMES, Outbox};
pub use node::{BusEvent, Nmt, Node};
pub use stored::most_stored;
pub use table::MAX_AXES;

#[cfg(test)]
mod tests;
