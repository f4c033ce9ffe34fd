//! A node's life: when it must be heard, and until when it may act on what it was given.
//!
//! Time is the node's own monotonic clock, in milliseconds from anywhere. It is only ever compared with itself.

use crate::ids::{Epoch, NodeId};
use crate::protocol::{Answer, Asked, Beat, Done, Op, Refusal};

/// How long things take. All nodes of one Redis must have the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// A node unheard for so long is dead, and by then has stopped by itself.
    pub ttl_ms: i64,
    /// Between two words of a node.
    pub beat_ms: i64,
    /// After Redis may have forgotten something, nothing is opened for so long. Longer than the time to live by as
    /// much as clocks may run apart: twice as long bears one clock that runs twice as fast as another.
    pub grace_ms: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { ttl_ms: 3_000, beat_ms: 750, grace_ms: 6_000 }
    }
}

/// What leases need to know of their node: copied to whoever holds one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Who this is.
    pub node: NodeId,
    /// The last epoch heard of.
    pub epoch: Epoch,
    /// Until then a lease of this epoch may be used; nothing may be before the first answer.
    pub until_ms: i64,
}

impl Standing {
    /// Returns whether a lease of an epoch may be used.
    pub fn may_use(&self, node: NodeId, epoch: Epoch, now_ms: i64) -> bool {
        self.node == node && self.epoch == epoch && now_ms < self.until_ms
    }
}

/// A node's life.
#[derive(Clone, Debug)]
pub struct Node {
    timing: Timing,
    standing: Standing,
    /// Whether the epoch has heard of this node.
    known: bool,
    next_ms: i64,
}

impl Node {
    /// Begins a life. The id must be random.
    pub fn new(id: NodeId, timing: Timing) -> Self {
        let standing = Standing { node: id, epoch: Epoch::UNKNOWN, until_ms: i64::MIN };
        Self { timing, standing, known: false, next_ms: i64::MIN }
    }

    /// Returns what leases need to know.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Returns when the next word is due.
    pub fn next_ms(&self) -> i64 {
        self.next_ms
    }

    /// Makes the next word due: another answer told of a new epoch or of this node's death.
    pub fn hurry(&mut self) {
        self.next_ms = i64::MIN;
    }

    /// Returns the next word, if it is due. Sent or lost, the one after it comes a beat later.
    pub fn beat(&mut self, now_ms: i64) -> Option<Asked> {
        if now_ms < self.next_ms {
            return None;
        }
        self.next_ms = now_ms + self.timing.beat_ms;
        let beat = Beat { node: self.standing.node, first: !self.known, ttl_ms: self.timing.ttl_ms };
        Some(Asked { epoch: self.standing.epoch, op: Op::Beat(beat) })
    }

    /// Takes the answer to a word that was *sent* at a time. `fresh` is random: the id of the next life, if this one
    /// has ended. Returns whether the standing has changed other than by its time.
    pub fn hear(&mut self, asked: &Asked, sent_ms: i64, answer: &Answer, fresh: NodeId) -> bool {
        let Op::Beat(beat) = &asked.op else { return false };
        if beat.node != self.standing.node || asked.epoch != self.standing.epoch {
            // To a word of before: the standing that it would change is gone.
            return false;
        }
        match &answer.result {
            Ok(Done::Alive { .. }) => {
                self.known = true;
                // From sending: Redis may have heard it at any time since.
                self.standing.until_ms = self.standing.until_ms.max(sent_ms + self.timing.ttl_ms);
                false
            }
            Err(Refusal::NewEpoch { epoch, .. }) => {
                self.enter(self.standing.node, *epoch);
                true
            }
            Err(Refusal::Fenced) => {
                self.enter(fresh, self.standing.epoch);
                true
            }
            _ => false,
        }
    }

    fn enter(&mut self, node: NodeId, epoch: Epoch) {
        self.standing = Standing { node, epoch, until_ms: i64::MIN };
        self.known = false;
        // At once.
        self.next_ms = i64::MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { ttl_ms: 100, beat_ms: 30, grace_ms: 200 };
    const OLD: NodeId = NodeId(1);
    const FRESH: NodeId = NodeId(2);
    const EPOCH: Epoch = Epoch(5);

    fn alive(epoch: Epoch) -> Answer {
        Answer { epoch, result: Ok(Done::Alive { wait_ms: 0 }) }
    }

    fn settled() -> Node {
        let mut node = Node::new(OLD, TIMING);
        let asked = node.beat(0).expect("the first word is due at once");
        let answer = Answer { epoch: EPOCH, result: Err(Refusal::NewEpoch { epoch: EPOCH, wait_ms: 7 }) };
        assert!(node.hear(&asked, 0, &answer, FRESH));
        let asked = node.beat(1).expect("a new epoch is answered at once");
        assert_eq!(asked.op, Op::Beat(Beat { node: OLD, first: true, ttl_ms: 100 }));
        assert!(!node.hear(&asked, 1, &alive(EPOCH), FRESH));
        node
    }

    #[test]
    fn a_lease_may_be_used_for_the_time_to_live_from_the_sending_of_the_last_heard_word() {
        let mut node = settled();
        assert!(node.standing().may_use(OLD, EPOCH, 100));
        assert!(!node.standing().may_use(OLD, EPOCH, 101));
        let asked = node.beat(50).expect("due");
        assert!(!node.hear(&asked, 50, &alive(EPOCH), FRESH));
        assert!(node.standing().may_use(OLD, EPOCH, 149));
        assert!(!node.standing().may_use(OLD, EPOCH, 150));
    }

    #[test]
    fn a_lost_answer_prolongs_nothing() {
        let mut node = settled();
        assert!(node.beat(40).is_some());
        assert!(!node.standing().may_use(OLD, EPOCH, 101));
        assert_eq!(node.beat(60), None);
        assert!(node.beat(70).is_some());
    }

    #[test]
    fn a_new_epoch_ends_the_use_of_every_lease_until_redis_has_heard_again() {
        let mut node = settled();
        let asked = node.beat(50).expect("due");
        let later = Epoch(9);
        let answer = Answer { epoch: later, result: Err(Refusal::NewEpoch { epoch: later, wait_ms: 200 }) };
        assert!(node.hear(&asked, 50, &answer, FRESH));
        assert!(!node.standing().may_use(OLD, EPOCH, 51));
        assert!(!node.standing().may_use(OLD, later, 51));
        let asked = node.beat(51).expect("at once");
        node.hear(&asked, 51, &alive(later), FRESH);
        assert!(node.standing().may_use(OLD, later, 52));
    }

    #[test]
    fn a_node_declared_dead_begins_another_life() {
        let mut node = settled();
        let asked = node.beat(500).expect("due");
        assert!(node.hear(&asked, 500, &Answer { epoch: EPOCH, result: Err(Refusal::Fenced) }, FRESH));
        assert_eq!(node.standing().node, FRESH);
        assert!(!node.standing().may_use(FRESH, EPOCH, 501));
        assert!(!node.hear(&asked, 500, &alive(EPOCH), NodeId(3)), "an answer to the life before counts");
        assert!(!node.standing().may_use(FRESH, EPOCH, 501));
    }
}
