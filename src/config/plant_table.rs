//! The table of a plant, for [`PlantKind::read`](super::PlantKind::read).

use std::ops::{Deref, DerefMut};

use super::own_tables::all;
use super::reader::{Result, Table};
use super::signals::{ANY_UNIT, Signals};
use super::types::{Named, Type};
use crate::cycle::signal::{Input, Output};

/// `[simulation.plant.NAME]`: reads the signals of a plant. It dereferences to [`Table`] for
/// other keys.
pub struct PlantTable<'p, 't> {
    pub(super) table: Table<'t>,
    pub(super) signals: &'p mut Signals,
}

impl<'t> Deref for PlantTable<'_, 't> {
    type Target = Table<'t>;
    fn deref(&self) -> &Table<'t> {
        &self.table
    }
}

impl DerefMut for PlantTable<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.table
    }
}

impl PlantTable<'_, '_> {
    /// Whether the signal that `key` names is a flag.
    ///
    /// # Errors
    /// The key is missing, or there is no such signal.
    pub fn is_flag(&mut self, key: &'static str) -> Result<bool> {
        let at = self.table.any_signal(key)?;
        let signal = self.signals.named(self.table.source(), &at, None)?;
        Ok(signal.of == Type::Flag)
    }

    /// The type of the signal that `key` names.
    ///
    /// # Errors
    /// The key is missing, or there is no such signal.
    pub fn type_of(&mut self, key: &'static str) -> Result<Type> {
        let at = self.table.any_signal(key)?;
        let signal = self.signals.named(self.table.source(), &at, None)?;
        Ok(signal.of)
    }

    /// The input that `key` names, in any unit, which a plant before this one sets: for a
    /// plant that injects faults into it.
    ///
    /// # Errors
    /// The key is missing; there is no such input, it has another type, or no plant before this
    /// one sets it.
    pub fn given<T: Named>(&mut self, key: &'static str) -> Result<Input<T>> {
        let at = self.table.signal::<T>(key, ANY_UNIT, true)?;
        self.signals.given(self.table.source(), &at)
    }

    /// The outputs that drive the plant, which `key` names in a list of at most `most`; numbers
    /// are in `unit`.
    ///
    /// # Errors
    /// As [`PlantTable::output`]; the list is too long.
    pub fn outputs_up_to<T: Named>(
        &mut self,
        key: &'static str,
        unit: &str,
        most: usize,
    ) -> Result<Vec<Output<T>>> {
        let names = self.table.signals_up_to::<T>(key, unit, most, false)?;
        let source = self.table.source();
        let driven = names.iter().map(|at| self.signals.driven(source, at, unit));
        driven.collect()
    }

    /// The inputs that this plant alone sets, which `key` names in a list of at most `most`;
    /// numbers are in `unit`.
    ///
    /// # Errors
    /// As [`PlantTable::input`]; the list is too long.
    pub fn inputs_up_to<T: Named>(
        &mut self,
        key: &'static str,
        unit: &str,
        most: usize,
    ) -> Result<Vec<Input<T>>> {
        let names = self.table.signals_up_to::<T>(key, unit, most, true)?;
        let source = self.table.source();
        let writer = self.table.title();
        let given = names
            .iter()
            .map(|at| self.signals.source(source, at, unit, &writer));
        given.collect()
    }

    /// The output that `key` names, which drives the plant; a number is in `unit`, or in any
    /// unit with [`ANY_UNIT`].
    ///
    /// # Errors
    /// The key is missing; there is no such output, or it has another type or unit.
    pub fn output<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Output<T>> {
        let at = self.table.signal::<T>(key, unit, false)?;
        self.signals.driven(self.table.source(), &at, unit)
    }

    /// The `N` outputs that drive the plant, which `key` names in a list; numbers are in
    /// `unit`.
    ///
    /// # Errors
    /// As [`PlantTable::output`]; the list has not `N` entries.
    pub fn outputs<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
    ) -> Result<[Output<T>; N]> {
        let names = self.table.signals::<T, N>(key, unit, false)?;
        let source = self.table.source();
        all(names, |at| self.signals.driven(source, at, unit))
    }

    /// The input that `key` names, which this plant alone sets; a number is in `unit`.
    ///
    /// # Errors
    /// The key is missing; there is no such input, it has another type or unit, it is a channel
    /// of the board, or another plant sets it.
    pub fn input<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Input<T>> {
        let at = self.table.signal::<T>(key, unit, true)?;
        let (source, writer) = (self.table.source(), self.table.title());
        self.signals.source(source, &at, unit, &writer)
    }

    /// The `N` inputs that this plant alone sets, which `key` names in a list; numbers are in
    /// `unit`.
    ///
    /// # Errors
    /// As [`PlantTable::input`]; the list has not `N` entries.
    pub fn inputs<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
    ) -> Result<[Input<T>; N]> {
        let names = self.table.signals::<T, N>(key, unit, true)?;
        let (source, writer) = (self.table.source(), self.table.title());
        all(names, |at| self.signals.source(source, at, unit, &writer))
    }
}
