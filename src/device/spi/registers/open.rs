//! Opens the chips of a controller. Allocates and reads files: for start-up only.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::owner::{Chip, Controller};
use super::{Block, Kind, Mapped, Wire};
use crate::device::registers::{Place, RegistersError};

/// What identifies a mapped controller: its kind and its physical address.
type Identity = (Kind, u64);

/// The controllers that are mapped.
static OPEN: Mutex<Vec<(Identity, &'static Controller<Mapped>)>> = Mutex::new(Vec::new());

impl Chip {
    /// Maps the controller at `place`, unless another chip has done so, disables it, and gives
    /// a chip of it. Both stay for the life of the process.
    ///
    /// # Errors
    /// [`RegistersError`].
    pub fn open(kind: Kind, place: Place<'_>, wire: Wire) -> Result<&'static Self, RegistersError> {
        let identity = (kind, place.address);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().find(|(known, _)| *known == identity);
        let controller = match known {
            Some((_, controller)) => *controller,
            None => {
                let least = Kind::BLOCK_BYTES;
                let block = place.map(Path::new("/"), least)?.window();
                let block = block.ok_or(RegistersError::TooSmall { bytes: 0, least })?;
                kind.reset(&block);
                let controller: &'static _ = Box::leak(Box::new(Controller::new(kind, block)));
                open.push((identity, controller));
                controller
            }
        };
        Ok(Box::leak(Box::new(Self { controller, wire })))
    }
}

impl Kind {
    /// Takes a controller over from a boot loader: disabled, without interrupts and DMA.
    fn reset<B: Block>(self, block: &B) {
        match self {
            Self::Ecspi => super::ecspi::reset(block),
            Self::Bcm2835 => super::bcm2835::reset(block),
        }
    }
}
