//! What does an actor cost against a mutex? Admission and settlement as the pipeline does them: one ask that is
//! awaited, one settlement that is not. Askers and actors are on two threads, as in the gateway.

mod table;

use std::collections::HashMap;
use std::future::Future;
use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::{System, SystemRunner};
use futures_util::future::{join, join_all};
use tidegate::actors::address_book::AddressBook;
use tidegate::actors::budget::BudgetHandle;
use tidegate::actors::key::{KeyHandle, Wish};
use tidegate::actors::permit::{Hold, KeyPermit};
use tidegate::actors::shards::Shards;
use tidegate::clock;
use tidegate::limits::{Gate, Spend};
use tidegate::secret::hash_key;
use tidegate_store::{BudgetRecord, KeyHash, KeyRecord, Period, SqliteStore, Store};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::table::Table;

const SCOPE: &str = "completions.write";
const KEY: &str = "tg-a-key-of-the-benches-0123456789-0123456789";
/// Estimated tokens of a request. A token limit of `u32::MAX` a second gives one back each nanosecond, so that no
/// loop here can use the limit up.
const TOKENS: u32 = 20;
const USED: u64 = 10;
const IN_FLIGHT: u32 = 256;
/// Too little for its actor to let anybody hold of it in advance; nothing of it is ever spent.
const TIGHT: i64 = 50_000;

fn key_record() -> KeyRecord {
    let json = format!(
        r#"{{"id":"key_bench","name":"bench","mask":"","status":"active","origin":"store","created_at":0,
            "scopes":["{SCOPE}"],"limits":[{{"kind":"requests","amount":{most},"per":"second"}},
            {{"kind":"tokens","amount":{most},"per":"second"}},{{"kind":"concurrent","amount":{most}}}]}}"#,
        most = u32::MAX
    );
    serde_json::from_str(&json).expect("a key record")
}

fn budget_record(limit: i64) -> BudgetRecord {
    BudgetRecord { period: Period::Monthly, ..BudgetRecord::named("budget_bench", "bench", limit) }
}

fn gate() -> Mutex<Gate> {
    Mutex::new(Gate::new(&key_record().limits, 0, |_| Arc::default()))
}

fn spend() -> Mutex<Spend> {
    Mutex::new(Spend::new(budget_record(TIGHT), clock::unix(), 0, 0))
}

/// Admission and settlement of a key without an actor.
fn lock_key(gate: &Mutex<Gate>) {
    let admitted = {
        let mut gate = gate.lock().expect("a gate");
        let now = clock::uptime();
        let grant = gate.admit(now, TOKENS).expect("a grant");
        (grant, gate.views(now))
    };
    let (grant, views) = black_box(admitted);
    gate.lock().expect("a gate").settle(clock::uptime(), grant, USED);
    drop(views);
}

/// Reservation and settlement of a budget without an actor.
fn lock_budget(spend: &Mutex<Spend>) {
    let held = spend.lock().expect("a budget").reserve(clock::unix(), 100, 100).expect("a hold");
    spend.lock().expect("a budget").settle(clock::unix(), black_box(held), 0);
}

fn wish() -> Wish {
    Wish { scope: SCOPE, model: Some(("openai".into(), "gpt-4o".into())), tokens: TOKENS }
}

async fn admit(key: &Arc<KeyHandle>) -> KeyPermit {
    key.admit(wish()).await.expect("an answer").expect("a permit")
}

async fn reserve(budget: &Arc<BudgetHandle>) -> Hold {
    budget.reserve(100, 100).await.expect("an answer").expect("a hold")
}

/// Starts a task on the actors' thread that answers and does nothing else: what waking a thread and being woken
/// costs on this machine, whoever lives there.
fn echo(shards: &Shards) -> UnboundedSender<oneshot::Sender<()>> {
    let (asks, mut inbox) = unbounded_channel::<oneshot::Sender<()>>();
    let started = shards.of("echo").spawn(async move {
        while let Some(reply) = inbox.recv().await {
            let _asker_gone = reply.send(());
        }
    });
    assert!(started, "the actors' thread must live");
    asks
}

async fn ask(asks: &UnboundedSender<oneshot::Sender<()>>) {
    let (reply, answer) = oneshot::channel();
    asks.send(reply).expect("an echo");
    answer.await.expect("an answer");
}

