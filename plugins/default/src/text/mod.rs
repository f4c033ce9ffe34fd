//! Checks of the text itself.

pub(crate) mod code;
pub(crate) mod contains;
pub(crate) mod counts;
pub(crate) mod json_keys;
pub(crate) mod json_schema;
pub(crate) mod letters;
pub(crate) mod regex;
pub(crate) mod regex_match;
pub(crate) mod regex_replace;
pub(crate) mod schema;
mod scout;
pub(crate) mod seen;
