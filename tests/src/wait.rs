//! Waiting with a deadline instead of sleeping and hoping.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: generous, for a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until the condition gives a value.
///
/// # Panics
/// When `patience` is over, naming what was waited for.
pub async fn until_within<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Polls with the usual patience.
pub async fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, condition).await
}

/// Polls something that itself waits, such as a request.
pub async fn until_async<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Gives up with a panic when the future takes longer than usual.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}
