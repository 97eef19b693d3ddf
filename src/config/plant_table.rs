//! The table that a plant of one's own reads of the board file.

use std::ops::{Deref, DerefMut};

use super::own_tables::all;
use super::reader::{Result, Table};
use super::signals::{ANY_UNIT, Named, Signals, Type};
use crate::cycle::signal::{Input, Output};

/// `[simulation.plant.NAME]`, as the plant reads it. What a [`Table`] has it has too.
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
    /// There is no such signal.
    pub fn is_flag(&mut self, key: &'static str) -> Result<bool> {
        let at = self.table.any_signal(key)?;
        let signal = self.signals.named(self.table.source(), &at, None)?;
        Ok(signal.of == Type::Flag)
    }

    /// Of which type the signal is that `key` names.
    ///
    /// # Errors
    /// There is no such signal.
    pub fn type_of(&mut self, key: &'static str) -> Result<Type> {
        let at = self.table.any_signal(key)?;
        let signal = self.signals.named(self.table.source(), &at, None)?;
        Ok(signal.of)
    }

    /// The input that `key` names, in any unit, which a plant before this one gives: for
    /// one that lets it fail.
    ///
    /// # Errors
    /// There is no such input, it is of another type, or no plant before this one gives it.
    pub fn given<T: Named>(&mut self, key: &'static str) -> Result<Input<T>> {
        let at = self.table.signal::<T>(key, ANY_UNIT, true)?;
        self.signals.given(self.table.source(), &at)
    }

    /// The outputs that `key` names in a list of at most `most`, which drive the plant;
    /// numbers are in `unit`.
    ///
    /// # Errors
    /// As of [`PlantTable::output`]; there are more.
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

    /// The inputs that `key` names in a list of at most `most`, which this plant gives and
    /// no other.
    ///
    /// # Errors
    /// As of [`PlantTable::input`]; there are more.
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
    /// with [`ANY_UNIT`].
    ///
    /// # Errors
    /// There is no such output, or it is of another type or unit.
    pub fn output<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Output<T>> {
        let at = self.table.signal::<T>(key, unit, false)?;
        self.signals.driven(self.table.source(), &at, unit)
    }

    /// The `N` outputs that `key` names in a list, which drive the plant; numbers are in
    /// `unit`.
    ///
    /// # Errors
    /// As of [`PlantTable::output`]; there are more or fewer than `N` of them.
    pub fn outputs<T: Named, const N: usize>(
        &mut self,
        key: &'static str,
        unit: &str,
    ) -> Result<[Output<T>; N]> {
        let names = self.table.signals::<T, N>(key, unit, false)?;
        let source = self.table.source();
        all(names, |at| self.signals.driven(source, at, unit))
    }

    /// The input that `key` names, which this plant gives and no other.
    ///
    /// # Errors
    /// As of [`PlantTable::output`]; another plant gives it.
    pub fn input<T: Named>(&mut self, key: &'static str, unit: &str) -> Result<Input<T>> {
        let at = self.table.signal::<T>(key, unit, true)?;
        let (source, writer) = (self.table.source(), self.table.title());
        self.signals.source(source, &at, unit, &writer)
    }

    /// The `N` inputs that `key` names in a list, which this plant gives and no other.
    ///
    /// # Errors
    /// As of [`PlantTable::input`]; there are more or fewer than `N` of them.
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
