//! A limit refuses requests: told once an hour, or once in a longer window, for each holder.

use serde_json::json;
use tidegate_notify::{Event, Kind, Level, SubjectKind};
use tidegate_store::ObjectKind;

use super::events::{event, of_key, people};
use crate::actors::news::Holder;
use crate::clock;
use crate::gateway::Gateway;
use crate::limits::{RateKind, Refusal};

/// Who is held by a limit, in words.
struct Held {
    kind: SubjectKind,
    id: String,
    name: String,
    workspace: Option<String>,
    recipients: Vec<String>,
}

/// Makes the event of a refusal; `None` where it is none of a limit.
pub(super) async fn limited(gateway: &Gateway, holder: &Holder, refusal: &Refusal) -> Option<Event> {
    let (what, limit, per) = match *refusal {
        Refusal::Rate { kind: RateKind::Requests, limit, per, .. } => ("requests", limit, Some(per)),
        Refusal::Rate { kind: RateKind::Tokens, limit, per, .. } => ("tokens", limit, Some(per)),
        Refusal::Concurrency { limit } => ("concurrent", limit, None),
        Refusal::Open { .. } => return None,
    };
    let per = per.map(|per| format!("{per:?}").to_lowercase());
    let held = held(gateway, holder).await;
    let words = match &per {
        Some(per) => format!("{limit} {what} per {per}"),
        None => format!("{limit} requests at the same time"),
    };
    let subject = held.kind.words();
    // A sentence begins with neither; "API key" stays as it is.
    let whose = if held.kind == SubjectKind::ApiKey { subject.to_owned() } else { subject.to_lowercase() };
    let sentence = format!("The rate limit of {whose} {} is reached: {words}; more are refused.", held.name);
    let subject = (held.kind, held.id.as_str(), held.name.as_str());
    let mut event = event(gateway, Kind::RateLimitExhausted, Level::Warning, subject, sentence);
    event.facts = [
        ("limit", json!(limit)),
        ("unit", json!(what)),
        ("per", json!(per)),
        ("limiter", json!(holder.id())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    event.dedup_key = format!("rate_limit:{}:{what}:{limit}:{}", holder.id(), per.unwrap_or_default());
    let quiet = i64::try_from(refusal.quiet().as_millis()).unwrap_or(i64::MAX);
    event.dedup_until_ms = clock::unix_ms().saturating_add(quiet);
    event.recipients = held.recipients;
    event.recipients.extend(people(gateway, held.workspace.as_deref()));
    event.workspace = held.workspace;
    Some(event)
}

async fn held(gateway: &Gateway, holder: &Holder) -> Held {
    match holder {
        Holder::Key(key) => Held {
            kind: SubjectKind::ApiKey,
            id: key.id.clone(),
            name: key.name.clone(),
            workspace: key.workspace.clone(),
            recipients: of_key(gateway, key),
        },
        Holder::Provider { slug, place } => {
            let workspace = place.split_once('/').map(|(workspace, _)| workspace.to_owned());
            Held {
                kind: SubjectKind::Provider,
                id: slug.clone(),
                name: slug.clone(),
                workspace,
                recipients: Vec::new(),
            }
        }
        Holder::Limiter(id) => of_limiter(gateway, id),
    }
}

/// Reads the holder of a limiter out of its id: `workspace:ID`, `integration:ID:WORKSPACE`, `policy:ID:BUCKET`.
fn of_limiter(gateway: &Gateway, id: &str) -> Held {
    let mut parts = id.splitn(3, ':');
    let (what, of, more) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
    let (kind, object) = match what {
        "workspace" => (SubjectKind::Workspace, ObjectKind::Workspace),
        "integration" => (SubjectKind::Integration, ObjectKind::Integration),
        _ => (SubjectKind::Policy, ObjectKind::RatePolicy),
    };
    let found = gateway.objects.by_id(object, of);
    let name = found.as_ref().and_then(|it| it.body["name"].as_str()).unwrap_or(of).to_owned();
    let workspace = match kind {
        SubjectKind::Workspace => Some(of.to_owned()),
        SubjectKind::Integration => more.map(str::to_owned),
        _ => found.and_then(|it| it.workspace.clone()),
    };
    let id = match (kind, more) {
        (SubjectKind::Policy, Some(bucket)) => format!("{of}:{bucket}"),
        _ => of.to_owned(),
    };
    Held { kind, id, name, workspace, recipients: Vec::new() }
}
