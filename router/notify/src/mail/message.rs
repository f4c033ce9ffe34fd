//! An event as a message with a plain and an HTML part.

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};

use crate::channel::Receiver;
use crate::event::Event;
use crate::failure::Failure;
use crate::text::{headline, html, one_line, plain};

/// Reads an address, with or without a name before it.
pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    // The library would take a line break within quotes.
    if text.len() > 320 || text.contains(char::is_control) {
        return None;
    }
    text.parse().ok()
}

/// Reads an address without a name.
pub(super) fn address(text: &str) -> Option<Address> {
    mailbox(text.trim()).map(|mailbox| mailbox.email)
}

/// Returns the message of an event.
pub(super) fn message(event: &Event, from: &Mailbox, to: &Receiver) -> Result<Message, Failure> {
    let subject = format!("[Tidegate] {}", headline(event));
    // Of the event and not of the attempt: a message that comes twice is shown once.
    let id: String = one_line(&event.id, 100)
        .chars()
        .map(|one| if one.is_ascii_alphanumeric() || matches!(one, '-' | '_') { one } else { '-' })
        .collect();
    // Nobody's absence note should answer.
    let automatic =
        HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.address.clone()))
        .subject(subject)
        .date_now()
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .raw_header(automatic)
        .multipart(MultiPart::alternative_plain_html(plain(event, to.personal), html(event, to.personal)))
        .map_err(|error| Failure::never(format!("no message can be made of the event: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::budget_event;
    use proptest::prelude::*;

    fn receiver() -> Receiver {
        Receiver { address: address("ada@example.com").expect("an address"), personal: true }
    }

    /// The names of the headers, in their order.
    fn header_names(event: &Event) -> Vec<String> {
        let from = mailbox("Tidegate <gateway@acme.example>").expect("a mailbox");
        let message = message(event, &from, &receiver()).expect("a message").formatted();
        let text = String::from_utf8_lossy(&message).into_owned();
        let (head, _) = text.split_once("\r\n\r\n").expect("a head");
        let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
        lines.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn the_subject_names_the_budget() {
        let from = mailbox("gateway@acme.example").expect("a mailbox");
        let text = message(&budget_event("evt_1"), &from, &receiver()).expect("a message").formatted();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("Subject: [Tidegate] Budget 80 % used: API key support\r\n"), "{text}");
        assert!(text.contains("Message-ID: <evt_1@acme.example>\r\n"), "{text}");
        assert!(text.contains("To: ada@example.com\r\n"), "{text}");
        assert!(text.contains("text/plain") && text.contains("text/html"), "{text}");
    }

    #[test]
    fn addresses_with_line_breaks_or_several_are_refused() {
        for text in [
            "",
            "ada",
            "a@b@c",
            "ada@example.com\r\nBcc: eve@example.com",
            "\"a\r\nb\"@example.com",
            "ada@example.com, eve@example.com",
            "ada@example.com>\u{7f}",
            "ada@exa mple.com",
        ] {
            assert!(address(text).is_none(), "{text:?}");
        }
        assert!(address(" ada@example.com ").is_some());
        assert!(address("Ada <ada@example.com>").is_some());
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header(name in "(?s).{0,200}", id in "(?s).{0,40}", percent in "(?s).{0,20}") {
            let expected = header_names(&budget_event("evt_1"));
            for name in [name.clone(), format!("a\r\nBcc: eve@example.com\r\n\r\n{name}")] {
                let mut event = budget_event(&id);
                event.subject_name = name;
                event.facts.insert("percent".into(), percent.clone().into());
                prop_assert_eq!(header_names(&event), expected.clone());
            }
        }
    }
}
