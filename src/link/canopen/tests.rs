//! Tests of the node over a drive that only keeps values.

mod documentation;
mod eds;
mod emergency;
mod fake;
mod hostile;
mod lss;
mod nmt;
mod pdo;
mod replay;
mod sdo;
mod stored;
mod sync;
