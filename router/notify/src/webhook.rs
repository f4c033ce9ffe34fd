//! Webhooks, signed after the Standard Webhooks specification.

use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::channel::{Attempt, Outlet, Parcel};
use crate::event::Event;
use crate::failure::Failure;
use crate::poster::{Poster, unix_seconds};
use crate::sign::Signer;

/// A receiver of signed events.
pub(crate) struct Webhook {
    poster: Poster,
    signer: Signer,
}

impl Webhook {
    pub(crate) fn new(url: &str, secret: &str, timeout_ms: u64) -> Result<Self, String> {
        Ok(Self { poster: Poster::new(url, timeout_ms)?, signer: Signer::new(secret)? })
    }

    async fn post(&self, event: &Event) -> Result<(), Failure> {
        let body = payload(event).to_string().into_bytes();
        let id = header_id(&event.id);
        // The time of the attempt, not of the event: receivers refuse old ones as replays.
        let timestamp = unix_seconds();
        let signature = self.signer.sign(&id, timestamp, &body);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ] {
            let value = HeaderValue::try_from(value).map_err(|_| Failure::never("the id is no header"))?;
            headers.insert(name, value);
        }
        self.poster.post(headers, body).await
    }
}

impl Outlet for Webhook {
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Attempt<'a> {
        Box::pin(self.post(&parcel.event))
    }
}

/// The id as a header: letters, digits, `-` and `_`. A full stop would be mistaken for the end of the id.
fn header_id(id: &str) -> String {
    let allowed = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_');
    id.chars().take(256).map(|one| if allowed(one) { one } else { '-' }).collect()
}

fn payload(event: &Event) -> Value {
    let nanos = i128::from(event.at_ms) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let facts: Map<String, Value> =
        event.public_facts().map(|(name, value)| (name.clone(), value.clone())).collect();
    json!({
        "type": event.kind.as_str(),
        "timestamp": moment.format(&Rfc3339).unwrap_or_default(),
        "data": {
            "id": event.id,
            "level": event.level.as_str(),
            "organisation": event.organisation,
            "workspace": event.workspace,
            "subject": { "kind": event.subject_kind, "id": event.subject_id, "name": event.subject_name },
            "sentence": event.sentence,
            "facts": facts,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::budget_event;

    #[test]
    fn the_body_says_what_happened_to_what() {
        let mut event = budget_event("e1");
        event.facts.insert("invite_link".into(), json!("https://gateway.example/join/abc"));
        event.recipients = vec!["ada@example.com".into()];
        let expected = json!({
            "type": "budget.threshold",
            "timestamp": "2026-11-18T11:06:40Z",
            "data": {
                "id": "e1",
                "level": "warning",
                "organisation": "acme",
                "workspace": "support",
                "subject": { "kind": "api_key", "id": "key_1", "name": "support" },
                "sentence": "80 % of $50.00 are used until 1 December.",
                "facts": { "limit": "$50.00", "percent": 80 },
            },
        });
        assert_eq!(payload(&event), expected);
    }

    #[test]
    fn an_id_of_any_text_is_a_header() {
        assert_eq!(header_id("evt_1.2\r\nx: y"), "evt_1-2--x--y");
    }
}
