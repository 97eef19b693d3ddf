//! What leaves the loop, and what people and programs see of it.
//!
//! The one way out of the loop is the [`ring`]; the [`reporter`] thread empties
//! it. The [`report`] is what a run leaves behind, for programs as JSON, for
//! people as [`text`]. The service manager is told by [`notify`].

pub mod notify;
pub mod report;
pub mod reporter;
pub mod ring;
pub mod text;
