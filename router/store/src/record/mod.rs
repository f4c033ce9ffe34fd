//! The records that stores keep and the router reads.

mod budget;
mod filed;
mod key;
mod ledger;
mod log;
mod provider;

use serde::{Deserialize, Serialize};

pub use budget::{BudgetRecord, Unit};
pub use filed::FiledRow;
pub use key::{KeyExtra, KeyHash, KeyKind, KeyRecord, KeyStatus, OldSecret, RotationRecord, Unmeasured};
pub use ledger::{HoldRecord, LedgerEntry, Payment, SettleRecord, SpendRecord};
pub use log::{AttemptRow, LogFilter, LogRow};
pub use provider::{BreakerRecord, ModelRecord, ProviderRecord};

/// Where a record comes from. A settings file owns its records: they vanish when it no longer names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Made by a command or the Admin API.
    Store,
    /// Declared in the settings file.
    Settings,
}

/// Window of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// 1 s
    Second,
    /// 60 s
    Minute,
    /// 3,600 s
    Hour,
    /// 86,400 s
    Day,
    /// 604,800 s
    Week,
}

impl Window {
    /// Returns its length in seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Window::Second => 1,
            Window::Minute => 60,
            Window::Hour => 3_600,
            Window::Day => 86_400,
            Window::Week => 604_800,
        }
    }
}

/// What a limit that several nodes share does while what they share it by does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStoreLoss {
    /// Refuses.
    #[default]
    Closed,
    /// Lets in what this node by itself would, and counts it.
    Open,
}

impl OnStoreLoss {
    /// Returns whether it refuses.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self == Self::Closed
    }
}

/// One limit of a key or provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LimitRecord {
    /// So many requests in a window.
    Requests {
        /// How many.
        amount: u32,
        /// The window.
        per: Window,
        /// What holds while the nodes' shared store does not answer.
        #[serde(default, skip_serializing_if = "OnStoreLoss::is_closed")]
        on_store_loss: OnStoreLoss,
    },
    /// So many tokens (input and output) in a window.
    Tokens {
        /// How many.
        amount: u32,
        /// The window.
        per: Window,
        /// What holds while the nodes' shared store does not answer.
        #[serde(default, skip_serializing_if = "OnStoreLoss::is_closed")]
        on_store_loss: OnStoreLoss,
    },
    /// So many requests at the same time.
    Concurrent {
        /// How many.
        amount: u32,
    },
}

impl LimitRecord {
    /// Makes a limit of requests that refuses while it can't be checked.
    #[must_use]
    pub fn requests(amount: u32, per: Window) -> Self {
        Self::Requests { amount, per, on_store_loss: OnStoreLoss::Closed }
    }

    /// Makes a limit of tokens that refuses while it can't be checked.
    #[must_use]
    pub fn tokens(amount: u32, per: Window) -> Self {
        Self::Tokens { amount, per, on_store_loss: OnStoreLoss::Closed }
    }

    /// Returns it with another answer to the loss of the shared store; concurrency is counted by each node and has none.
    #[must_use]
    pub fn with_store_loss(mut self, answer: OnStoreLoss) -> Self {
        if let Self::Requests { on_store_loss, .. } | Self::Tokens { on_store_loss, .. } = &mut self {
            *on_store_loss = answer;
        }
        self
    }
}

/// What changed in the store since a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub seq: i64,
    /// What kind of record.
    pub kind: ChangeKind,
    /// Which one.
    pub id: String,
}

/// Kinds of records that change under a running gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// An API key.
    Key,
    /// A budget.
    Budget,
    /// A budget's spend was reset.
    Reset,
    /// A provider.
    Provider,
    /// The price overrides.
    Prices,
    /// A saved config.
    Config,
    /// An object of the Admin API; its id is `kind/id`.
    Object,
}

impl ChangeKind {
    /// Returns its stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Key => "key",
            ChangeKind::Budget => "budget",
            ChangeKind::Reset => "reset",
            ChangeKind::Provider => "provider",
            ChangeKind::Prices => "prices",
            ChangeKind::Config => "config",
            ChangeKind::Object => "object",
        }
    }

    /// Reads a stored name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Key, Self::Budget, Self::Reset, Self::Provider, Self::Prices, Self::Config, Self::Object]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}
