//! What Tidegate remembers: keys, budgets, providers, configs, ledger and request log.
//!
//! One trait, [`Store`], one suite (`suite.rs`) that every backend must pass. Calls block: the router makes them on
//! threads of their own and never on the way of a request, but for the first use of a key.
//!
//! Refuses to know: limits, prices, HTTP. Failure behaviour: every call returns an error and changes nothing.

pub mod config;
pub mod decision;
mod period;
pub mod record;
mod sqlite;
mod store;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod suite_configs;

pub use config::{ConfigRecord, ConfigVersion};
pub use decision::{ChoiceRow, DecisionRow, GuardRow};
pub use period::Period;
pub use record::{
    AttemptRow, BreakerRecord, BudgetRecord, Change, ChangeKind, HoldRecord, KeyHash, KeyRecord, KeyStatus,
    LedgerEntry, LimitRecord, LogFilter, LogRow, Origin, ProviderRecord, SettleRecord, SpendRecord,
    Unmeasured, Window,
};
pub use sqlite::SqliteStore;
pub use store::{Store, StoreError};
