//! How attempts are counted, with limits and without.

use std::sync::Arc;

use actix::{Handler, Message};
use tidegate_providers::registry;
use tidegate_store::{LimitRecord, ProviderRecord};

use super::provider::{Outcome, ProviderActor, ProviderHandle};
use super::shards::Shards;
use crate::limits::Refusal;

#[derive(Clone, Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for ProviderActor {
    type Result = ();

    fn handle(&mut self, _order: Panic, _context: &mut Self::Context) {
        panic!("asked to");
    }
}

fn start(limits: Vec<LimitRecord>) -> Arc<ProviderHandle> {
    let record = ProviderRecord { limits, ..ProviderRecord::named("openai", "openai") };
    ProviderHandle::start(record, registry::find("openai").unwrap(), &Shards::start(1))
}

/// Whether anything is asked or not, who is inside is known, and what became of an attempt is learned.
#[actix::test]
async fn attempts_are_counted_in_and_out_with_limits_and_without() {
    for limits in [vec![], vec![LimitRecord::Concurrent { amount: 2 }]] {
        let provider = start(limits);
        let first = provider.acquire(5).await.unwrap().unwrap();
        let second = provider.acquire(5).await.unwrap().unwrap();
        assert_eq!(provider.health().in_flight(), 2);
        drop(first);
        second.settle(Outcome { first_byte_us: Some(700), ..Outcome::default() });
        let view = provider.observe().await.unwrap();
        assert_eq!((view.in_flight, view.requests, view.first_byte_us), (0, 1, 700));
    }
}

#[actix::test]
async fn only_who_has_limits_refuses() {
    let (free, limited) = (start(vec![]), start(vec![LimitRecord::Concurrent { amount: 1 }]));
    let mut permits = Vec::new();
    for _ in 0..100 {
        permits.push(free.acquire(5).await.unwrap().unwrap());
    }
    assert_eq!(free.observe().await.unwrap().in_flight, 100);
    let _permit = limited.acquire(5).await.unwrap().unwrap();
    assert!(matches!(limited.acquire(5).await.unwrap(), Err(Refusal::Concurrency { limit: 1 })));
}

/// Attempts outlive the actor that they are told to, also where it dies as they end.
#[actix::test]
async fn no_attempt_stays_inside_when_the_actor_dies() {
    for limits in [vec![], vec![LimitRecord::Concurrent { amount: 1 }]] {
        let provider = start(limits);
        let permit = provider.acquire(5).await.unwrap().unwrap();
        assert!(provider.owner().ask(Panic).await.is_err());
        permit.settle(Outcome::default());
        assert_eq!(provider.observe().await.unwrap().in_flight, 0);
        let _again = provider.acquire(5).await.unwrap().unwrap();
        assert_eq!(provider.health().in_flight(), 1);
    }
}
