//! What plugin authors work with: makes a plugin's folder, builds it into a component, tests it with golden cases and
//! measures it, in eight languages. The command line is [`command`]; the rest is what it calls.
//!
//! Tests and measurements run in the gateway's own plugin host, with no powers granted. Nothing here is needed to run
//! a gateway.

pub mod bench;
pub mod build;
pub mod command;
pub mod componentize;
pub mod golden;
pub mod host;
pub mod language;
pub mod new;
mod process;
pub mod project;
mod templates;
pub mod toolchains;
pub mod wit;
