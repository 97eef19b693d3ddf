//! Storing communication parameters (1010h), and loading them at a reset.

use super::dictionary::Dictionary;
use super::drive::{Drive, Saved};
use super::keeping::Keeping;
use super::object::{Access, Object, Own, Source};
use super::pdo::INVALID;
use super::table::{Found, OBJECTS, find, index_of, instances};

/// Passes over the table: entries of mappings, numbers of entries, the rest.
const PASSES: usize = 3;

/// The pass in which a communication parameter is stored; `None` for an object that is not stored.
fn pass_of(object: &Object) -> Option<usize> {
    let Source::Node(own) = object.source else {
        return None;
    };
    // Objects of an axis are commands, or parameters that the drive stores itself.
    if object.access != Access::Rw || object.index >= 0x6000 {
        return None;
    }
    match own {
        Own::HistoryCount | Own::SyncMeasured => None,
        Own::MapEntry => Some(0),
        Own::MapCount => Some(1),
        _ => Some(2),
    }
}

/// How many communication parameters a node with this number of axes stores at most.
#[must_use]
pub fn most_stored(axes: u8) -> usize {
    let stored = OBJECTS.iter().filter(|object| pass_of(object).is_some());
    stored
        .map(|object| usize::from(object.subs) * usize::from(instances(object.index, axes)))
        .sum()
}

impl Dictionary {
    /// Looks what has become of what is stored.
    pub(super) fn look_kept(&mut self, drive: &mut impl Drive) {
        let Some(keeping) = self.keeping else { return };
        let Some(result) = drive.stored() else {
            return;
        };
        self.keeping = None;
        self.kept = Some((keeping, result));
        if result.is_ok() && keeping != Keeping::NodeId {
            self.restored = keeping == Keeping::Restore;
        }
    }

    /// Sets all communication parameters to what is stored, or to the presets. Errors are kept.
    pub(super) fn reset(&mut self, drive: &mut impl Drive) {
        let mut fresh = Self::new(self.config, usize::from(self.axes));
        core::mem::swap(&mut fresh.errors, &mut self.errors);
        fresh.restored = self.restored;
        fresh.keeping = self.keeping;
        *self = fresh;
        if self.restored {
            return;
        }
        let mut verify = [0; 2];
        let mut number = 0;
        while let Some(saved) = drive.saved(self.config.node_id, number) {
            number += 1;
            // A value of another version of the table that no longer fits is left out.
            let Ok(found) = find(saved.index, saved.sub, self.axes) else {
                continue;
            };
            match found.object.source {
                Source::Node(Own::Verify) => verify[usize::from(saved.sub - 1) % 2] = saved.value,
                _ if found.object.index & 0xF000 == 0x1000 && found.object.index >= 0x1400 => {
                    self.load_pdo(&found, saved.value, drive);
                }
                _ => {
                    let _ = self.write(&found, saved.value, drive);
                }
            }
        }
        for pdo in self.rpdos.iter_mut().chain(&mut self.tpdos) {
            pdo.restart();
        }
        self.verify = verify;
    }

    /// Loads a parameter of a PDO, which by SDO can be written only while the PDO does not exist.
    fn load_pdo(&mut self, found: &Found, value: u32, drive: &mut impl Drive) {
        let pdo = self.pdo_mut(found);
        let (id, count) = (pdo.id, pdo.count);
        pdo.id |= INVALID;
        pdo.count = 0;
        let written = self.write(found, value, drive).is_ok();
        let pdo = self.pdo_mut(found);
        match found.object.source {
            Source::Node(Own::PdoId) if written => pdo.count = count,
            Source::Node(Own::MapCount) if written => pdo.id = id,
            _ => (pdo.id, pdo.count) = (id, count),
        }
    }

    /// The next communication parameter that differs from its preset. A mapping comes before its
    /// number of entries, and both before the COB-ID, so that they can be written in this order.
    pub(super) fn changed(&self, at: &mut usize) -> Option<Saved> {
        let mut number = 0;
        for pass in 0..PASSES {
            for object in &OBJECTS {
                if pass_of(object) != Some(pass) {
                    continue;
                }
                for instance in 0..instances(object.index, self.axes) {
                    for sub in object.sub..object.sub + object.subs {
                        number += 1;
                        if number <= *at {
                            continue;
                        }
                        *at = number;
                        if let Some(saved) = self.differs(index_of(object.index, instance), sub) {
                            return Some(saved);
                        }
                    }
                }
            }
        }
        None
    }

    fn differs(&self, index: u16, sub: u8) -> Option<Saved> {
        let found = find(index, sub, self.axes).ok()?;
        let Source::Node(own) = found.object.source else {
            return None;
        };
        let kind = found.object.kind;
        let value = self.read_own(&found, own).ok()?;
        let preset = self.preset(&found)?;
        (kind.value(value) != kind.value(preset)).then_some(Saved { index, sub, value })
    }
}
