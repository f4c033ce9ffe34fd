//! Messages as Slack's incoming webhooks take them; Mattermost, Rocket.Chat and others do too.

use http::HeaderMap;
use serde_json::{Value, json};

use crate::channel::{Attempt, Outlet, Parcel};
use crate::event::{Event, Level};
use crate::poster::Poster;
use crate::text::{headline, one_line, rows};

/// Slack refuses sections with more fields, and longer fields and texts.
const FIELDS: usize = 10;
const FIELD_TEXT: usize = 300;
const SECTION_TEXT: usize = 2_500;

/// A receiver of messages.
pub(crate) struct Slack {
    poster: Poster,
}

impl Slack {
    pub(crate) fn new(url: &str, timeout_ms: u64) -> Result<Self, String> {
        Ok(Self { poster: Poster::new(url, timeout_ms)? })
    }
}

impl Outlet for Slack {
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Attempt<'a> {
        let body = message(&parcel.event).to_string().into_bytes();
        Box::pin(self.poster.post(HeaderMap::new(), body))
    }
}

fn message(event: &Event) -> Value {
    let sign = match event.level {
        Level::Info => ":information_source:",
        Level::Warning => ":warning:",
        Level::Critical => ":rotating_light:",
    };
    let headline = escape(&headline(event));
    let sentence = escape(&cut(&event.sentence, SECTION_TEXT / 5));
    let fields: Vec<Value> = rows(event, false)
        .iter()
        .take(FIELDS)
        .map(|(name, value)| {
            let name = escape(&one_line(name, 60));
            let value = escape(&one_line(value, FIELD_TEXT));
            json!({ "type": "mrkdwn", "text": format!("*{name}*\n{value}") })
        })
        .collect();
    json!({
        "text": format!("{headline}. {sentence}"),
        "blocks": [
            { "type": "section", "text": { "type": "mrkdwn", "text": format!("{sign} *{headline}*\n{sentence}") } },
            { "type": "section", "fields": fields },
        ],
    })
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Escapes what Slack gives a meaning: without it a name such as `<!channel>` would call everybody.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::budget_event;

    #[test]
    fn a_message_has_text_and_blocks() {
        let message = message(&budget_event("e"));
        assert_eq!(
            message["text"],
            "Budget 80 % used: API key support. 80 % of $50.00 are used until 1 December."
        );
        assert_eq!(
            message["blocks"][0]["text"]["text"],
            ":warning: *Budget 80 % used: API key support*\n80 % of $50.00 are used until 1 December."
        );
        let fields = message["blocks"][1]["fields"].as_array().expect("fields");
        assert_eq!(fields.len(), 4, "{message}");
        assert_eq!(fields[2]["text"], "*limit*\n$50.00");
    }

    #[test]
    fn a_name_cannot_call_everybody() {
        let mut event = budget_event("e");
        event.subject_name = "<!channel> & <https://evil.example|here>".into();
        event.sentence = "<!here>".into();
        event.facts.insert("note".into(), json!("<@U1>"));
        let text = message(&event).to_string();
        assert!(!text.contains(['<', '>']), "{text}");
        assert!(text.contains("&lt;!channel&gt; &amp; &lt;https"), "{text}");
    }

    #[test]
    fn long_texts_stay_within_slacks_limits() {
        let mut event = budget_event("e");
        event.sentence = "<".repeat(10_000);
        event.facts = (0..50).map(|at| (format!("f{at}"), json!("<".repeat(5_000)))).collect();
        let message = message(&event);
        assert!(message["blocks"][0]["text"]["text"].as_str().expect("text").len() < 3_000);
        let fields = message["blocks"][1]["fields"].as_array().expect("fields");
        assert_eq!(fields.len(), FIELDS);
        assert!(fields.iter().all(|field| field["text"].as_str().expect("text").len() < 2_000));
    }
}
