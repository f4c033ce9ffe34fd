//! Delivery with scripted receivers and a clock that jumps: a day of retries takes no time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::channel::{Attempt, Channel, Outlet, Parcel};
use crate::event::tests::budget_event;
use crate::event::{Event, Level};
use crate::failure::Failure;
use crate::filter::Filter;
use crate::memory::{InMemory, Memory};
use crate::notifier::{Notifier, Options};
use crate::settings::ChannelKind;

/// Answers each event with its own list of failures, then takes it; notes when it was asked.
#[derive(Default)]
struct Script {
    failures: Mutex<HashMap<String, Vec<Failure>>>,
    always: Option<Failure>,
    delay: Duration,
    asked: Mutex<Vec<(Instant, String)>>,
}

impl Script {
    fn failing(id: &str, failures: Vec<Failure>) -> Arc<Self> {
        Arc::new(Self { failures: Mutex::new(HashMap::from([(id.into(), failures)])), ..Self::default() })
    }

    fn always(failure: Failure) -> Arc<Self> {
        Arc::new(Self { always: Some(failure), ..Self::default() })
    }

    /// Ids in the order of the attempts.
    fn ids(&self) -> Vec<String> {
        self.asked.lock().expect("asked").iter().map(|(_, id)| id.clone()).collect()
    }

    /// Moments of the attempts.
    fn moments(&self) -> Vec<Instant> {
        self.asked.lock().expect("asked").iter().map(|(at, _)| *at).collect()
    }

    /// Milliseconds between the attempts.
    fn waits(&self) -> Vec<u128> {
        self.moments().windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
    }
}

impl Outlet for Arc<Script> {
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Attempt<'a> {
        Box::pin(async move {
            let id = parcel.event.id.clone();
            self.asked.lock().expect("asked").push((Instant::now(), id.clone()));
            sleep(self.delay).await;
            if let Some(failure) = &self.always {
                return Err(failure.clone());
            }
            let mut failures = self.failures.lock().expect("failures");
            match failures.get_mut(&id) {
                Some(list) if !list.is_empty() => Err(list.remove(0)),
                _ => Ok(()),
            }
        })
    }
}

struct Running {
    notifier: Notifier,
    work: JoinHandle<()>,
}

fn start_with(scripts: &[&Arc<Script>], memory: Arc<dyn Memory>, options: Options) -> Running {
    let channel = |(at, script): (usize, &&Arc<Script>)| {
        Channel::new(format!("c{at}"), ChannelKind::Webhook, Filter::default(), Arc::new(Arc::clone(script)))
    };
    let channels = scripts.iter().enumerate().map(channel).collect();
    let (notifier, work) = Notifier::new(channels, memory, options);
    #[expect(clippy::disallowed_methods, reason = "the test awaits its end")]
    let work = tokio::spawn(work);
    Running { notifier, work }
}

fn start(scripts: &[&Arc<Script>]) -> Running {
    start_with(scripts, Arc::new(InMemory::default()), Options::default())
}

impl Running {
    /// Lets so much time pass.
    async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// Stops and returns how much was left.
    async fn stop(self, within_ms: u64) -> usize {
        let left = self.notifier.stop(Duration::from_millis(within_ms)).await;
        self.work.await.expect("the work ends");
        left
    }
}

fn event(id: &str) -> Event {
    budget_event(id)
}

