//! One period of the control loop: sense, decide, act, record.
//!
//! This module knows the order of things and their time, and nothing of chips,
//! axes or kernels: devices come in through the traits of [`ports`], the
//! process image of [`image`] is all that passes between the stages. [`stages`]
//! is one cycle, [`run`] the loop of them on the absolute [`schedule`], with the
//! [`overrun`] ladder over it and [`timing`] beside it. [`stop`] is why the loop asks
//! for a quick stop. [`law`] is how several control laws share a cycle, [`device`] what
//! senses and drives the [`signal`]s between them.

pub mod device;
pub mod histogram;
pub mod image;
pub mod law;
pub mod overrun;
pub mod ports;
pub mod record;
pub mod run;
pub mod schedule;
pub mod signal;
pub mod stages;
pub mod stop;
pub mod timing;
