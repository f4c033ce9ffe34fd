//! Instances and the calls that run in them.

pub(crate) mod call;
pub(crate) mod instance;
pub(crate) mod shelf;
pub(crate) mod slots;
