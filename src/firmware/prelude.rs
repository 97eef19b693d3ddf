//! All names that a firmware of your own needs: `use steadfast::firmware::prelude::*;`.

pub use super::Firmware;
pub use crate::stock::prelude::*;
