//! Asks Redis. Every call ends within 1.25 s (250 ms with a connection), and says
//! whether it may have been done.
//!
//! It needs a tokio runtime that lives as long as the client. It fails closed: without Redis, every call is an
//! error at once until a connection is there again, which is tried every half second by whoever calls.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, cmd};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::ids::{Epoch, Holder, PoolId};
use crate::model::Surroundings;
use crate::node::Timing;
use crate::protocol::{Answer, Asked, Credit, Done, Granted, Op, Reap, Refusal};
use crate::rate::{RateLimit, RateOp, RateRefusal, Taken};
use crate::wire;

/// For Redis to answer before the connection counts as lost.
const WITHIN: Duration = Duration::from_millis(250);
/// To connect, and to try again.
const CONNECT: Duration = Duration::from_millis(500);

/// Why there is no answer, or a refusal.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It was not sent.
    #[error("redis can't be reached: {0}")]
    Unreachable(String),
    /// It may have been done: repeat it as it was.
    #[error("redis did not answer in time")]
    Timeout,
    /// Redis or the script said no, and nothing was done.
    #[error("redis refused: {0}")]
    Refused(String),
    /// Something answered that is not the script.
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    /// The protocol says no, and nothing was done: fenced, wait, not initialised and so on.
    #[error(transparent)]
    Protocol(#[from] Refusal),
    /// The rate limit is used up.
    #[error(transparent)]
    Rate(#[from] RateRefusal),
}

struct Link {
    connection: MultiplexedConnection,
    pool_sha: String,
    rate_sha: String,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    /// Counts connections, so that an error of an old one does not end the new one.
    number: u64,
    tried: Option<Instant>,
    why: String,
}

/// What dead nodes left in a pool: leases that count as spent until somebody tells what was spent of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Legacy {
    /// The pool.
    pub pool: PoolId,
    /// Redis' epoch.
    pub epoch: Epoch,
    /// Redis' clock: what the durable store says after this moment is the last word about them.
    pub now_ms: i64,
    /// Whose leases they were.
    pub holders: Vec<Holder>,
}

/// A Redis that nodes share.
pub struct Client {
    client: redis::Client,
    prefix: String,
    grace_ms: i64,
    state: Mutex<State>,
}

impl Client {
    /// Takes an address, a prefix that all nodes have in common and nobody else uses, and the nodes' timing. It
    /// connects with the first call.
    pub fn new(url: &str, prefix: &str, timing: &Timing) -> Result<Self, ClientError> {
        let client = redis::Client::open(url).map_err(|error| ClientError::Unreachable(error.to_string()))?;
        let (prefix, grace_ms) = (prefix.to_owned(), timing.grace_ms);
        Ok(Self { client, prefix, grace_ms, state: Mutex::default() })
    }

    /// Asks anything. `fresh` is random and not 0: the epoch, should a new one begin.
    pub async fn ask(&self, pool: &PoolId, asked: &Asked, fresh: Epoch) -> Result<Answer, ClientError> {
        let around = Surroundings { now_ms: 0, run: 0, proposal: fresh, grace_ms: self.grace_ms };
        let keys = wire::keys(&self.prefix, pool);
        let arguments = wire::arguments(pool, asked, &around, false);
        Ok(wire::answer(self.eval(Script::Pool, &keys, &arguments).await?)?)
    }

    /// Asks for more, reports, gives back. For those who need no [`crate::Share`].
    pub async fn sync(&self, pool: &PoolId, asked: &Asked, fresh: Epoch) -> Result<Granted, ClientError> {
        match self.ask(pool, asked, fresh).await?.result? {
            Done::Synced(granted) => Ok(granted),
            other => Err(ClientError::Wire(wire::WireError(vec![format!("{other:?}")]))),
        }
    }

    /// Takes from a rate limit, or gives back. A return that fails must not be sent again.
    pub async fn take(&self, bucket: &str, limit: &RateLimit, op: &RateOp) -> Result<Taken, ClientError> {
        let key = [format!("{{{}}}:rate:{bucket}", self.prefix)];
        let parts = self.eval(Script::Rate, &key, &wire::rate_arguments(limit, op, None)).await?;
        Ok(wire::rate_answer(parts)??)
    }

