//! Checks that ask others, through the granted powers `http` and `kv`.

pub(crate) mod images;
pub(crate) mod jwt;
pub(crate) mod urls;
pub(crate) mod webhook;
