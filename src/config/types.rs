//! The types of signals: of a board file, and of the code.

use super::names::{input, output};
use crate::cycle::image::Angle;
use crate::cycle::signal::{Input, Output, Value};

/// The type of a signal.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Flag,
    /// A number in a unit.
    Number,
    /// An angle within one turn.
    Angle,
}

impl Type {
    /// The type as messages call it: `a flag`, `a number`, `an angle`.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Flag => "a flag",
            Self::Number => "a number",
            Self::Angle => "an angle",
        }
    }
}

/// A type that signals of the board file can have: `bool`, `f64` and [`Angle`].
pub trait Named: Value {
    #[doc(hidden)]
    const TYPE: Type;
    #[doc(hidden)]
    fn at_input_line(_: u8) -> Option<Input<Self>> {
        None
    }
    #[doc(hidden)]
    fn at_output_line(_: u8) -> Option<Output<Self>> {
        None
    }
    #[doc(hidden)]
    fn at_received(_: u8, _: u8) -> Option<Input<Self>> {
        None
    }
}

impl Named for bool {
    const TYPE: Type = Type::Flag;
    fn at_input_line(number: u8) -> Option<Input<Self>> {
        Some(Input::line(input(number)))
    }
    fn at_output_line(number: u8) -> Option<Output<Self>> {
        Some(Output::line(output(number)))
    }
}

impl Named for f64 {
    const TYPE: Type = Type::Number;
    fn at_received(number: u8, group: u8) -> Option<Input<Self>> {
        Input::received(number, group)
    }
}

impl Named for Angle {
    const TYPE: Type = Type::Angle;
}
