//! Who is told what happens here: stories of actors, dates of keys and states of plugins become notifications.
//!
//! Nothing here is on the way of a request. What was told is remembered in the store, so that of several nodes one
//! tells. Without `[[notify]]` in the settings nothing is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::{Value, json};
use tidegate_notify::schedule::{self, Every, KeyTimes, Rotation};
use tidegate_notify::threshold::{DEFAULT, Threshold, crossed};
use tidegate_notify::{Event, Kind, Level, Memory, Notifier, Options, SubjectKind};
use tidegate_store::{BudgetRecord, KeyRecord, ObjectKind, Store, Unit};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::actors::news::Story;
use crate::clock;
use crate::gateway::Gateway;
use crate::governance::terms;
use crate::plugins::Standing;
use crate::settings::{Settings, resolve_secret};

/// How often keys' dates and plugins' states are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How long an event that has no period of its own is not told again.
const DAY_MS: i64 = 86_400_000;
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// What was told, as the store remembers it.
struct Told(Arc<Mutex<Box<dyn Store>>>);

impl Memory for Told {
    fn seen(&self, key: &str, now_ms: i64, until_ms: i64) -> Result<bool, String> {
        let mut store = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = store.tell_once(key, until_ms, now_ms).map_err(|error| error.to_string())?;
        Ok(!is_new)
    }
}

/// The notifier in force.
#[derive(Default)]
pub struct Notices {
    notifier: ArcSwapOption<Notifier>,
}

impl Notices {
    /// Puts the channels of the settings in force. What waits for the old ones is tried once more.
    pub fn apply(&self, settings: &Settings, store: Arc<Mutex<Box<dyn Store>>>) {
        let resolve = |reference: &str| {
            resolve_secret(reference, &|name| std::env::var(name).ok())
                .map(|secret| secret.reveal().to_owned())
        };
        let mut channels = Vec::new();
        for declared in &settings.notify {
            match declared.build(&resolve) {
                Ok(channel) => channels.push(channel),
                Err(error) => {
                    tracing::error!(channel = declared.name, error, "a channel of notifications is left out")
                }
            }
        }
        let next = (!channels.is_empty()).then(|| {
            let (notifier, work) = Notifier::new(channels, Arc::new(Told(store)), Options::default());
            actix_web::rt::spawn(work);
            Arc::new(notifier)
        });
        if let Some(old) = self.notifier.swap(next) {
            actix_web::rt::spawn(async move { old.stop(STOP_WITHIN).await });
        }
    }

    /// Tells an event; never waits.
    pub fn tell(&self, event: Event) {
        if let Some(notifier) = &*self.notifier.load() {
            notifier.notify(event);
        }
    }

    /// Returns the notifier in force, if anyone is told anything.
    #[must_use]
    pub fn notifier(&self) -> Option<Arc<Notifier>> {
        self.notifier.load_full()
    }

    /// Tries to send what waits, at most for so long.
    pub async fn stop(&self, within: Duration) {
        if let Some(notifier) = self.notifier.load_full() {
            let left = notifier.stop(within).await;
            if left > 0 {
                tracing::warn!(left, "notifications were not sent before the end");
            }
        }
    }
}

/// Listens to what actors tell.
pub fn listen(gateway: &Arc<Gateway>) {
    let weak: Weak<Gateway> = Arc::downgrade(gateway);
    gateway.shards.news().listen(move |story| {
        let Some(gateway) = weak.upgrade() else { return };
        if gateway.notices.notifier.load().is_none() {
            return;
        }
        // On the control thread that the story comes from; who is told is looked up behind it.
        actix_web::rt::spawn(async move {
            if let Some(event) = event_of(&gateway, story).await {
                gateway.notices.tell(event);
            }
        });
    });
}

fn event(
    gateway: &Gateway,
    kind: Kind,
    level: Level,
    subject: (SubjectKind, &str, &str),
    sentence: String,
) -> Event {
    let (subject_kind, id, name) = subject;
    Event {
        id: Uuid::now_v7().to_string(),
        at_ms: clock::unix_ms(),
        kind,
        level,
        organisation: gateway.objects.organisation().map(|it| it.id.clone()).unwrap_or_default(),
        workspace: None,
        subject_kind,
        subject_id: id.to_owned(),
        subject_name: name.to_owned(),
        sentence,
        facts: BTreeMap::new(),
        dedup_key: String::new(),
        dedup_until_ms: clock::unix_ms() + DAY_MS,
        recipients: Vec::new(),
    }
}

