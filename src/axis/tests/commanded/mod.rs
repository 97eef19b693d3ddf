//! Scenarios of an axis that a master commands.

mod automaton;
mod drive;
mod homing;
mod losses;
mod positions;
mod random;
mod velocities;
