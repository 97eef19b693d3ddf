//! Scenarios of a servo controller with a simulated plant.

mod plant;

mod commanded;
mod configuration;
mod faults;
mod operation;
mod parameters;
mod reset;
mod stops;