/// Tells a person that they are invited.
pub fn invited(gateway: &Gateway, id: &str, email: &str, link: &str) {
    let sentence = format!("You are invited to a Tidegate: {link}");
    let mut event = event(gateway, Kind::UserInvited, Level::Info, (SubjectKind::User, id, email), sentence);
    event.facts.insert("invite_link".to_owned(), json!(link));
    event.recipients = vec![email.to_owned()];
    gateway.notices.tell(event);
}

async fn event_of(gateway: &Gateway, story: Story) -> Option<Event> {
    match story {
        Story::Spent { budget, period_start, before, after } => {
            let thresholds: Vec<Threshold> = DEFAULT
                .into_iter()
                .chain(budget.alerts.iter().map(|amount| Threshold::Amount(*amount)))
                .collect();
            let reached = *crossed(before, after, budget.limit, &thresholds).last()?;
            Some(spent(gateway, &budget, period_start, after, reached).await)
        }
        Story::Refused { budget, period_start, spent: amount } => {
            Some(spent(gateway, &budget, period_start, amount, Threshold::Percent(100)).await)
        }
        Story::Breaker { provider, open } => {
            let (kind, level, words) = if open {
                (Kind::BreakerOpened, Level::Critical, "fails too often and is left alone for a while")
            } else {
                (Kind::BreakerClosed, Level::Info, "answers again")
            };
            let sentence = format!("Provider {provider} {words}.");
            let mut event =
                event(gateway, kind, level, (SubjectKind::Provider, &provider, &provider), sentence);
            event.recipients = people(gateway, None);
            Some(event)
        }
    }
}

