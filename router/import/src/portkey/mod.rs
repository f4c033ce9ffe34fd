//! Portkey's configs, with what an export says about credentials and keys.
//!
//! A config stays what it is: it is read by the gateway's own reader before and after, and only credentials are taken
//! out of it, into providers. Everything that a config names (slugs, virtual keys, guardrails) gets an entry, so that
//! the file is complete; what can't be known is marked.

mod convert;
mod input;
mod named;
mod rows;
mod targets;

pub use convert::portkey;
