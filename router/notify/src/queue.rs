//! A bounded queue that gives up the least important first.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::event::Level;

/// Things that wait, each until a moment of its own.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    waiting: VecDeque<Waiting<T>>,
    capacity: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    level: Level,
    due: Instant,
    thing: T,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { waiting: VecDeque::new(), capacity: capacity.max(1) }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a thing. If there is no room, returns the oldest of the lowest level, which may be the thing itself.
    pub(crate) fn push(&mut self, level: Level, due: Instant, thing: T) -> Option<T> {
        self.waiting.push_back(Waiting { level, due, thing });
        if self.waiting.len() <= self.capacity {
            return None;
        }
        let (at, _) = self.waiting.iter().enumerate().min_by_key(|(at, one)| (one.level, *at))?;
        self.waiting.remove(at).map(|one| one.thing)
    }

    /// Takes the thing that has been due for longest.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<T> {
        let (at, one) = self.waiting.iter().enumerate().min_by_key(|(at, one)| (one.due, *at))?;
        if one.due > now {
            return None;
        }
        self.waiting.remove(at).map(|one| one.thing)
    }

    /// Takes the thing that is due first, whenever that is.
    pub(crate) fn take_first(&mut self) -> Option<T> {
        let (at, _) = self.waiting.iter().enumerate().min_by_key(|(at, one)| (one.due, *at))?;
        self.waiting.remove(at).map(|one| one.thing)
    }

    /// Returns when the next thing is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_oldest_information_goes_first_then_warnings() {
        let now = Instant::now();
        let mut queue = Queue::new(3);
        assert_eq!(queue.push(Level::Critical, now, "c1"), None);
        assert_eq!(queue.push(Level::Info, now, "i1"), None);
        assert_eq!(queue.push(Level::Info, now, "i2"), None);
        assert_eq!(queue.push(Level::Warning, now, "w1"), Some("i1"));
        assert_eq!(queue.push(Level::Critical, now, "c2"), Some("i2"));
        assert_eq!(queue.push(Level::Info, now, "i3"), Some("i3"));
        assert_eq!(queue.push(Level::Critical, now, "c3"), Some("w1"));
        assert_eq!(queue.push(Level::Critical, now, "c4"), Some("c1"));
        assert_eq!(queue.len(), 3);
    }

    #[test]
    fn things_come_when_they_are_due_and_else_in_their_order() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let mut queue = Queue::new(9);
        queue.push(Level::Critical, later, "later");
        queue.push(Level::Info, now, "first");
        queue.push(Level::Critical, now, "second");
        assert_eq!(queue.take_due(now), Some("first"));
        assert_eq!(queue.take_due(now), Some("second"));
        assert_eq!(queue.take_due(now), None);
        assert_eq!(queue.next_due(), Some(later));
        assert_eq!(queue.take_first(), Some("later"));
    }
}
