//! Servo axes: the [servo controller](crate::axis) as a control law, configured by
//! `[safety]` and `[axis.X]` of the board file.

mod axes;
mod bounds;
mod read;
mod read_command;
mod tuning;

use std::sync::Arc;

pub use axes::{Axes, Names};

use crate::axis::Servo;
use crate::config::{RootLaw, StartLaw};
use crate::cycle::ports::Decide;

/// The tables of the board file that it reads.
pub(super) const KIND: RootLaw = RootLaw {
    trace: <Servo as Decide>::TRACE,
    read: |tables| {
        let axes = read::read(tables)?;
        Ok(axes.map(|axes| Arc::new(axes) as Arc<dyn StartLaw>))
    },
};