/// Times `count` rounds on the system's thread.
fn rounds<F: Future<Output = ()>>(
    system: &SystemRunner,
    count: u64,
    mut round: impl FnMut() -> F,
) -> Duration {
    system.block_on(async {
        let started = Instant::now();
        for _ in 0..count {
            round().await;
        }
        started.elapsed()
    })
}

fn actors(table: &mut Table, system: &SystemRunner, shards: &Shards) {
    let key = KeyHandle::start(key_record(), shards);
    let budget = BudgetHandle::start(budget_record(TIGHT), (0, 0), shards);
    let ample = BudgetHandle::start(budget_record(i64::MAX), (0, 0), shards);

    table.group("key admit + settle", 1, |group| {
        let gate = gate();
        group.bench("mutex", |b| b.iter(|| lock_key(&gate)));
        let asks = echo(shards);
        group.bench("bare channel there and back", |b| {
            b.iter_custom(|n| rounds(system, n, || ask(&asks)));
        });
        group.bench("actor", |b| {
            b.iter_custom(|n| rounds(system, n, || async { admit(&key).await.settle(USED) }));
        });
    });
    table.group("budget reserve + settle", 1, |group| {
        let spend = spend();
        group.bench("mutex", |b| b.iter(|| lock_budget(&spend)));
        group.bench("actor", |b| {
            b.iter_custom(|n| rounds(system, n, || async { reserve(&budget).await.settle(0) }));
        });
        group.bench("actor, with plenty: in advance", |b| {
            b.iter_custom(|n| rounds(system, n, || async { reserve(&ample).await.settle(0) }));
        });
    });
    table.group("key and budget", 1, |group| {
        let (gate, spend) = (gate(), spend());
        group.bench("mutexes", |b| {
            b.iter(|| {
                lock_key(&gate);
                lock_budget(&spend);
            });
        });
        group.bench("actors, one after the other", |b| {
            b.iter_custom(|n| {
                rounds(system, n, || async {
                    let permit = admit(&key).await;
                    let mut hold = reserve(&budget).await;
                    permit.settle(USED);
                    hold.settle(0);
                })
            });
        });
        group.bench("actors, in parallel", |b| {
            b.iter_custom(|n| {
                rounds(system, n, || async {
                    let (permit, mut hold) = join(admit(&key), reserve(&budget)).await;
                    permit.settle(USED);
                    hold.settle(0);
                })
            });
        });
    });
    table.group("key admit + settle, 256 in flight", IN_FLIGHT, |group| {
        let gate = gate();
        group.bench("mutex", |b| b.iter(|| (0..IN_FLIGHT).for_each(|_| lock_key(&gate))));
        group.bench("actor", |b| {
            b.iter_custom(|n| {
                rounds(system, n, || async {
                    for permit in join_all((0..IN_FLIGHT).map(|_| admit(&key))).await {
                        permit.settle(USED);
                    }
                })
            });
        });
    });
}

/// Finds a key that is awake by its text.
fn find(table: &mut Table, system: &SystemRunner, shards: &Shards, folder: &Path) {
    let mut store = SqliteStore::open(&folder.join("bench.db")).expect("a store");
    store.put_keys(&[(hash_key(KEY), key_record())]).expect("a key");
    let writer = SqliteStore::open(&folder.join("bench.db")).expect("a store");
    let book = AddressBook::new(Box::new(store), Box::new(writer), shards.clone());
    let map: Mutex<HashMap<KeyHash, Arc<KeyRecord>>> =
        Mutex::new([(hash_key(KEY), Arc::new(key_record()))].into_iter().collect());
    table.group("find a key by its text", 1, |group| {
        group.bench("mutex + map", |b| {
            b.iter(|| map.lock().expect("a map").get(&hash_key(black_box(KEY))).cloned());
        });
        group.bench("address book", |b| {
            b.iter_custom(|n| {
                rounds(system, n, || async {
                    let found = book.key(&hash_key(black_box(KEY))).await.expect("an answer");
                    drop(black_box(found.expect("a key")));
                })
            });
        });
    });
}

fn main() {
    let system = System::new();
    let shards = system.block_on(async { Shards::start(1) });
    let folder = tempfile::tempdir().expect("a folder");
    let mut table = Table::new();
    actors(&mut table, &system, &shards);
    find(&mut table, &system, &shards, folder.path());
    table.print();
}
