//! How long an attempt waits for what: the header, then the target's config, then the node's settings. The total
//! bounds all of them, and belongs to the request, not to the attempt.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tidegate_config::Timeouts;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{ErrorKind, GatewayError};
use crate::settings::TimeoutSettings;

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a connection; the client has a limit of its own.
    pub connect: Option<Duration>,
    /// From sending to the head of the answer.
    pub head: Duration,
    /// From the head of a stream to its first event.
    pub first_event: Duration,
    /// From sending to the first content of a stream.
    pub first_token: Option<Duration>,
    /// Between two reads.
    pub idle: Duration,
    /// Whether nothing may leave before the first content: another target runs beside this one.
    pub racing: bool,
    total: Option<(Instant, Duration)>,
    sent: Instant,
}

impl Patience {
    /// Makes the patience of an attempt that begins `now`. `header` is what the client says for the head of each
    /// attempt, `request_timeout` what the config says for it in Portkey's words, `started` when the request came.
    pub(super) fn new(
        settings: &TimeoutSettings,
        own: &Timeouts,
        (header, request_timeout): (Option<Duration>, Option<Duration>),
        stream: bool,
        (started, now): (Instant, Instant),
    ) -> Self {
        let ms = Duration::from_millis;
        let said = header.or(own.head).or(request_timeout);
        let usual = if stream { settings.head_ms.min(settings.first_event_ms) } else { settings.head_ms };
        let mut head = said.unwrap_or(ms(usual));
        let first_token = own.first_token.filter(|_| stream);
        if let Some(first_token) = first_token {
            head = head.min(first_token);
        }
        Self {
            connect: own.connect,
            head,
            // Portkey's timer stops at the head; a stream that says nothing after it is as dead as one without.
            first_event: header.or(request_timeout).unwrap_or(ms(settings.first_event_ms)),
            first_token,
            idle: own.idle.unwrap_or(ms(settings.idle_ms)),
            racing: false,
            total: own.total.map(|total| (started + total, total)),
            sent: now,
        }
    }

    /// Returns the same with at most this wait between two reads.
    pub(super) fn with_idle(mut self, most: Duration) -> Self {
        self.idle = self.idle.min(most);
        self
    }

    /// Returns when a wait of this length that begins now ends at the latest.
    pub(super) fn until(&self, wait: Duration) -> Instant {
        self.at_most(Instant::now() + wait)
    }

    /// Waits for something, `wait` at most and not beyond the request's time; `None` where that is over. A timer is
    /// made only for what is not there at once.
    pub(super) async fn within<T>(
        &self,
        wait: Duration,
        mut waited: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let mut timer: Pin<&mut Option<Sleep>> = pin!(None);
        poll_fn(|context| {
            if let Poll::Ready(done) = waited.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            if timer.is_none() {
                timer.set(Some(sleep_until(self.until(wait))));
            }
            let over = timer.as_mut().as_pin_mut().map(|timer| timer.poll(context));
            over.map_or(Poll::Pending, |over| over.map(|()| None))
        })
        .await
    }

    /// Returns this time, or the end of the request's time if that is sooner.
    pub(super) fn at_most(&self, at: Instant) -> Instant {
        self.total.map_or(at, |(end, _)| at.min(end))
    }

    /// Returns when the first content of a stream must have come, if there is such a limit.
    pub(super) fn content_until(&self) -> Option<Instant> {
        self.first_token.map(|wait| self.sent + wait)
    }

    /// Returns whether a stream is held back until its first content, however long that takes.
    pub(super) fn waits_for_content(&self) -> bool {
        self.racing || self.first_token.is_some()
    }

    /// Returns whether the request's time is over.
    pub(super) fn is_over(&self) -> bool {
        self.total.is_some_and(|(end, _)| end <= Instant::now())
    }

    /// Makes the 408 of a wait that ended: the total's words where that is what ended it, else these.
    pub(super) fn late(&self, words: String) -> GatewayError {
        let message = match self.total {
            Some((end, total)) if end <= Instant::now() => {
                format!("The request took longer than its total of {} ms", total.as_millis())
            }
            _ => words,
        };
        GatewayError::new(ErrorKind::UpstreamTimeout, message)
    }

    /// Makes the 408 of a stall.
    pub(super) fn stalled(&self) -> GatewayError {
        let ms = self.idle.as_millis();
        self.late(format!("The provider stalled for {ms} ms in the middle of its answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: fn() -> TimeoutSettings = TimeoutSettings::default;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_header_beats_the_config_and_the_config_the_settings() {
        let now = Instant::now();
        let settings = SETTINGS();
        let own = Timeouts { head: Some(ms(20)), ..Timeouts::default() };
        let head = |own: &Timeouts, said| Patience::new(&settings, own, said, false, (now, now)).head;
        assert_eq!(head(&own, (Some(ms(10)), Some(ms(30)))), ms(10));
        assert_eq!(head(&own, (None, Some(ms(30)))), ms(20));
        assert_eq!(head(&Timeouts::default(), (None, Some(ms(30)))), ms(30));
        assert_eq!(head(&Timeouts::default(), (None, None)), ms(settings.head_ms));
    }

    #[test]
    fn the_first_token_bounds_the_head_of_streams_alone() {
        let now = Instant::now();
        let own = Timeouts { first_token: Some(ms(50)), ..Timeouts::default() };
        let of = |stream| Patience::new(&SETTINGS(), &own, (None, None), stream, (now, now));
        assert_eq!((of(true).head, of(true).content_until()), (ms(50), Some(now + ms(50))));
        assert_eq!((of(false).head, of(false).content_until()), (ms(SETTINGS().head_ms), None));
    }

    #[test]
    fn the_total_counts_from_the_requests_arrival_and_bounds_every_wait() {
        let own = Timeouts { total: Some(ms(600_000)), ..Timeouts::default() };
        let now = Instant::now();
        let began = |ago: u64| Patience::new(&SETTINGS(), &own, (None, None), true, (now - ms(ago), now));
        let running = began(500_000);
        assert_eq!(running.at_most(now + ms(99_999)), now + ms(99_999));
        assert_eq!(running.at_most(now + ms(100_001)), now + ms(100_000));
        assert!(!running.is_over());
        assert_eq!(running.late("slow".into()).message, "slow");
        let over = began(600_000);
        assert!(over.is_over());
        assert!(over.stalled().message.contains("total of 600000 ms"));
        assert_eq!(over.stalled().status(), 408);
    }

    #[test]
    fn without_a_total_nothing_bounds_a_wait() {
        let now = Instant::now();
        let long_ago = (now - ms(600_000), now);
        let patience = Patience::new(&SETTINGS(), &Timeouts::default(), (None, None), true, long_ago);
        assert!(!patience.is_over());
        assert_eq!(patience.at_most(now + ms(500_000)), now + ms(500_000));
    }
}
