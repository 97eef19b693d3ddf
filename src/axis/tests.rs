//! A servo controller against a plant, scenario by scenario.

mod plant;

mod configuration;
mod faults;
mod operation;
mod reset;
mod stops;
