//! Equal requests in flight: the first one asks, the others wait for what it keeps.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use tokio::sync::watch;

use super::digest::Digest;

/// What became of the request that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is on its way.
    Running,
    /// Its answer is kept.
    Kept,
    /// There is nothing to be had of it: an error, or an answer that is not kept.
    Failed,
    /// Its client left.
    Left,
}

/// Requests that ask for others too.
#[derive(Default)]
pub(super) struct Flights(Arc<DashMap<Digest, watch::Receiver<Stage>>>);

/// What a request is among its equals.
pub enum Joined {
    /// The first: it asks.
    Lead(Lead),
    /// Another one asks already.
    Follow(watch::Receiver<Stage>),
}

/// The duty to say what became of a request. Dropping it says that its client left.
pub struct Lead {
    digest: Digest,
    flights: Arc<DashMap<Digest, watch::Receiver<Stage>>>,
    stage: watch::Sender<Stage>,
}

impl Flights {
    /// Joins the equals of a request.
    pub(super) fn join(&self, digest: Digest) -> Joined {
        match self.0.entry(digest) {
            Entry::Occupied(found) => Joined::Follow(found.get().clone()),
            Entry::Vacant(free) => {
                let (stage, receiver) = watch::channel(Stage::Running);
                free.insert(receiver);
                Joined::Lead(Lead { digest, flights: self.0.clone(), stage })
            }
        }
    }
}

impl Lead {
    /// Says what became of it.
    pub fn end(self, stage: Stage) {
        self.tell(stage);
    }

    fn tell(&self, stage: Stage) {
        if *self.stage.borrow() == Stage::Running {
            // First out of the list: who comes now is no follower any more.
            self.flights.remove(&self.digest);
            self.stage.send_replace(stage);
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.tell(Stage::Left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_leads_and_the_others_hear_what_became_of_it() {
        for (end, heard) in
            [(Some(Stage::Kept), Stage::Kept), (Some(Stage::Failed), Stage::Failed), (None, Stage::Left)]
        {
            let flights = Flights::default();
            let Joined::Lead(lead) = flights.join([1; 32]) else { panic!("nobody leads") };
            assert!(matches!(flights.join([2; 32]), Joined::Lead(_)), "another request is another flight");
            let Joined::Follow(mut follower) = flights.join([1; 32]) else { panic!("two lead") };
            match end {
                Some(stage) => lead.end(stage),
                None => drop(lead),
            }
            assert_eq!(*follower.wait_for(|stage| *stage != Stage::Running).await.unwrap(), heard);
            assert!(flights.0.is_empty());
            assert!(matches!(flights.join([1; 32]), Joined::Lead(_)));
        }
    }
}
