//! One period of the control loop: sense, decide, act, record.
//!
//! The modules here define the order and the times of a cycle. They depend on no chip, axis or
//! kernel: devices are the traits of [`ports`], and the stages share only the process
//! [`image`]. [`stages`] is one cycle. [`run`] repeats it on the absolute [`schedule`], watched
//! by the [`overrun`] ladder and measured by [`timing`]. [`wake`] is how it waits for a release. [`stop`] has the causes of a quick
//! stop. [`law`] runs several control laws in a cycle; a [`device`] senses and drives the
//! [`signal`]s between them. A [`force`] overrides one for a time. Nothing here allocates.

pub mod device;
pub mod force;
pub mod histogram;
pub mod image;
pub mod law;
pub mod overrun;
pub mod ports;
pub mod received;
pub mod record;
pub mod run;
pub mod sample;
pub mod schedule;
pub mod signal;
pub mod stages;
pub mod stop;
pub mod timing;
pub mod wake;
pub mod word;
