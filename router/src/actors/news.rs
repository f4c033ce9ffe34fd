//! What actors have to tell that people should know of. Telling never waits; without a listener nothing is told.

use std::sync::OnceLock;

use tidegate_store::BudgetRecord;

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
    /// A provider's breaker opened, or closed again.
    Breaker {
        /// Slug of the provider.
        provider: String,
        /// Whether it is open now.
        open: bool,
    },
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

    /// Tells.
    pub(super) fn tell(&self, story: Story) {
        if let Some(listener) = self.listener.get() {
            listener(story);
        }
    }
}