#[tokio::test(start_paused = true)]
async fn a_failed_notification_is_tried_again_with_growing_waits() {
    let script = Script::failing("a", vec![Failure::later("x"); 4]);
    let running = start(&[&script]);
    running.notifier.notify(event("a"));
    running.pass(60).await;
    let waits = script.waits();
    let bounds = [(1_000, 1_500), (2_000, 3_000), (4_000, 6_000), (8_000, 12_000)];
    assert_eq!(waits.len(), bounds.len(), "{waits:?}");
    for (wait, (least, most)) in waits.iter().zip(bounds) {
        assert!((least..=most + 5).contains(wait), "{waits:?}");
    }
    let seen = &running.notifier.statistics().channels[0];
    assert_eq!((seen.sent, seen.retried, seen.failed, seen.waiting), (1, 4, 0, 0));
    assert_eq!(running.stop(1_000).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_notification_is_given_up_after_a_day() {
    let script = Script::always(Failure::unreachable("x"));
    let running = start(&[&script]);
    running.notifier.notify(event("a"));
    running.pass(23 * 3_600).await;
    assert_eq!(running.notifier.statistics().channels[0].failed, 0);
    running.pass(2 * 3_600).await;
    let seen = &running.notifier.statistics().channels[0];
    assert_eq!((seen.sent, seen.failed, seen.waiting), (0, 1, 0));
    let attempts = script.moments().len();
    // Nine attempts in the first minutes, then one in five minutes.
    assert!((285..=300).contains(&attempts), "{attempts}");
    assert_eq!(running.stop(1_000).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_final_refusal_is_not_tried_again() {
    let script = Script::always(Failure::never("x"));
    let running = start(&[&script]);
    running.notifier.notify(event("a"));
    running.pass(3_600).await;
    assert_eq!(script.ids(), ["a"]);
    assert_eq!(running.notifier.statistics().channels[0].failed, 1);
    running.stop(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_fails_alone_holds_no_other_up() {
    let script = Script::failing("poison", vec![Failure::later("x"); 100]);
    let running = start(&[&script]);
    running.notifier.notify(event("poison"));
    running.notifier.notify(event("b"));
    running.pass(1).await;
    assert!(script.ids().contains(&"b".to_owned()), "{:?}", script.ids());
    assert_eq!(running.notifier.statistics().channels[0].sent, 1);
    running.stop(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_be_left_alone_is_left_alone_by_all_events() {
    let wait = Duration::from_secs(77);
    let script = Script::failing("a", vec![Failure::after("x", wait)]);
    let running = start(&[&script]);
    running.notifier.notify(event("a"));
    running.pass(1).await;
    running.notifier.notify(event("b"));
    running.pass(75).await;
    assert_eq!(script.ids(), ["a"]);
    running.pass(5).await;
    assert_eq!(script.ids(), ["a", "b", "a"].map(String::from).to_vec());
    assert!(script.waits()[0] >= 77_000, "{:?}", script.waits());
    running.stop(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_channel_delays_no_other() {
    let dead = Arc::new(Script {
        delay: Duration::from_secs(60),
        always: Some(Failure::unreachable("x")),
        ..Script::default()
    });
    let alive = Arc::new(Script::default());
    let running = start(&[&dead, &alive]);
    let began = Instant::now();
    for at in 0..50 {
        running.notifier.notify(event(&format!("e{at}")));
    }
    running.pass(1).await;
    assert_eq!(alive.ids().len(), 50);
    assert!(alive.moments().iter().all(|at| *at - began < Duration::from_millis(100)));
    assert_eq!(dead.ids(), ["e0"]);
    running.stop(10).await;
}

#[tokio::test(start_paused = true)]
async fn equal_events_are_sent_once() {
    let script = Arc::new(Script::default());
    let running = start(&[&script]);
    for id in ["a", "b", "c"] {
        let mut event = event(id);
        event.dedup_key = "the same".into();
        running.notifier.notify(event);
    }
    for id in ["d", "e"] {
        let mut event = event(id);
        event.dedup_key = String::new();
        running.notifier.notify(event);
    }
    running.pass(1).await;
    assert_eq!(script.ids(), ["a", "d", "e"]);
    let seen = running.notifier.statistics();
    assert_eq!((seen.accepted, seen.repeated), (3, 2));
    running.stop(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn two_nodes_with_one_memory_send_an_event_once() {
    let memory: Arc<dyn Memory> = Arc::new(InMemory::default());
    let script = Arc::new(Script::default());
    let nodes = [0, 1].map(|_| start_with(&[&script], memory.clone(), Options::default()));
    for at in 0..100 {
        for node in &nodes {
            node.notifier.notify(event(&format!("e{at}")));
        }
    }
    nodes[0].pass(1).await;
    let mut ids = script.ids();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), script.ids().len()), (100, 100));
    for node in nodes {
        node.stop(1_000).await;
    }
}

struct Broken;

impl Memory for Broken {
    fn seen(&self, _key: &str, _now_ms: i64, _until_ms: i64) -> Result<bool, String> {
        Err("the store is away".into())
    }
}

#[tokio::test(start_paused = true)]
async fn without_its_memory_the_notifier_sends_rather_than_not() {
    let script = Arc::new(Script::default());
    let running = start_with(&[&script], Arc::new(Broken), Options::default());
    running.notifier.notify(event("a"));
    running.pass(1).await;
    assert_eq!(script.ids(), ["a"]);
    running.stop(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_keeps_what_is_critical() {
    let script = Script::always(Failure::unreachable("x"));
    let options = Options { capacity: 10, ..Options::default() };
    let running = start_with(&[&script], Arc::new(InMemory::default()), options);
    let with = |id: String, level| Event { level, ..event(&id) };
    for at in 0..10 {
        running.notifier.notify(with(format!("critical{at}"), Level::Critical));
        // One by one, so that the queue of the channel is the one that is full.
        running.pass(1).await;
    }
    for at in 0..20 {
        running.notifier.notify(with(format!("info{at}"), Level::Info));
        running.pass(1).await;
    }
    let seen = &running.notifier.statistics().channels[0];
    assert_eq!((seen.waiting, seen.dropped), (10, 20));
    running.pass(3_600).await;
    assert!(script.ids().iter().all(|id| id.starts_with("critical")), "{:?}", script.ids());
    running.stop(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_is_on_the_way_and_tries_the_rest_once() {
    let script = Arc::new(Script {
        delay: Duration::from_millis(100),
        failures: Mutex::new(HashMap::from([("a".into(), vec![Failure::later("x")])])),
        ..Script::default()
    });
    let running = start(&[&script]);
    running.notifier.notify(event("a"));
    running.notifier.notify(event("b"));
    sleep(Duration::from_millis(250)).await;
    running.notifier.notify(event("c"));
    let notifier = running.notifier.clone();
    assert_eq!(running.stop(10_000).await, 0);
    let mut ids = script.ids();
    ids.sort();
    assert_eq!(ids, ["a", "a", "b", "c"]);
    assert_eq!(notifier.statistics().channels[0].sent, 3);
    notifier.notify(event("late"));
    assert_eq!(notifier.statistics().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_keeps_its_deadline_and_says_what_is_left() {
    let hanging = Arc::new(Script { delay: Duration::from_secs(60), ..Script::default() });
    let away = Script::always(Failure::unreachable("x"));
    let running = start(&[&hanging, &away]);
    for id in ["a", "b", "c"] {
        running.notifier.notify(event(id));
    }
    sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    let notifier = running.notifier.clone();
    // Of the hanging one nothing, of the one that is away one last attempt.
    assert_eq!(running.stop(2_000).await, 5);
    assert!(began.elapsed() < Duration::from_millis(2_300), "{:?}", began.elapsed());
    let seen = notifier.statistics();
    assert_eq!((seen.channels[0].dropped, seen.channels[1].dropped), (3, 2));
    assert_eq!(seen.channels[1].failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_notifier_whose_work_is_not_run_stops_too() {
    let (notifier, work) = Notifier::new(Vec::new(), Arc::new(InMemory::default()), Options::default());
    assert_eq!(notifier.stop(Duration::from_millis(50)).await, 0);
    drop(work);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_too_a_receiver_is_left_alone_for_as_long_as_it_asked() {
    let ask = |seconds| vec![Failure::after("x", Duration::from_secs(seconds))];
    let (soon, late) = (Script::failing("a", ask(3)), Script::failing("a", ask(30)));
    let running = start(&[&soon, &late]);
    running.notifier.notify(event("a"));
    running.pass(1).await;
    running.notifier.notify(event("b"));
    // What the second has is left: the failed one and the new one.
    assert_eq!(running.stop(5_000).await, 2);
    assert_eq!((soon.ids().len(), late.ids().len()), (3, 1));
    assert!(soon.waits()[0] >= 3_000, "{:?}", soon.waits());
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_sent_everything_that_waited() {
    let failures = vec![Failure::unreachable("x"); 6];
    let script = Script::failing("e0", failures);
    let running = start(&[&script]);
    for at in 0..30 {
        running.notifier.notify(event(&format!("e{at}")));
    }
    running.pass(120).await;
    let seen = &running.notifier.statistics().channels[0];
    assert_eq!((seen.sent, seen.waiting, seen.dropped), (30, 0, 0));
    assert_eq!(running.stop(1_000).await, 0);
}
