//! Saved configs: what requests and keys name by id, kept in the store with every version they ever had.
//!
//! Requests read a map in memory, never the store: however many configs there are, one look finds the plan, which was
//! read when the config was saved. A request keeps the plan it began with. The settings' `[[config]]` come before
//! saved configs of the same id, as declared providers do. Configs can't refer to configs, so none can loop.
//!
//! Refuses to know: who may change configs, and whether what they name exists (`pipeline::vet` says that).
//! Failure behaviour: a change that can't be written changes nothing; a saved text that can't be read any more answers
//! its error to requests.

mod error;
mod saved;
mod service;

pub use error::ConfigsError;
pub use saved::{Saved, which};
pub use service::{Author, Change, Configs, Draft};
