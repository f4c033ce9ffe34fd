//! Events of a guarded stream that wait to be handled, and in which order they are.
//!
//! Some dialects write one text of a choice after the other and can't come back to one. For their clients, what a vendor
//! sends in turns is put in order here.

use std::collections::VecDeque;

use tidegate_providers::Event;

use super::channel::Channel;
use super::key::{Key, Kind};

/// The events.
pub(super) struct Queue {
    /// Whether the client's dialect writes one text of a choice after the other.
    in_order: bool,
    /// As they came.
    waiting: VecDeque<Event>,
    /// They wait for another text, which is written first.
    deferred: VecDeque<Event>,
    /// Bytes of text in them.
    deferred_bytes: usize,
    /// Bytes of an answer for which the thoughts before it are kept open: so many are held back for a check anyway.
    patience: usize,
    /// Whether the vendor was seen to come back to its thoughts.
    returns: bool,
}

impl Queue {
    /// Makes a queue. `in_order`: the client's dialect writes one text after the other; `patience`: the largest
    /// lookahead of the checks, in bytes.
    pub(super) fn new(in_order: bool, patience: usize) -> Self {
        Self {
            in_order,
            waiting: VecDeque::new(),
            deferred: VecDeque::new(),
            deferred_bytes: 0,
            patience,
            returns: false,
        }
    }

    /// Returns whether the client's dialect writes one text of a choice after the other.
    pub(super) fn is_in_order(&self) -> bool {
        self.in_order
    }

    /// Returns how many bytes of text wait for another text.
    pub(super) fn deferred(&self) -> usize {
        self.deferred_bytes
    }

    /// Returns whether the answer's end has come.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.waiting.back(), Some(Event::End | Event::Error(_)))
    }

    /// Returns a copy of what waits, as it came.
    pub(super) fn all(&self) -> Vec<Event> {
        self.waiting.iter().cloned().collect()
    }

    /// Takes an event from the vendor.
    pub(super) fn push(&mut self, event: Event) {
        self.waiting.push_back(event);
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.deferred.clear();
        self.deferred_bytes = 0;
    }

    /// Returns the event to handle next. What else a choice says waits for a tool call until its arguments are complete,
    /// and for a text of which a part is still held. Only thoughts would be held to the answer's end that way. They are
    /// taken for complete once the answer has gone on for as many bytes as are held back of it anyway, unless the vendor
    /// came back to them before.
    pub(super) fn next(&mut self, channels: &[(Key, Channel)]) -> Option<Event> {
        loop {
            let Some(first) = self.under_way(channels) else {
                return self.pop_deferred().or_else(|| self.waiting.pop_front());
            };
            let belongs = |event: &Event| Key::of(event).is_some_and(|(key, _)| key == first);
            if let Some(at) = self.deferred.iter().position(belongs) {
                let event = self.deferred.remove(at);
                self.deferred_bytes -= event.as_ref().map_or(0, length);
                return event;
            }
            let event = self.waiting.pop_front()?;
            match &event {
                Event::Finish { choice, .. } if *choice != first.choice => return Some(event),
                Event::Finish { .. } | Event::End | Event::Error(_) => {
                    // It will never be complete: what waited for it goes first.
                    self.waiting.push_front(event);
                    return self.pop_deferred().or_else(|| self.waiting.pop_front());
                }
                _ if belongs(&event) => {
                    self.returns |= first.kind == Kind::Reasoning && self.deferred_bytes > 0;
                    return Some(event);
                }
                Event::Start { .. } | Event::Usage(_) => return Some(event),
                // The vendor's word that the thoughts before it are complete.
                Event::Signature { .. } if self.deferred.is_empty() => return Some(event),
                _ => {
                    self.deferred_bytes += length(&event);
                    self.deferred.push_back(event);
                }
            }
        }
    }

    fn pop_deferred(&mut self) -> Option<Event> {
        let event = self.deferred.pop_front()?;
        self.deferred_bytes -= length(&event);
        Some(event)
    }

    /// Returns the text that others have to wait for.
    fn under_way(&self, channels: &[(Key, Channel)]) -> Option<Key> {
        let waits = |(key, channel): &&(Key, Channel)| match key.kind {
            Kind::Arguments(_) => channel.is_unfinished_json(),
            Kind::Text | Kind::Refusal => channel.held() > 0,
            Kind::Reasoning => channel.held() > 0 && (self.returns || self.deferred_bytes < self.patience),
        };
        channels.iter().filter(|_| self.in_order).find(waits).map(|(key, _)| *key)
    }
}

/// Returns how many bytes of text an event carries.
fn length(event: &Event) -> usize {
    Key::of(event).map_or(0, |(_, text)| text.len())
}

#[cfg(test)]
mod tests {
    use super::super::channel::Needs;
    use super::*;

    const THOUGHTS: Key = Key { choice: 0, kind: Kind::Reasoning };

    fn thought(text: &str) -> Event {
        Event::Reasoning { choice: 0, text: text.to_owned() }
    }

    fn said(text: &str) -> Event {
        Event::Text { choice: 0, text: text.to_owned() }
    }

    /// Thoughts of which everything is held.
    fn held() -> Vec<(Key, Channel)> {
        let mut channel = Channel::new([Needs { lookahead: 8, overlap: 0 }].into_iter(), false);
        channel.push("sk-");
        vec![(THOUGHTS, channel)]
    }

    fn queue(events: &[Event]) -> Queue {
        let mut queue = Queue::new(true, 8);
        events.iter().for_each(|event| queue.push(event.clone()));
        queue
    }

    #[test]
    fn an_answer_waits_for_thoughts_as_long_as_it_is_held_back_anyway() {
        let channels = held();
        let mut queue = queue(&[said("1234"), said("567")]);
        assert_eq!(queue.next(&channels), None);
        assert_eq!(queue.deferred(), 7);
        queue.push(said("8"));
        assert_eq!(queue.next(&channels), Some(said("1234")));
        assert_eq!(queue.next(&[]), Some(said("567")));
        assert_eq!(queue.next(&[]), Some(said("8")));
        assert_eq!((queue.next(&[]), queue.deferred()), (None, 0));
    }

    #[test]
    fn an_answer_waits_to_its_end_once_the_vendor_came_back_to_its_thoughts() {
        let channels = held();
        let mut queue = queue(&[said("1234"), thought("abc"), said("5678"), said("9")]);
        assert_eq!(queue.next(&channels), Some(thought("abc")));
        assert_eq!(queue.next(&channels), None);
        queue.push(Event::End);
        for text in ["1234", "5678", "9"] {
            assert_eq!(queue.next(&channels), Some(said(text)));
        }
        assert_eq!(queue.next(&channels), Some(Event::End));
    }

    #[test]
    fn a_signature_ends_thoughts_at_once() {
        let channels = held();
        let signature = Event::Signature { choice: 0, signature: "s".to_owned() };
        let mut queue = queue(&[signature.clone(), said("1")]);
        assert_eq!(queue.next(&channels), Some(signature));
    }

    #[test]
    fn clients_that_know_turns_get_them() {
        let events = [said("1"), thought("2"), said("3")];
        let mut queue = Queue::new(false, 8);
        events.iter().for_each(|event| queue.push(event.clone()));
        let channels = held();
        assert_eq!(events.map(|_| queue.next(&channels)), [said("1"), thought("2"), said("3")].map(Some));
    }
}
