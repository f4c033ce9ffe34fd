//! Entries in a Redis that several gateways share.
//!
//! One thread holds the connection; requests hand their orders over and wait a quarter of a second at most. Without
//! a connection nobody waits at all: everything is a miss until the thread has reached Redis again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisResult};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A request waits so long; also for Redis to answer before the connection counts as lost.
const WITHIN: Duration = Duration::from_millis(250);
/// To connect, and to try again.
const CONNECT: Duration = Duration::from_millis(500);
/// Orders that wait for the thread.
const WAITING: usize = 1_024;
/// Names that one step of a purge looks at.
const PURGE_STEP: usize = 1_000;
/// For a purge to end.
const PURGE_WITHIN: Duration = Duration::from_secs(60);

enum Order {
    Get { name: String, found: oneshot::Sender<Option<Vec<u8>>> },
    Put { name: String, value: Vec<u8>, ttl_ms: u64, done: oneshot::Sender<bool> },
    Purge { pattern: String, done: oneshot::Sender<usize> },
}

#[derive(Default)]
struct State {
    up: AtomicBool,
    /// Connections lost or refused, and commands refused.
    failures: AtomicU64,
    lost: Notify,
}

/// Where shared entries are.
pub(super) struct Shared {
    orders: mpsc::Sender<Order>,
    state: Arc<State>,
}

impl Shared {
    /// Starts the thread that reaches for Redis, until this is dropped.
    pub(super) fn start(url: &str) -> Result<Self, String> {
        let client = Client::open(url).map_err(|error| error.to_string())?;
        let (orders, inbox) = mpsc::channel(WAITING);
        let state = Arc::new(State::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let its_state = state.clone();
        thread::Builder::new()
            .name("shared-cache".into())
            .spawn(move || runtime.block_on(serve(client, inbox, its_state)))
            .map_err(|error| error.to_string())?;
        Ok(Self { orders, state })
    }

    /// Returns what is kept under a name.
    pub(super) async fn get(&self, name: String) -> Option<Vec<u8>> {
        let (found, answer) = oneshot::channel();
        self.ask(Order::Get { name, found }, answer, WITHIN).await?
    }

    /// Keeps a value. Returns whether it is kept.
    pub(super) async fn put(&self, name: String, value: Vec<u8>, ttl_ms: u64) -> bool {
        let (done, answer) = oneshot::channel();
        self.ask(Order::Put { name, value, ttl_ms, done }, answer, WITHIN).await.unwrap_or(false)
    }

    /// Throws away what is kept under names of a pattern.
    pub(super) async fn purge(&self, pattern: String) -> usize {
        let (done, answer) = oneshot::channel();
        self.ask(Order::Purge { pattern, done }, answer, PURGE_WITHIN).await.unwrap_or(0)
    }

    /// Returns whether there is a connection, and how often something failed.
    pub(super) fn view(&self) -> (bool, u64) {
        (self.state.up.load(Ordering::Relaxed), self.state.failures.load(Ordering::Relaxed))
    }

    async fn ask<T>(&self, order: Order, answer: oneshot::Receiver<T>, within: Duration) -> Option<T> {
        if !self.state.up.load(Ordering::Relaxed) || self.orders.try_send(order).is_err() {
            return None;
        }
        timeout(within, answer).await.ok()?.ok()
    }
}

/// Serves orders until nobody can give any.
#[expect(
    clippy::disallowed_methods,
    reason = "an order ends by itself within its time limit, and nobody needs it at drain"
)]
async fn serve(client: Client, mut inbox: mpsc::Receiver<Order>, state: Arc<State>) {
    let mut connection: Option<MultiplexedConnection> = None;
    let mut said = false;
    let mut again = interval(CONNECT);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = state.lost.notified() => {
                if connection.take().is_some() && state.up.swap(false, Ordering::Relaxed) {
                    tracing::warn!("the shared cache is lost: answers are asked for until it is back");
                }
            }
            order = inbox.recv() => match (order, &connection) {
                (None, _) => return,
                (Some(order), Some(connection)) => {
                    tokio::spawn(obey(connection.clone(), order, state.clone()));
                }
                // Nobody waits: the order is dropped, and with it the place for its answer.
                (Some(_), None) => {}
            },
            _ = again.tick(), if connection.is_none() => match connect(&client).await {
                Ok(reached) => {
                    connection = Some(reached);
                    state.up.store(true, Ordering::Relaxed);
                    said = false;
                    tracing::info!("the shared cache is reached");
                }
                Err(error) => {
                    state.failures.fetch_add(1, Ordering::Relaxed);
                    if !std::mem::replace(&mut said, true) {
                        tracing::warn!(%error, "the shared cache can't be reached; it is tried again");
                    }
                }
            },
        }
    }
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(WITHIN));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    // A server that takes connections and says nothing is none.
    redis::cmd("PING").query_async::<String>(&mut connection).await?;
    Ok(connection)
}

async fn obey(mut connection: MultiplexedConnection, order: Order, state: Arc<State>) {
    let failed = match order {
        Order::Get { name, found } => {
            let got = ask::<Option<Vec<u8>>>(redis::cmd("GET").arg(&name), &mut connection).await;
            let (value, failed) = got.map_or_else(|error| (None, Some(error)), |value| (value, None));
            let _asker_gone = found.send(value);
            failed
        }
        Order::Put { name, value, ttl_ms, done } => {
            let mut put = redis::cmd("SET");
            let failed =
                ask::<()>(put.arg(&name).arg(value).arg("PX").arg(ttl_ms), &mut connection).await.err();
            let _asker_gone = done.send(failed.is_none());
            failed
        }
        Order::Purge { pattern, done } => {
            let (count, failed) = purge(&pattern, &mut connection).await;
            let _asker_gone = done.send(count);
            failed
        }
    };
    let Some(error) = failed else { return };
    state.failures.fetch_add(1, Ordering::Relaxed);
    if error.code().is_some() && !error.is_io_error() {
        // Redis answered, and said no: out of memory, read only, no permission.
        tracing::warn!(%error, "the shared cache refused");
    } else {
        state.lost.notify_one();
    }
}

async fn ask<T: redis::FromRedisValue>(
    command: &mut Cmd,
    connection: &mut MultiplexedConnection,
) -> RedisResult<T> {
    command.query_async(connection).await
}

/// Looks through all names in steps, so that Redis serves others meanwhile.
async fn purge(pattern: &str, connection: &mut MultiplexedConnection) -> (usize, Option<redis::RedisError>) {
    let (mut cursor, mut count) = (0_u64, 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PURGE_STEP);
        let (next, names): (u64, Vec<Vec<u8>>) = match ask(&mut scan, connection).await {
            Ok(step) => step,
            Err(error) => return (count, Some(error)),
        };
        if !names.is_empty() {
            match ask::<usize>(redis::cmd("UNLINK").arg(names), connection).await {
                Ok(unlinked) => count += unlinked,
                Err(error) => return (count, Some(error)),
            }
        }
        if next == 0 {
            return (count, None);
        }
        cursor = next;
    }
}
