//! What actors have to tell that people should know of. Telling never waits; without a listener nothing is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tidegate_store::{BudgetRecord, KeyRecord};

use crate::clock;
use crate::limits::Refusal;

/// What happened.
#[derive(Clone, Debug)]
pub enum Story {
    /// A budget's spend reached an amount at which somebody is told.
    Spent {
        /// The budget.
        budget: Box<BudgetRecord>,
        /// Start of its period, seconds since the epoch.
        period_start: i64,
        /// Spent before, in its unit.
        before: i64,
        /// Spent now.
        after: i64,
    },
    /// A budget refused a request.
    Refused {
        /// The budget.
        budget: Box<BudgetRecord>,
        /// Start of its period.
        period_start: i64,
        /// Spent, in its unit.
        spent: i64,
    },
    /// A limit refused a request.
    Limited {
        /// Whose limit.
        holder: Holder,
        /// Which one.
        refusal: Refusal,
    },
    /// A provider's breaker opened, or closed again.
    Breaker {
        /// Slug of the provider.
        provider: String,
        /// Whether it is open now.
        open: bool,
    },
}

/// Whose limit refuses.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A key's.
    Key(Arc<KeyRecord>),
    /// A provider's.
    Provider {
        /// Its slug.
        slug: String,
        /// What names it among the providers of all workspaces.
        place: String,
    },
    /// That of a workspace, an integration or a bucket, by the limiter's id.
    Limiter(String),
}

impl Holder {
    /// Returns what names it among all holders.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Key(key) => format!("key:{}", key.id),
            Self::Provider { place, .. } => format!("provider:{place}"),
            Self::Limiter(id) => id.clone(),
        }
    }
}

/// Until when a holder's refusals are not told again, in seconds of uptime: thousands may come in a second.
#[derive(Debug, Default)]
pub struct Quiet(AtomicU64);

impl Quiet {
    /// Lets the next refusal be told.
    pub(super) fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

type Listener = Box<dyn Fn(Story) + Send + Sync>;

/// Where actors tell.
#[derive(Default)]
pub struct News {
    listener: OnceLock<Listener>,
}

impl News {
    /// Sets who listens; the first one stays.
    pub fn listen(&self, listener: impl Fn(Story) + Send + Sync + 'static) {
        let _first_stays = self.listener.set(Box::new(listener));
    }

    /// Tells that a limit refused, unless that was told of late.
    pub(super) fn limited(&self, quiet: &Quiet, refusal: &Refusal, holder: impl FnOnce() -> Holder) {
        let now = clock::uptime().as_secs();
        if now < quiet.0.load(Ordering::Relaxed) || matches!(refusal, Refusal::Open { .. }) {
            return;
        }
        quiet.0.store(now + refusal.quiet().as_secs(), Ordering::Relaxed);
        self.tell(Story::Limited { holder: holder(), refusal: *refusal });
    }

    /// Tells.
    pub(super) fn tell(&self, story: Story) {
        if let Some(listener) = self.listener.get() {
            listener(story);
        }
    }
}
