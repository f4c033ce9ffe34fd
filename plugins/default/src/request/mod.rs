//! Checks of what surrounds the text: model, metadata, endpoint, parameters.

pub(crate) mod kind;
pub(crate) mod metadata;
pub(crate) mod models;
pub(crate) mod parameters;
pub(crate) mod prefix;
pub(crate) mod types;
