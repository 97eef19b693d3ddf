//! A servo axis.
pub mod fault;
pub mod feedback;
pub mod limits;
pub mod state;
