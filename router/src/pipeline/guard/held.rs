//! Streams that are held to their end: the events that were kept, with other texts in them.

use tidegate_providers::Event;

use super::key::{Key, Kind};

/// Joins the texts of events, in the order in which they begin.
pub(super) fn texts(events: &[Event]) -> Vec<(Key, String)> {
    let mut texts: Vec<(Key, String)> = Vec::new();
    for (key, text) in events.iter().filter_map(Key::of) {
        match texts.iter_mut().find(|(known, _)| *known == key) {
            Some((_, whole)) => whole.push_str(text),
            None => texts.push((key, text.to_owned())),
        }
    }
    texts
}

/// Puts changed texts in the place of the old: all of a text in its first event. Changed reasoning loses its signature.
pub(super) fn replay(events: Vec<Event>, changes: &[(Key, String)]) -> Vec<Event> {
    let mut begun: Vec<Key> = Vec::new();
    let changed = |wanted: Key| changes.iter().find(|(key, _)| *key == wanted).map(|(_, text)| text);
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        let signs = match &event {
            Event::Signature { choice, .. } => Some(Key { choice: *choice, kind: Kind::Reasoning }),
            _ => None,
        };
        if signs.is_some_and(|key| changed(key).is_some()) {
            continue;
        }
        match Key::of(&event).and_then(|(key, _)| Some((key, changed(key)?))) {
            None => out.push(event),
            Some((key, text)) if !begun.contains(&key) => {
                begun.push(key);
                out.push(key.event(text.clone()));
            }
            Some(_) => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_text_stands_where_it_began_and_loses_its_signature() {
        let text = |text: &str| Event::Text { choice: 0, text: text.to_owned() };
        let reasoning = |text: &str| Event::Reasoning { choice: 0, text: text.to_owned() };
        let signature = Event::Signature { choice: 0, signature: "s".to_owned() };
        let events = vec![reasoning("a"), signature.clone(), text("b"), text("c"), Event::End];
        let all = texts(&events);
        assert_eq!(all[1].1, "bc");
        assert_eq!(replay(events.clone(), &[]), events);
        let changes = [(all[0].0, "x".to_owned()), (all[1].0, "y".to_owned())];
        assert_eq!(replay(events, &changes), vec![reasoning("x"), text("y"), Event::End]);
    }
}
