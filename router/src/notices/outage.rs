//! The store does not answer, or takes nothing: told from what this node remembers, without the store.
//!
//! Each node tells for itself: it is its own way to the store that is broken.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_notify::{Event, Kind, Level, SubjectKind};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::events::{event, people};
use crate::gateway::Gateway;

/// How often the store is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// An answer that takes longer is none.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// An outage that lasts is told again after this time; one that comes and goes is not told more often.
const AGAIN_AFTER: Duration = Duration::from_secs(900);

/// Looks at the store until the process ends.
pub async fn watch(gateway: Arc<Gateway>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<Instant> = None;
    loop {
        ticks.tick().await;
        if gateway.notices.is_silent() {
            continue;
        }
        let mut look = std::pin::pin!(gateway.book.read(|store| store.last_change()));
        let (answer, late) = match timeout(ANSWERS_WITHIN, &mut look).await {
            Ok(answer) => (Some(answer), false),
            Err(_) => (None, true),
        };
        let trouble = match (&answer, gateway.ledger.healthy()) {
            (Some(Ok(_)), true) => None,
            (Some(Ok(_)), false) => Some("takes no settlements"),
            (Some(Err(_)), _) => Some("can't be read"),
            (None, _) => Some("does not answer"),
        };
        if let Some(trouble) = trouble
            && told.is_none_or(|at| at.elapsed() >= AGAIN_AFTER)
        {
            told = Some(Instant::now());
            gateway.notices.tell(away(&gateway, trouble));
        }
        if late {
            // One question at a time: others would only wait behind it.
            let _late = look.await;
        }
    }
}

fn away(gateway: &Gateway, trouble: &str) -> Event {
    let sentence = format!(
        "The store {trouble}: requests on budgets are refused until it is back, and nothing can be changed."
    );
    let subject = (SubjectKind::Gateway, "store", "Tidegate");
    let mut event = event(gateway, Kind::StoreUnavailable, Level::Critical, subject, sentence);
    let waiting = gateway.ledger.view().waiting;
    event.facts = [("trouble", json!(trouble)), ("entries_waiting", json!(waiting))]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    event.recipients = people(gateway, None);
    event
}
