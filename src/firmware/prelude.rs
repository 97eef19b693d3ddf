//! What a firmware of one's own is written with: `use steadfast::firmware::prelude::*;`.

pub use super::Firmware;
pub use crate::stock::prelude::*;
