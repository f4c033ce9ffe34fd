//! What Tidegate remembers: keys, budgets, providers, configs, ledger and request log.
//!
//! One trait, [`Store`], one suite (`suite.rs`) that every backend must pass. Calls block: the router makes them on
//! threads of their own and never on the way of a request, but for the first use of a key.
//!
//! Refuses to know: limits, prices, HTTP. Failure behaviour: every call returns an error and changes nothing.

pub mod audit;
pub mod config;
pub mod decision;
mod json;
pub mod json_text;
pub mod object;
mod period;
mod postgres;
pub mod record;
mod secrets;
mod sqlite;
mod store;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod suite_audit;
#[cfg(test)]
mod suite_configs;
#[cfg(test)]
mod suite_governance;
#[cfg(test)]
mod suite_ledger;
#[cfg(test)]
mod suites;

pub use audit::{AuditCheck, AuditFilter, AuditRecord, AuditRow};
pub use config::{ConfigRecord, ConfigVersion};
pub use decision::{ChoiceRow, DecisionRow, GuardRow};
pub use object::{ObjectKind, ObjectRecord};
pub use period::Period;
pub use postgres::PostgresStore;
pub use record::{
    AttemptRow, BreakerRecord, BudgetRecord, Change, ChangeKind, FiledRow, HoldRecord, KeyExtra, KeyHash,
    KeyKind, KeyRecord, KeyStatus, LedgerEntry, LimitRecord, LogFilter, LogRow, ModelRecord, OldSecret,
    OnStoreLoss, Origin, Payment, ProviderRecord, RotationRecord, SettleRecord, SpendRecord, Unit,
    Unmeasured, Window,
};
pub use sqlite::{BackupCheck, SqliteStore, backup_check};
pub use store::{KeyFilter, Store, StoreError, Write};
