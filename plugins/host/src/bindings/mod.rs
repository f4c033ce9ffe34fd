//! Generated bindings.
pub(crate) mod since_v0_1;