    /// Says that a node lives. The answer goes to [`crate::Node::hear`].
    pub async fn heartbeat(&self, asked: &Asked, fresh: Epoch) -> Result<Answer, ClientError> {
        self.ask(&PoolId::new("", 0), asked, fresh).await
    }

    /// Looks after some pools. Returns where to go on (0 is the beginning and the end), and what dead nodes left in
    /// them. One node does it every few seconds; several do no harm.
    pub async fn reap(
        &self,
        cursor: u64,
        idle_ms: i64,
        fresh: Epoch,
    ) -> Result<(u64, Vec<Legacy>), ClientError> {
        let [_, _, names, _] = wire::keys(&self.prefix, &PoolId::new("", 0));
        let mut scan = cmd("SSCAN");
        scan.arg(names).arg(cursor).arg("COUNT").arg(100);
        let (next, found): (u64, Vec<String>) = self.command(&scan).await?;
        let mut legacies = Vec::new();
        for name in found {
            let Some(pool) = name
                .split_once(':')
                .and_then(|(period, name)| period.parse().ok().map(|period| PoolId::new(name, period)))
            else {
                continue;
            };
            legacies.extend(self.look_after(pool, idle_ms, fresh).await?);
        }
        Ok((next, legacies))
    }

    /// Looks after one pool, and returns what dead nodes left in it, if anything can be credited.
    pub async fn look_after(
        &self,
        pool: PoolId,
        idle_ms: i64,
        fresh: Epoch,
    ) -> Result<Option<Legacy>, ClientError> {
        let asked = Asked { epoch: Epoch::UNKNOWN, op: Op::Reap(Reap { idle_ms }) };
        let answer = self.ask(&pool, &asked, fresh).await?;
        Ok(match answer.result? {
            Done::Reaped { now_ms, dead, .. } if !dead.is_empty() => {
                Some(Legacy { pool, epoch: answer.epoch, now_ms, holders: dead })
            }
            _ => None,
        })
    }

    /// Says what a dead node's tenure spent and holds, as the durable store had it *after* the legacy was told.
    pub async fn credit(
        &self,
        legacy: &Legacy,
        holder: Holder,
        spent: i64,
        fresh: Epoch,
    ) -> Result<Answer, ClientError> {
        let credit = Credit { holder, seq: 0, spent, keep: 0, foreign: Some(legacy.now_ms) };
        self.ask(&legacy.pool, &Asked { epoch: legacy.epoch, op: Op::Credit(credit) }, fresh).await
    }

    /// Says that a process lives for so long, and returns all that live, by Redis' clock.
    ///
    /// Beside the lives of nodes: a process that is declared dead goes on as another node, and what it writes to the
    /// durable store is still its own.
    pub async fn processes(&self, name: &str, ttl_ms: i64) -> Result<Vec<String>, ClientError> {
        let key = format!("{{{}}}:processes", self.prefix);
        let (seconds, micros): (i64, i64) = self.command(&cmd("TIME")).await?;
        let now_ms = seconds * 1_000 + micros / 1_000;
        let mut add = cmd("ZADD");
        add.arg(&key).arg(now_ms + ttl_ms).arg(name);
        let _added: i64 = self.command(&add).await?;
        let mut gone = cmd("ZREMRANGEBYSCORE");
        gone.arg(&key).arg("-inf").arg(now_ms);
        let _removed: i64 = self.command(&gone).await?;
        let mut all = cmd("ZRANGE");
        all.arg(&key).arg(0).arg(-1);
        self.command(&all).await
    }

    /// Returns whether Redis may throw leases away when it is full: then it is the wrong one for this.
    pub async fn may_evict(&self) -> Result<bool, ClientError> {
        let memory: String = self.command(cmd("INFO").arg("memory")).await?;
        let value = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let full = value("maxmemory:").is_some_and(|bytes| bytes != "0");
        Ok(full && value("maxmemory_policy:").is_some_and(|policy| policy.starts_with("allkeys")))
    }

