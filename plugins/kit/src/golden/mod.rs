//! Golden cases: what a plugin must say, kept as JSON files in `cases`, judged in the gateway's own plugin host.
//!
//! [`Case`] is the format, [`WindowRule`] how a stream is cut into windows and put together again, [`run`] does it.

mod case;
mod run;
mod subject;
mod window;

pub use case::{Case, CaseError, Expected, VerdictKind, read};
pub use run::{CaseReport, run};
pub use window::{WindowError, WindowRule};
