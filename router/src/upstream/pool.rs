//! Connections that wait for another request.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::connect::Link;

/// They are kept this long; most vendors close after a minute or more.
const IDLE: Duration = Duration::from_secs(50);
/// How often those are closed that waited longer.
const SWEEP: Duration = Duration::from_secs(10);
/// Most that wait for one host.
const MOST: usize = 1_024;
/// What a peak leaves behind goes sooner: of those that nobody took for so long only some stay.
const PEAK: Duration = Duration::from_secs(15);
const AFTER_PEAK: usize = 64;

/// Connections by scheme and authority.
#[derive(Debug, Default)]
pub(super) struct Pool {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    places: HashMap<Arc<str>, Vec<Idle>>,
    swept: bool,
}

#[derive(Debug)]
struct Idle {
    link: Box<Link>,
    since: Instant,
}

/// Where a connection belongs.
#[derive(Clone, Debug)]
pub(super) struct Home {
    pool: Arc<Pool>,
    place: Arc<str>,
}

impl Home {
    /// Returns the home of connections to a scheme and authority.
    pub(super) fn of(pool: &Arc<Pool>, place: &str) -> Self {
        let waiting = pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waiting.places.get_key_value(place).map(|(known, _)| known.clone());
        Self { pool: pool.clone(), place: known.unwrap_or_else(|| place.into()) }
    }

    /// Takes the connection that waited for the shortest time and is still open.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut waiting = self.pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let mut idle = waiting.places.get_mut(&self.place)?.pop()?;
            drop(waiting);
            if idle.since.elapsed() < IDLE && is_open(&mut idle.link) {
                return Some(idle.link);
            }
        }
    }

    /// Lets a connection wait.
    #[expect(
        clippy::disallowed_methods,
        reason = "the sweep ends with the last connection that waits, and with the pool"
    )]
    pub(super) fn give_back(&self, link: Box<Link>) {
        let mut waiting = self.pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.places.entry(self.place.clone()).or_default();
        if place.len() < MOST {
            place.push(Idle { link, since: Instant::now() });
        }
        let sweeps = std::mem::replace(&mut waiting.swept, true);
        drop(waiting);
        if !sweeps {
            tokio::spawn(sweep(Arc::downgrade(&self.pool)));
        }
    }
}

/// Returns whether nothing came: a vendor that says something unasked says that it closes.
fn is_open(link: &mut Link) -> bool {
    let mut byte = [0; 1];
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(link).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
}

/// Closes connections that waited for too long, as long as any wait.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut waiting = pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.places.retain(|_, place| {
            // The oldest come first.
            let waited = |long: Duration| place.partition_point(|idle| idle.since.elapsed() >= long);
            let gone = waited(IDLE).max(waited(PEAK).saturating_sub(AFTER_PEAK));
            place.drain(..gone);
            place.shrink_to(place.len() * 2);
            !place.is_empty()
        });
        if waiting.places.is_empty() {
            waiting.swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::connect::Connector;
    use super::*;

    #[actix::test]
    async fn of_what_a_peak_leaves_some_stay_and_in_the_end_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let connector = Connector::new(true, Duration::from_secs(5));
        let pool = Arc::<Pool>::default();
        let home = Home::of(&pool, "http://a");
        let (mut links, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..AFTER_PEAK + 10 {
            links.push(Box::new(connector.connect(&url).await.unwrap()));
            peers.push(listener.accept().unwrap());
        }
        let waiting = || pool.waiting.lock().unwrap().places.values().map(Vec::len).sum::<usize>();
        // Connecting takes real time; from here all is at the same instant.
        tokio::time::pause();
        for link in links {
            home.give_back(link);
        }
        let mut found = Vec::new();
        for _ in 0..6 {
            tokio::time::sleep(SWEEP + Duration::from_millis(1)).await;
            found.push(waiting());
        }
        // After 10, 20, … seconds.
        assert_eq!(found, [AFTER_PEAK + 10, AFTER_PEAK, AFTER_PEAK, AFTER_PEAK, 0, 0]);
        assert!(home.take().is_none());
    }
}