    async fn eval(
        &self,
        script: Script,
        keys: &[String],
        arguments: &[String],
    ) -> Result<Vec<String>, ClientError> {
        let (mut connection, number, sha) = self.link(script).await?;
        let mut eval = cmd("EVALSHA");
        eval.arg(sha).arg(keys.len()).arg(keys).arg(arguments);
        match self.finish(number, &eval, &mut connection).await {
            // Somebody has emptied Redis' scripts: nothing was done.
            Err(ClientError::Refused(why)) if why.to_ascii_uppercase().contains("NOSCRIPT") => {
                let mut eval = cmd("EVAL");
                eval.arg(script.text()).arg(keys.len()).arg(keys).arg(arguments);
                self.finish(number, &eval, &mut connection).await
            }
            other => other,
        }
    }

    async fn command<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, ClientError> {
        let (mut connection, number, _) = self.link(Script::Pool).await?;
        self.finish(number, command, &mut connection).await
    }

    async fn finish<T: redis::FromRedisValue>(
        &self,
        number: u64,
        command: &redis::Cmd,
        connection: &mut MultiplexedConnection,
    ) -> Result<T, ClientError> {
        let outcome = timeout(WITHIN, command.query_async::<T>(connection)).await;
        let error = match outcome {
            Ok(Ok(value)) => return Ok(value),
            // A server that has become a replica stays one on this connection: the next call makes another.
            Ok(Err(error)) if error.code() == Some("READONLY") => ClientError::Refused(error.to_string()),
            Ok(Err(error)) if error.code().is_some() && !error.is_io_error() => {
                return Err(ClientError::Refused(error.to_string()));
            }
            // It may have been sent: whoever asked must take it for possibly done.
            Ok(Err(_)) | Err(_) => ClientError::Timeout,
        };
        let mut state = self.state.lock().await;
        if state.number == number {
            state.link = None;
        }
        Err(error)
    }

    /// Returns a connection. Whoever finds none makes one, twice a second at most; the others fail at once.
    async fn link(&self, script: Script) -> Result<(MultiplexedConnection, u64, String), ClientError> {
        let mut state = timeout(CONNECT, self.state.lock())
            .await
            .map_err(|_elapsed| ClientError::Unreachable("connecting takes too long".to_owned()))?;
        if state.link.is_none() {
            if state.tried.is_some_and(|tried| tried.elapsed() < CONNECT) && !state.why.is_empty() {
                return Err(ClientError::Unreachable(state.why.clone()));
            }
            state.tried = Some(Instant::now());
            let linked = timeout(CONNECT, self.connect()).await;
            match linked {
                Ok(Ok(link)) => {
                    state.link = Some(link);
                    state.number += 1;
                    state.why.clear();
                }
                Ok(Err(error)) => state.why = error.to_string(),
                Err(_elapsed) => state.why = "it does not answer".to_owned(),
            }
        }
        let number = state.number;
        let Some(link) = &state.link else { return Err(ClientError::Unreachable(state.why.clone())) };
        let sha = match script {
            Script::Pool => &link.pool_sha,
            Script::Rate => &link.rate_sha,
        };
        Ok((link.connection.clone(), number, sha.clone()))
    }

    async fn connect(&self) -> Result<Link, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(WITHIN));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut load = async |script: Script| -> Result<String, RedisError> {
            cmd("SCRIPT").arg("LOAD").arg(script.text()).query_async(&mut connection).await
        };
        let (pool_sha, rate_sha) = (load(Script::Pool).await?, load(Script::Rate).await?);
        Ok(Link { connection, pool_sha, rate_sha })
    }
}

#[derive(Clone, Copy)]
enum Script {
    Pool,
    Rate,
}

impl Script {
    fn text(self) -> &'static str {
        match self {
            Self::Pool => wire::POOL_SCRIPT,
            Self::Rate => wire::RATE_SCRIPT,
        }
    }
}
