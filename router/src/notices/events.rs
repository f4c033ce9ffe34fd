//! Stories of actors and acts of people → events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use serde_json::{Value, json};
use tidegate_notify::threshold::{DEFAULT, Threshold, crossed};
use tidegate_notify::{Event, Kind, Level, SubjectKind};
use tidegate_store::{BudgetRecord, KeyRecord, ObjectKind, Unit};
use uuid::Uuid;

use super::limited::limited;
use crate::actors::news::Story;
use crate::clock;
use crate::gateway::Gateway;
use crate::governance::terms;

/// How long an event that has no period of its own is not told again.
const DAY_MS: i64 = 86_400_000;
/// Listens to what actors tell.
pub fn listen(gateway: &Arc<Gateway>) {
    let weak: Weak<Gateway> = Arc::downgrade(gateway);
    gateway.shards.news().listen(move |story| {
        let Some(gateway) = weak.upgrade() else { return };
        if gateway.notices.is_silent() {
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

/// Makes an event that is told once a day for its key.
pub(super) fn event(
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
        Story::Limited { holder, refusal } => limited(gateway, &holder, &refusal).await,
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
        event.recipients = key.map(|key| of_key(gateway, &key)).unwrap_or_default();
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

/// Returns the addresses of those whom a key concerns: its user, and who is named for it.
pub(super) fn of_key(gateway: &Gateway, key: &KeyRecord) -> Vec<String> {
    let user = key.user.as_deref().and_then(|id| gateway.objects.by_id(ObjectKind::User, id));
    let named = key.extra.alert_emails.iter().cloned();
    named.chain(user.map(|user| user.slug.clone())).collect()
}

/// Returns the addresses of the organisation's owners and admins, and of a workspace's admins and managers.
pub(super) fn people(gateway: &Gateway, workspace: Option<&str>) -> Vec<String> {
    let objects = &gateway.objects;
    let leads = |role: &Value| matches!(role.as_str(), Some("owner" | "admin" | "manager"));
    let mut addresses = BTreeSet::new();
    for user in objects.all(ObjectKind::User) {
        let member = workspace.and_then(|workspace| objects.by_slug(ObjectKind::Member, workspace, &user.id));
        if leads(&user.body["role"]) || member.is_some_and(|member| leads(&member.body["role"])) {
            // A person's slug is their address.
            addresses.insert(user.slug.clone());
        }
    }
    addresses.into_iter().collect()
}
