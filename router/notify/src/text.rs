//! An event in words: a headline, plain text, HTML.
//!
//! Names come from users: everything is escaped for where it goes, and headlines are one line.

use crate::event::{Event, Kind, fact_text};

/// Headlines are cut here: mail programs show less.
const HEADLINE: usize = 150;

/// Returns what happened, in a few words.
pub(crate) fn title(event: &Event) -> String {
    let words = match event.kind {
        Kind::BudgetThreshold => match event.fact("percent") {
            Some(percent) => return one_line(&format!("Budget {percent} % used"), HEADLINE),
            None => "Budget threshold reached",
        },
        Kind::BudgetExhausted => "Budget exhausted",
        Kind::RateLimitExhausted => "Rate limit reached",
        Kind::KeyExpiring => "Expires soon",
        Kind::KeyExpired => "Expired",
        Kind::KeyRotated => "Secret rotated",
        Kind::KeyRotationDue => "Secret will be rotated",
        Kind::KeyOldSecretExpiring => "Old secret expires soon",
        Kind::PluginQuarantined => "Plugin quarantined",
        Kind::BreakerOpened => "Circuit breaker opened",
        Kind::BreakerClosed => "Circuit breaker closed",
        Kind::StoreUnavailable => "Store unavailable",
        Kind::UserInvited => "Invitation",
        Kind::Test => "Test",
    };
    words.to_owned()
}

/// Returns one line such as `Budget 80 % used: API key support`.
pub(crate) fn headline(event: &Event) -> String {
    let line = format!("{}: {} {}", title(event), event.subject_kind.words(), event.subject_name);
    one_line(&line, HEADLINE)
}

/// Returns the lines of a table: where it happened, and the facts. `personal` adds those for the recipient alone.
pub(crate) fn rows(event: &Event, personal: bool) -> Vec<(String, String)> {
    let mut rows = vec![("organisation".to_owned(), event.organisation.clone())];
    if let Some(workspace) = &event.workspace {
        rows.push(("workspace".to_owned(), workspace.clone()));
    }
    let row = |name: &String, value| (name.replace('_', " "), fact_text(value));
    if personal {
        rows.extend(event.facts.iter().map(|(name, value)| row(name, value)));
    } else {
        rows.extend(event.public_facts().map(|(name, value)| row(name, value)));
    }
    rows.iter().map(|(name, value)| (one_line(name, 100), one_line(value, 1_000))).collect()
}

/// Returns the event as plain text.
pub(crate) fn plain(event: &Event, personal: bool) -> String {
    let mut text = format!("{}\n\n{}\n\n", headline(event), event.sentence);
    for (name, value) in rows(event, personal) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    text.push_str(&format!("\n{} {}\n", event.kind.as_str(), one_line(&event.id, 100)));
    text
}

/// Returns the event as a page of HTML without links, images or scripts.
pub(crate) fn html(event: &Event, personal: bool) -> String {
    let mut rows_html = String::new();
    for (name, value) in rows(event, personal) {
        rows_html.push_str(&format!(
            "<tr><th align=\"left\">{}</th><td>{}</td></tr>",
            escape(&name),
            escape(&value)
        ));
    }
    format!(
        "<!doctype html><html><body><h3>{}</h3><p>{}</p><table>{rows_html}</table><p><small>{} {}</small></p></body></html>",
        escape(&headline(event)),
        escape(&event.sentence),
        event.kind.as_str(),
        escape(&event.id),
    )
}

/// Escapes text for HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns the text on one line, control characters as spaces, cut after `most` characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let mut line: String =
        text.chars().take(most).map(|character| if breaks(character) { ' ' } else { character }).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::budget_event;
    use serde_json::json;

    #[test]
    fn the_headline_says_what_happened_to_what() {
        assert_eq!(headline(&budget_event("e")), "Budget 80 % used: API key support");
    }

    #[test]
    fn a_headline_is_one_short_line_whatever_the_name() {
        let mut event = budget_event("e");
        event.subject_name = format!("a\r\nBcc: eve@example.com\n{}", "x".repeat(500));
        event.facts.insert("percent".into(), json!("8\n0"));
        let line = headline(&event);
        assert!(!line.contains(['\r', '\n']), "{line}");
        assert!(line.chars().count() <= HEADLINE + 1, "{line}");
    }

    #[test]
    fn html_escapes_names_and_facts() {
        let mut event = budget_event("e");
        event.subject_name = "<script>alert('1')</script>".into();
        event.facts.insert("note".into(), json!("\"><img src=x>"));
        let page = html(&event, false);
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"), "{page}");
    }

    #[test]
    fn only_the_recipient_reads_the_link_of_an_invitation() {
        let mut event = budget_event("e");
        event.facts.insert("invite_link".into(), json!("https://gateway.example/join/abc"));
        assert!(plain(&event, true).contains("invite link: https://gateway.example/join/abc"));
        assert!(!plain(&event, false).contains("join/abc"));
        assert!(!html(&event, false).contains("join/abc"));
    }
}
