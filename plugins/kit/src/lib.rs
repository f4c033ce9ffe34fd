//! x
pub mod componentize;
pub mod wit;
