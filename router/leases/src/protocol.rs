//! What nodes ask Redis, and what it answers.
//!
//! An amount is whatever the pool counts: nano-dollars, requests, places. Scripts of Redis count in floating point,
//! which is exact up to [`MAX`] (nine million dollars in nano-dollars): larger amounts are cut to it, so a larger
//! limit acts like that one.

use crate::ids::{Epoch, Holder, NodeId};

/// The largest amount: 2⁵³ − 1.
pub const MAX: i64 = (1 << 53) - 1;

/// Of what is left, one grant takes this part at most, unless more is needed at once.
pub const SHARE: i64 = 16;

/// Cuts an amount to what is counted exactly.
pub(crate) fn cut(amount: i64) -> i64 {
    amount.clamp(0, MAX)
}

/// Says that a node lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Beat {
    /// Who lives.
    pub node: NodeId,
    /// Whether this epoch has not heard of the node yet.
    pub first: bool,
    /// How long the word holds.
    pub ttl_ms: i64,
}

/// Reports what was spent, gives back, and asks for more, all in one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sync {
    /// Who asks.
    pub holder: Holder,
    /// Counts up; 1 joins. A repeat has the same number and the same content.
    pub seq: u64,
    /// Spent in this tenure so far.
    pub spent: i64,
    /// Of the lease, what the holder no longer uses.
    pub give_back: i64,
    /// What it would like, on top.
    pub want: i64,
    /// What it must have: if less is left, it gets nothing.
    pub need: i64,
    /// The limit as the asker knows it.
    pub limit: Limit,
}

/// A limit, and how often it has been changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limit {
    /// At most so much.
    pub amount: i64,
    /// The higher one is right.
    pub revision: u64,
}

/// Tells a Redis that has forgotten what the holder has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Declare {
    /// Who has it.
    pub holder: Holder,
    /// Counts up with those of [`Sync`].
    pub seq: u64,
    /// Spent in this tenure so far.
    pub spent: i64,
    /// Not spent and not given back.
    pub lease: i64,
}

/// Opens a pool that Redis does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Init {
    /// Who opens it.
    pub node: NodeId,
    /// From the [`Opening`] that was answered before the durable store was asked.
    pub version: i64,
    /// From the same [`Opening`].
    pub opened_ms: i64,
    /// The limit.
    pub limit: Limit,
    /// Spent *and held* in this period, says the durable store, by all but the members of the [`Opening`].
    pub base: i64,
}

/// Says what a tenure that has ended really spent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Credit {
    /// Whose lease was burnt.
    pub holder: Holder,
    /// Counts up with those of [`Sync`]; without meaning in the word of others.
    pub seq: u64,
    /// Spent in that tenure so far.
    pub spent: i64,
    /// Still held by requests. Without any, the tenure is closed.
    pub keep: i64,
    /// Another node says so, from the durable store: spent and held together, nothing kept. This is the time of
    /// the [`Refusal::Read`] or [`Done::Reaped`] that was answered before the store was asked; 0 without one.
    pub foreign: Option<i64>,
}

/// Looks after one pool: burns what the dead had, and throws the pool away when nobody uses it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reap {
    /// A pool nobody has touched for so long goes, if nothing of it is leased.
    pub idle_ms: i64,
}

/// Anything a node asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each is what it holds")]
pub enum Op {
    Beat(Beat),
    Sync(Sync),
    Declare(Declare),
    Init(Init),
    Credit(Credit),
    Reap(Reap),
}

/// An operation with the epoch its sender believes in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Asked {
    /// Of the last answer; [`Epoch::UNKNOWN`] before the first.
    pub epoch: Epoch,
    /// What is asked.
    pub op: Op,
}

/// Answer to a [`Sync`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Granted {
    /// On top of what the holder had.
    pub granted: i64,
    /// What it has in all now, not spent, as Redis counts.
    pub lease: i64,
    /// The limit in force.
    pub limit: i64,
    /// Spent by all, with what was burnt.
    pub spent_all: i64,
    /// Leased to all.
    pub leased_all: i64,
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Done {
    /// The node lives; nothing new is opened for so long.
    Alive {
        /// Rest of the grace time.
        wait_ms: i64,
    },
    /// To a [`Sync`].
    Synced(Granted),
    /// To a [`Declare`]; the lease is known again.
    Declared,
    /// The pool is open, be it by somebody else.
    Opened,
    /// To a [`Credit`].
    Credited {
        /// Burnt now of that tenure.
        burnt: i64,
    },
    /// To a [`Reap`].
    Reaped {
        /// Tenures that ended by it.
        ended: i64,
        /// The pool is gone.
        removed: bool,
        /// Redis' clock.
        now_ms: i64,
        /// Tenures of the dead that others may credit: what the durable store has of them can't grow any more. Ask
        /// it now, and say [`Done::Reaped::now_ms`] in the [`Credit`]. Sorted.
        dead: Vec<Holder>,
    },
}

/// What the opener of a pool must know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// For [`Init`].
    pub version: i64,
    /// For [`Init`].
    pub opened_ms: i64,
    /// Who has declared: leave these out of what the durable store adds up. Sorted.
    pub members: Vec<Holder>,
}

/// Why nothing was done. None of these changes anything.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Redis may have forgotten everything: beat and declare in this epoch.
    #[error("redis is in another epoch, {epoch}")]
    NewEpoch {
        /// The epoch.
        epoch: Epoch,
        /// Rest of its grace time.
        wait_ms: i64,
    },
    /// Not before so long.
    #[error("nothing is granted for {0} ms yet")]
    Wait(i64),
    /// The pool must be opened with [`Init`].
    #[error("the pool is not open yet")]
    Uninitialised(Opening),
    /// The node was declared dead: it needs a new [`NodeId`].
    #[error("this node was declared dead")]
    Fenced,
    /// The pool does not know this tenure: begin a new one.
    #[error("the pool does not know this tenure")]
    Forgotten,
    /// Something later has been done already.
    #[error("a later operation was done already")]
    Stale,
    /// Credited in full already, or never there.
    #[error("this tenure is closed")]
    Closed,
    /// The holder's node has been dead for long enough: ask the durable store now, and say this time.
    #[error("the durable store must be asked first")]
    Read(i64),
    /// That node did not write ahead: nobody knows what it spent of its lease.
    #[error("what the holder spent can't be proven")]
    Unproven,
    /// Others credit only the dead.
    #[error("the holder's node is alive")]
    StillAlive,
}

/// Answer of Redis.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The epoch Redis is in.
    pub epoch: Epoch,
    /// What was done, or why not.
    pub result: Result<Done, Refusal>,
}
