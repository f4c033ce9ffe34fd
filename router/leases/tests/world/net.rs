//! How nodes talk: through a network that loses, doubles, delays and reorders.

use tidegate_leases::pool::Pool;
use tidegate_leases::protocol::{Answer, Asked, Credit, Done, Op, Refusal};
use tidegate_leases::{Epoch, NodeId, Outcome};

use super::World;

const RETRY_MS: i64 = 40;

#[derive(Clone, Debug)]
pub(super) enum Message {
    Ask { node: usize, life: u64, share: usize, asked: Asked, sent_ms: i64 },
    Tell { node: usize, life: u64, share: usize, asked: Asked, sent_ms: i64, answer: Answer },
}

impl World {
    /// Lets a node send what is due.
    pub(super) fn turn(&mut self, node: usize) {
        if !self.runs(node) {
            return;
        }
        let now_ms = self.local(node);
        if let Some(asked) = self.nodes[node].node.beat(now_ms) {
            self.post(node, 0, asked);
        }
        for share in 0..self.pools.len() {
            let sim = &mut self.nodes[node];
            if now_ms < sim.wait_ms[share] {
                continue;
            }
            let standing = sim.node.standing();
            let need = sim.needs[share];
            if let Some(asked) = sim.shares[share].next(now_ms, &standing, need) {
                sim.sent_ms[share] = now_ms;
                self.post(node, share, asked);
            } else if now_ms - sim.sent_ms[share] > RETRY_MS {
                sim.shares[share].repeat();
                sim.sent_ms[share] = now_ms;
            }
        }
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// A millisecond.
    pub(super) fn tick(&mut self) {
        self.around.now_ms += 1;
        self.write();
        (0..self.nodes.len()).for_each(|node| self.turn(node));
        let now_ms = self.around.now_ms;
        let (due, later) = std::mem::take(&mut self.messages).into_iter().partition(|(at, _)| *at <= now_ms);
        self.messages = later;
        let mut due: Vec<(i64, Message)> = due;
        while !due.is_empty() {
            let at = self.random(due.len() as u64) as usize;
            let (_, message) = due.swap_remove(at);
            self.deliver(message);
        }
    }

    /// Sends a message through the network, which loses one in 25, doubles one in 25, and is late with one in 10.
    fn send(&mut self, message: Message) {
        if self.calm {
            return self.messages.push((self.around.now_ms + 1, message));
        }
        let copies = match self.random(50) {
            0 | 1 => 0,
            2 | 3 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay = match self.random(100) {
                0 | 1 => self.random(400),
                2..10 => self.random(60),
                _ => self.random(4),
            };
            self.messages.push((self.around.now_ms + delay as i64, message.clone()));
        }
    }

    pub(super) fn post(&mut self, node: usize, share: usize, asked: Asked) {
        let (life, sent_ms) = (self.nodes[node].life, self.local(node));
        self.send(Message::Ask { node, life, share, asked, sent_ms });
    }

    pub(super) fn deliver(&mut self, message: Message) {
        self.told.delivered += 1;
        match message {
            Message::Ask { node, life, share, asked, sent_ms } => {
                self.around.proposal = Epoch(self.around.proposal.0 + 1);
                let before = self.model.pool(&self.pools[share]).cloned();
                let answer = self.model.handle(&self.around, &self.pools[share], &asked);
                if let Some(before) = before {
                    self.note_closed(share, &asked, &before);
                }
                self.told.epochs += u64::from(answer.epoch == self.around.proposal);
                match &answer.result {
                    Ok(Done::Opened) => {
                        self.told.opened += 1;
                        let sums = self.model.pool(&self.pools[share]).map_or((0, 0), Pool::sums);
                        let doubt = sums.0 + sums.1 - self.largest[share];
                        self.doubt[share] = self.doubt[share].max(doubt);
                    }
                    Ok(Done::Declared) => {
                        self.told.declared += 1;
                        // Redis has forgotten that it was closed.
                        if let Op::Declare(declare) = &asked.op {
                            self.closed.remove(&(share, declare.holder));
                        }
                    }
                    Ok(Done::Credited { .. })
                        if matches!(asked.op, Op::Credit(Credit { foreign: None, .. })) =>
                    {
                        self.told.credited += 1;
                    }
                    Ok(Done::Credited { .. }) => self.told.foreign += 1,
                    Ok(Done::Synced(granted)) if granted.granted > 0 => {
                        // A repeated answer is an old one.
                        let sum = granted.spent_all + granted.leased_all;
                        if sum > granted.limit {
                            self.wrong
                                .get_or_insert_with(|| format!("granted beyond the limit: {granted:?}"));
                        }
                    }
                    Err(Refusal::Fenced) => self.told.fenced += 1,
                    _ => {}
                }
                self.send(Message::Tell { node, life, share, asked, sent_ms, answer });
            }
            Message::Tell { node, life, share, asked, sent_ms, answer } => {
                if self.nodes[node].life != life {
                    return;
                }
                if self.runs(node) {
                    self.hear(node, share, &asked, sent_ms, &answer);
                } else {
                    // It lies in the socket until the node runs again.
                    let at = self.nodes[node].paused_until;
                    self.messages.push((at, Message::Tell { node, life, share, asked, sent_ms, answer }));
                }
            }
        }
    }

    /// Remembers what the pool knows of tenures that are members no more.
    fn note_closed(&mut self, share: usize, asked: &Asked, before: &Pool) {
        let Some(after) = self.model.pool(&self.pools[share]).filter(|pool| pool.epoch == before.epoch)
        else {
            return;
        };
        for (holder, member) in
            before.members.iter().filter(|(holder, _)| !after.members.contains_key(holder))
        {
            let told = match &asked.op {
                Op::Credit(credit) if credit.holder == *holder => credit.spent,
                _ => 0,
            };
            self.closed.insert((share, *holder), member.spent.max(told));
        }
    }

    fn hear(&mut self, node: usize, share: usize, asked: &Asked, sent_ms: i64, answer: &Answer) {
        let now_ms = self.local(node);
        if matches!(asked.op, Op::Beat(_)) {
            self.lives += 1;
            let fresh = NodeId::new(u128::from(self.lives), self.writes_ahead(node));
            let sim = &mut self.nodes[node];
            sim.node.hear(asked, sent_ms, answer, fresh);
            return self.turn(node);
        }
        let sim = &mut self.nodes[node];
        let standing = sim.node.standing();
        if let Ok(Done::Reaped { now_ms, dead, .. }) = &answer.result {
            sim.credits.extend(dead.iter().map(|holder| (share, *holder, *now_ms, false)));
            return;
        }
        match sim.shares[share].hear(now_ms, &standing, asked, answer) {
            Outcome::Done => sim.needs[share] = 0,
            Outcome::Exhausted(_) => {
                sim.needs[share] = 0;
                self.told.exhausted += 1;
            }
            Outcome::Open(opening) => {
                let base = self.store.of_others(share, &opening.members);
                let asked = sim.shares[share].open(&standing, &opening, base);
                sim.wait_ms[share] = now_ms + 10;
                self.post(node, share, asked);
            }
            Outcome::Wait(ms) => sim.wait_ms[share] = now_ms + ms.min(20),
            Outcome::Hurry => sim.node.hurry(),
            Outcome::Ignored => {}
        }
    }
}