async fn spent(
    gateway: &Gateway,
    budget: &BudgetRecord,
    period_start: i64,
    amount: i64,
    reached: Threshold,
) -> Event {
    let (whose, kind) = match budget.id.split_once(':') {
        Some(("provider", _)) => ("provider", SubjectKind::Provider),
        Some(("workspace", _)) => ("workspace", SubjectKind::Workspace),
        Some(("integration", _)) => ("integration", SubjectKind::Integration),
        Some(("policy", _)) => ("usage limits policy", SubjectKind::Policy),
        _ => ("API key", SubjectKind::ApiKey),
    };
    let percent = i128::from(amount) * 100 / i128::from(budget.limit.max(1));
    let shown = |amount: i64| {
        let figure = terms::write_amount(budget.unit, amount);
        match budget.unit {
            Unit::Cost => format!("{figure} USD"),
            Unit::Tokens => format!("{figure} tokens"),
            Unit::Requests => format!("{figure} requests"),
        }
    };
    let state = if reached.kind(budget.limit) == Kind::BudgetExhausted {
        "is used up; its requests are refused"
    } else {
        "is used in part"
    };
    let sentence = format!(
        "The budget of {whose} {} {state}: {} of {} ({percent} %).",
        budget.name,
        shown(amount),
        shown(budget.limit)
    );
    let subject_id = budget.id.split_once(':').map_or(budget.id.as_str(), |(_, id)| id);
    // Budgets of a kind carry their unit behind the id.
    let subject_id = match kind {
        SubjectKind::Policy => subject_id,
        _ => subject_id.split(':').next().unwrap_or(subject_id),
    };
    let (level, event_kind) = (reached.level(budget.limit), reached.kind(budget.limit));
    let mut event = event(gateway, event_kind, level, (kind, subject_id, &budget.name), sentence);
    let end = budget.period_end(clock::unix());
    event.facts = [
        ("percent", json!(i64::try_from(percent).unwrap_or(i64::MAX))),
        ("unit", json!(terms::unit_name(budget.unit))),
        ("limit", terms::write_amount(budget.unit, budget.limit)),
        ("spent", terms::write_amount(budget.unit, amount)),
        ("resets_at", end.map_or(Value::Null, Value::from)),
        ("budget_id", json!(budget.id)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    event.dedup_key = reached.dedup_key(&budget.id, period_start, budget.limit);
    event.dedup_until_ms = end.map_or(i64::MAX, |end| end.saturating_mul(1_000));
    if kind == SubjectKind::ApiKey {
        let key = key_of(gateway, budget).await;
        event.workspace = key.as_ref().and_then(|key| key.workspace.clone());
        event.recipients = key.map(|key| key.extra.alert_emails).unwrap_or_default();
    } else {
        event.workspace = workspace_of(gateway, budget);
    }
    event.recipients.extend(people(gateway, event.workspace.as_deref()));
    event
}

async fn key_of(gateway: &Gateway, budget: &BudgetRecord) -> Option<KeyRecord> {
    // A declared key's budget has the key's own id, others have it behind `key:` and before their unit.
    let own = budget.id.trim_start_matches("key:");
    let own = own.trim_end_matches(":tokens").trim_end_matches(":requests");
    let ids = [budget.id.clone(), own.to_owned()];
    let found = gateway.book.read(move |store| {
        for id in &ids {
            if let Some((_, key)) = store.key_by_id(id)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    });
    found.await.ok().flatten()
}

fn workspace_of(gateway: &Gateway, budget: &BudgetRecord) -> Option<String> {
    let mut parts = budget.id.split(':');
    match (parts.next()?, parts.next()?, parts.next()) {
        ("workspace", id, _) | ("integration", _, Some(id)) => Some(id.to_owned()),
        ("provider", id, _) => gateway.objects.by_id(ObjectKind::Provider, id)?.workspace.clone(),
        ("policy", id, _) => gateway.objects.by_id(ObjectKind::UsagePolicy, id)?.workspace.clone(),
        _ => None,
    }
}

/// Returns the addresses of the organisation's owners and admins, and of a workspace's admins and managers.
fn people(gateway: &Gateway, workspace: Option<&str>) -> Vec<String> {
    let objects = &gateway.objects;
    let leads = |role: &Value| matches!(role.as_str(), Some("owner" | "admin" | "manager"));
    let mut addresses = BTreeSet::new();
    let mut add = |user: &Value| addresses.extend(user["email"].as_str().map(str::to_owned));
    for user in objects.all(ObjectKind::User) {
        let member = workspace.and_then(|workspace| objects.by_slug(ObjectKind::Member, workspace, &user.id));
        if leads(&user.body["role"]) || member.is_some_and(|member| leads(&member.body["role"])) {
            add(&user.body);
        }
    }
    addresses.into_iter().collect()
}

/// Looks at keys' dates and plugins' states until the process ends.
pub async fn watch(gateway: Arc<Gateway>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut resting = BTreeSet::new();
    loop {
        ticks.tick().await;
        if gateway.notices.notifier().is_none() {
            continue;
        }
        match gateway.book.read(|store| store.keys_with_dates()).await {
            Ok(keys) => {
                let organisation = gateway.objects.organisation().map(|it| it.id.clone()).unwrap_or_default();
                let times: Vec<KeyTimes> =
                    keys.iter().map(|key| times(&gateway, key, &organisation)).collect();
                for event in schedule::due(&times, clock::unix_ms()) {
                    gateway.notices.tell(event);
                }
            }
            Err(error) => tracing::warn!(%error, "keys' dates could not be read"),
        }
        quarantined(&gateway, &mut resting).await;
    }
}

fn times(gateway: &Gateway, key: &KeyRecord, organisation: &str) -> KeyTimes {
    let rotation = key.extra.rotation.as_ref().and_then(|rotation| {
        let every = match (rotation.period.as_deref(), rotation.days) {
            (Some("weekly"), _) => Every::Weekly,
            (Some("monthly"), _) => Every::Monthly,
            (_, Some(days)) => Every::Days(days),
            _ => return None,
        };
        let next_at_ms = rotation.next_at.map(|at| at.saturating_mul(1_000));
        Some(Rotation { every, next_at_ms, transition_ms: rotation.overlap_ms })
    });
    let mut recipients = key.extra.alert_emails.clone();
    recipients.extend(people(gateway, key.workspace.as_deref()));
    KeyTimes {
        id: key.id.clone(),
        name: key.name.clone(),
        organisation: organisation.to_owned(),
        workspace: key.workspace.clone(),
        created_at_ms: key.created_at.saturating_mul(1_000),
        expires_at_ms: key.expires_at.map(|at| at.saturating_mul(1_000)),
        rotation,
        rotated_at_ms: key.extra.rotated_at_ms,
        old_secret_expires_at_ms: key.extra.old_secret.as_ref().map(|old| old.until.saturating_mul(1_000)),
        recipients,
    }
}

async fn quarantined(gateway: &Gateway, resting: &mut BTreeSet<String>) {
    let Ok(view) = gateway.plugins.observe().await else { return };
    let now: BTreeSet<String> = view
        .plugins
        .into_iter()
        .filter(|plugin| plugin.state == Standing::Quarantined)
        .map(|plugin| plugin.id)
        .collect();
    for plugin in now.difference(resting) {
        let sentence = format!("Plugin {plugin} keeps failing and is not called for a while.");
        let subject = (SubjectKind::Plugin, plugin.as_str(), plugin.as_str());
        let mut event = event(gateway, Kind::PluginQuarantined, Level::Critical, subject, sentence);
        event.recipients = people(gateway, None);
        gateway.notices.tell(event);
    }
    *resting = now;
}
