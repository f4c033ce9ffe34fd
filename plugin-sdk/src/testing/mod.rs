//! Running a plugin natively: checks, streams cut anywhere, and a host that answers as the test says.
//!
//! ```
//! use tidegate_plugin_sdk::{CheckError, CheckInfo, Judgement, Manifest, Params, Plugin, Subject, Verdict, testing};
//!
//! struct Loud;
//!
//! impl Plugin for Loud {
//!     fn manifest() -> Manifest {
//!         Manifest::new("loud", "1.0.0").check(CheckInfo::new("shouting"))
//!     }
//!
//!     fn check(_: &str, _: &Params, subject: &Subject) -> Result<Judgement, CheckError> {
//!         let shouts = subject.pieces.iter().any(|piece| piece.text.contains('!'));
//!         Ok(if shouts { Judgement::fail("shouting", "Please be quiet") } else { Judgement::pass() })
//!     }
//! }
//!
//! let judgement = testing::check::<Loud>("shouting", "{}", &Subject::input("Hey!"))?;
//! assert!(matches!(judgement.verdict, Verdict::Fail(_)));
//! # Ok::<(), CheckError>(())
//! ```

mod fake_host;
mod streams;

pub use fake_host::FakeHost;
pub(crate) use fake_host::{host, http, kv, models};
pub use streams::{Streamed, assert_streams_like_whole, stream, stream_holding};

use crate::call::{CallView, Subject};
use crate::params::Params;
use crate::plugin::Plugin;
use crate::verdict::{CheckError, Judgement};

/// Runs a check on a whole input or output.
///
/// # Errors
/// What the check answers, and parameters that are no JSON object.
pub fn check<P: Plugin>(check: &str, params_json: &str, subject: &Subject) -> Result<Judgement, CheckError> {
    P::check(check, &Params::parse(params_json)?, subject)
}

/// Runs a routing condition.
///
/// # Errors
/// What the condition answers, and parameters that are no JSON object.
pub fn matches<P: Plugin>(condition: &str, params_json: &str, call: &CallView) -> Result<bool, CheckError> {
    P::matches(condition, &Params::parse(params_json)?, call)
}
