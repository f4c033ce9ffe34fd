//! Which versions of plugins there are, and which one of each is in force: the pure core of the plugins' actor.
//!
//! Loads nothing, reads no files, asks no clock.

mod shelf;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use shelf::{Entry, Shelf, Version};
pub use shelf::{Refusal, Source, Upload};
pub(crate) use step::Step;
