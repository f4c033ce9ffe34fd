//! Operations as arguments of the script, and answers of the script.

use crate::ids::{Epoch, Holder, PoolId};
use crate::model::Surroundings;
use crate::protocol::{Answer, Asked, Done, Granted, Op, Opening, Refusal};
use crate::rate::{RateLimit, RateOp, RateRefusal, Taken};

/// The script that does what [`crate::model`] says.
pub const POOL_SCRIPT: &str = include_str!("pool.lua");

/// The script that does what [`crate::rate`] says.
pub const RATE_SCRIPT: &str = include_str!("rate.lua");

/// An answer that the script does not give.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("redis answered with {0:?}, which is no answer of the script")]
pub struct WireError(pub Vec<String>);

/// Returns the keys of an operation. The braces keep them together in a Redis cluster.
pub fn keys(prefix: &str, pool: &PoolId) -> [String; 4] {
    [
        format!("{{{prefix}}}:epoch"),
        format!("{{{prefix}}}:nodes"),
        format!("{{{prefix}}}:pools"),
        format!("{{{prefix}}}:pool:{pool}"),
    ]
}

/// Returns the arguments of an operation. Without a time and a run, Redis takes its own.
pub fn arguments(pool: &PoolId, asked: &Asked, around: &Surroundings, given: bool) -> Vec<String> {
    let (now, run) = if given {
        (around.now_ms.to_string(), format!("{:x}", around.run))
    } else {
        (String::new(), String::new())
    };
    let word = match asked.op {
        Op::Beat(_) => "beat",
        Op::Sync(_) => "sync",
        Op::Declare(_) => "declare",
        Op::Init(_) => "init",
        Op::Credit(_) => "credit",
        Op::Reap(_) => "reap",
    };
    let mut list = vec![
        word.to_owned(),
        now,
        run,
        asked.epoch.to_string(),
        around.proposal.to_string(),
        around.grace_ms.to_string(),
        pool.to_string(),
    ];
    match &asked.op {
        Op::Beat(beat) => list.extend([beat.node.to_string(), flag(beat.first), beat.ttl_ms.to_string()]),
        Op::Sync(sync) => list.extend([
            sync.holder.to_string(),
            sync.seq.to_string(),
            sync.spent.to_string(),
            sync.give_back.to_string(),
            sync.want.to_string(),
            sync.need.to_string(),
            sync.limit.amount.to_string(),
            sync.limit.revision.to_string(),
        ]),
        Op::Declare(declare) => list.extend([
            declare.holder.to_string(),
            declare.seq.to_string(),
            declare.spent.to_string(),
            declare.lease.to_string(),
        ]),
        Op::Init(init) => list.extend([
            init.node.to_string(),
            init.version.to_string(),
            init.opened_ms.to_string(),
            init.limit.amount.to_string(),
            init.limit.revision.to_string(),
            init.base.to_string(),
        ]),
        Op::Credit(credit) => list.extend([
            credit.holder.to_string(),
            credit.seq.to_string(),
            credit.spent.to_string(),
            credit.keep.to_string(),
            credit.foreign.map_or_else(String::new, |read_ms| read_ms.to_string()),
        ]),
        Op::Reap(reap) => list.push(reap.idle_ms.to_string()),
    }
    list
}

fn flag(on: bool) -> String {
    if on { "1".to_owned() } else { "0".to_owned() }
}

/// Reads an answer.
pub fn answer(parts: Vec<String>) -> Result<Answer, WireError> {
    read(&parts).ok_or(WireError(parts))
}

fn read(parts: &[String]) -> Option<Answer> {
    let (word, rest) = parts.split_first()?;
    let (epoch, rest) = rest.split_first()?;
    let epoch = Epoch(u64::from_str_radix(epoch, 16).ok()?);
    let number = |at: usize| rest.get(at).and_then(|text| text.parse::<i64>().ok());
    let result = match word.as_str() {
        "alive" => Ok(Done::Alive { wait_ms: number(0)? }),
        "synced" => Ok(Done::Synced(Granted {
            granted: number(0)?,
            lease: number(1)?,
            limit: number(2)?,
            spent_all: number(3)?,
            leased_all: number(4)?,
        })),
        "declared" => Ok(Done::Declared),
        "opened" => Ok(Done::Opened),
        "credited" => Ok(Done::Credited { burnt: number(0)? }),
        "reaped" => Ok(Done::Reaped {
            ended: number(0)?,
            removed: number(1)? == 1,
            now_ms: number(2)?,
            dead: holders(rest.get(3..)?)?,
        }),
        "epoch" => Err(Refusal::NewEpoch { epoch, wait_ms: number(0)? }),
        "wait" => Err(Refusal::Wait(number(0)?)),
        "uninitialised" => {
            let members = holders(rest.get(2..)?)?;
            Err(Refusal::Uninitialised(Opening { version: number(0)?, opened_ms: number(1)?, members }))
        }
        "fenced" => Err(Refusal::Fenced),
        "forgotten" => Err(Refusal::Forgotten),
        "stale" => Err(Refusal::Stale),
        "closed" => Err(Refusal::Closed),
        "read" => Err(Refusal::Read(number(0)?)),
        "unproven" => Err(Refusal::Unproven),
        "alive?" => Err(Refusal::StillAlive),
        _ => return None,
    };
    Some(Answer { epoch, result })
}

fn holders(texts: &[String]) -> Option<Vec<Holder>> {
    let mut list = texts.iter().map(|text| text.parse().ok()).collect::<Option<Vec<Holder>>>()?;
    list.sort_unstable();
    Some(list)
}

/// Returns the arguments for a bucket. Without a time, Redis takes its own.
pub fn rate_arguments(limit: &RateLimit, op: &RateOp, now_us: Option<i64>) -> Vec<String> {
    let (word, first, second) = match *op {
        RateOp::Take { want, need } => ("take", want, need),
        RateOp::GiveBack { count, at_us } => ("back", count, at_us),
    };
    vec![
        word.to_owned(),
        now_us.map_or_else(String::new, |now_us| now_us.to_string()),
        limit.token_ns().to_string(),
        limit.burst().to_string(),
        first.to_string(),
        second.to_string(),
    ]
}

/// Reads an answer about a bucket.
pub fn rate_answer(parts: Vec<String>) -> Result<Result<Taken, RateRefusal>, WireError> {
    let number = |at: usize| parts.get(at).and_then(|text| text.parse::<i64>().ok());
    let known = match parts.first().map(String::as_str) {
        Some("taken") => number(1).zip(number(2)).map(|(count, at_us)| Ok(Taken { count, at_us })),
        Some("wait") => number(1).map(|ms| Err(RateRefusal::Wait(ms))),
        Some("never") => Some(Err(RateRefusal::Never)),
        _ => None,
    };
    known.ok_or(WireError(parts))
}
