//! Connections that wait for another request.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use foldhash::quality::RandomState;
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
    places: Mutex<HashMap<Arc<str>, Arc<Place>, RandomState>>,
    swept: AtomicBool,
}

/// Connections to one scheme and authority, the oldest first.
#[derive(Debug, Default)]
struct Place {
    idle: Mutex<Vec<Idle>>,
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
    place: Arc<Place>,
}

impl Home {
    /// Returns the home of connections to a scheme and authority.
    pub(super) fn of(pool: &Arc<Pool>, place: &str) -> Self {
        let known = lock(&pool.places).get(place).cloned();
        let place = known.unwrap_or_else(|| {
            // Swept away, too, should nothing ever come back there.
            sweep(pool);
            lock(&pool.places).entry(place.into()).or_default().clone()
        });
        Self { pool: pool.clone(), place }
    }

    /// Takes the connection that waited for the shortest time and is still open.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            // Not under the lock: that a connection is closed takes a call of the system.
            let mut idle = lock(&self.place.idle).pop()?;
            if idle.since.elapsed() < IDLE && is_open(&mut idle.link) {
                return Some(idle.link);
            }
        }
    }

    /// Lets a connection wait.
    pub(super) fn give_back(&self, link: Box<Link>) {
        let mut idle = lock(&self.place.idle);
        if idle.len() < MOST {
            idle.push(Idle { link, since: Instant::now() });
        }
        drop(idle);
        sweep(&self.pool);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns whether nothing came: a vendor that says something unasked says that it closes.
fn is_open(link: &mut Link) -> bool {
    let mut byte = [0; 1];
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(link).poll_read(&mut context, &mut ReadBuf::new(&mut byte)).is_pending()
}

/// Makes sure that connections are closed that wait for too long.
#[expect(clippy::disallowed_methods, reason = "the sweep ends with the last place, and with the pool")]
fn sweep(pool: &Arc<Pool>) {
    if !pool.swept.swap(true, Ordering::SeqCst) {
        tokio::spawn(sweeping(Arc::downgrade(pool)));
    }
}

/// Closes connections that waited for too long, and forgets places without any, as long as there is one.
async fn sweeping(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        // Before looking: what comes meanwhile begins the next sweep.
        pool.swept.store(false, Ordering::SeqCst);
        let mut places = lock(&pool.places);
        places.retain(|_, place| {
            let mut idle = lock(&place.idle);
            // The oldest come first.
            let waited = |long: Duration| idle.partition_point(|idle| idle.since.elapsed() >= long);
            let gone = waited(IDLE).max(waited(PEAK).saturating_sub(AFTER_PEAK));
            idle.drain(..gone);
            let room = idle.len() * 2;
            idle.shrink_to(room);
            // Whoever is on the way with a connection of this place knows it still.
            !idle.is_empty() || Arc::strong_count(place) > 1
        });
        if places.is_empty() || pool.swept.swap(true, Ordering::SeqCst) {
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
        let (mut links, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..AFTER_PEAK + 10 {
            links.push(Box::new(connector.connect(&url).await.unwrap()));
            peers.push(listener.accept().unwrap());
        }
        // Connecting takes real time; from here all is at the same instant, the sweep too.
        tokio::time::pause();
        let home = Home::of(&pool, "http://a");
        let waiting = || lock(&home.place.idle).len();
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
        assert_eq!(lock(&pool.places).len(), 1, "somebody knows it");
        drop(home);
        drop(Home::of(&pool, "http://b"));
        tokio::time::sleep(SWEEP * 2).await;
        assert_eq!((lock(&pool.places).len(), pool.swept.load(Ordering::SeqCst)), (0, false));
    }
}
