//! What an organisation decides: who may use what, for how much. Objects of the Admin API, and the rules that they
//! come to, which requests read.
//!
//! [`Objects`] owns what is known and is its only writer: a change is vetted, written to the store beside its audit
//! row, and published. [`Rules`] are what requests need of it, swapped whole. Refuses to know HTTP. Failure behaviour:
//! a change that can't be written changes nothing; an object that can't be read any more is left out and logged.

mod bad;
pub mod budgets;
mod by_workspace;
mod customs;
mod defaults;
mod objects;
pub mod policy;
pub mod providers;
pub mod references;
mod rules;
pub mod switches;
pub mod terms;
mod wells;

pub use bad::Bad;
pub use customs::{Logging, UserKeys};
pub use defaults::Defaults;
pub use objects::{Objects, ObjectsError};
pub use references::References;
pub use rules::{IntegrationRules, Limits, ModelRules, Rules, WorkspaceRules, rate_policy, usage_policy};
pub use switches::{People, Switches};
pub use wells::{Unread, Well, Wells};
