//! Servo axes, `[safety]` and `[axis.X]`: the [servo controller](crate::axis) as a control
//! law of the board file, with what a person is told of it.

mod axes;
mod read;

use std::sync::Arc;

pub use axes::{Axes, Names};

use crate::axis::Servo;
use crate::config::{RootLaw, StartLaw};
use crate::cycle::ports::Decide;

/// How board files have it.
pub(super) const KIND: RootLaw = RootLaw {
    tables: &["safety", "axis"],
    trace: <Servo as Decide>::TRACE,
    read: |tables| {
        let axes = read::read(tables)?;
        Ok(axes.map(|axes| Arc::new(axes) as Arc<dyn StartLaw>))
    },
};
