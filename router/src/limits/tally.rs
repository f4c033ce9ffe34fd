//! Attempts and faults of the last while: ten slices of a rolling window.

use std::time::Duration;

const SLICES: usize = 10;

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    /// Which slice of time since the clock began.
    number: u64,
    attempts: u32,
    faults: u32,
}

/// A rolling count. A slice is forgotten as a whole, so the window is exact to a tenth of it.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    width_ns: u64,
    slices: [Slice; SLICES],
}

impl Tally {
    /// Makes an empty count over the last `window`.
    #[must_use]
    pub(super) fn new(window: Duration) -> Self {
        let width = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX) / SLICES as u64;
        Self { width_ns: width.max(1), slices: [Slice::default(); SLICES] }
    }

    /// Counts an attempt.
    pub(super) fn add(&mut self, now: Duration, fault: bool) {
        let number = self.number(now);
        let slice = &mut self.slices[(number % SLICES as u64) as usize];
        if slice.number != number {
            *slice = Slice { number, ..Slice::default() };
        }
        slice.attempts = slice.attempts.saturating_add(1);
        slice.faults = slice.faults.saturating_add(u32::from(fault));
    }

    /// Returns attempts and faults of the window that ends now.
    #[must_use]
    pub(super) fn sum(&self, now: Duration) -> (u64, u64) {
        let number = self.number(now);
        let seen = self.slices.iter().filter(|slice| number.saturating_sub(slice.number) < SLICES as u64);
        seen.fold((0, 0), |(attempts, faults), slice| {
            (attempts + u64::from(slice.attempts), faults + u64::from(slice.faults))
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slices = [Slice::default(); SLICES];
    }

    fn number(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) / self.width_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let mut tally = Tally::new(Duration::from_secs(10));
        let at = |ms: u64| Duration::from_millis(60_000 + ms);
        tally.add(at(0), true);
        tally.add(at(500), false);
        tally.add(at(9_000), true);
        assert_eq!(tally.sum(at(9_900)), (3, 2));
        assert_eq!(tally.sum(at(10_000)), (1, 1));
        assert_eq!(tally.sum(at(19_000)), (0, 0));
        assert_eq!(tally.sum(at(900_000)), (0, 0));
    }

    proptest! {
        #[test]
        fn a_window_holds_what_came_in_it_to_a_tenth(steps in prop::collection::vec((0_u64..3_000, any::<bool>()), 1..200)) {
            let window = Duration::from_secs(10);
            let mut tally = Tally::new(window);
            let (mut now, mut seen) = (Duration::from_secs(3_600), Vec::new());
            for (ms, fault) in steps {
                now += Duration::from_millis(ms);
                tally.add(now, fault);
                seen.push((now, fault));
                let within = |span: Duration| {
                    let some = seen.iter().filter(|(at, _)| now - *at < span);
                    some.fold((0, 0), |(all, faults), (_, fault)| (all + 1, faults + u64::from(*fault)))
                };
                let (least, most) = (within(window * 9 / 10), within(window));
                let (attempts, faults) = tally.sum(now);
                prop_assert!(least.0 <= attempts && attempts <= most.0, "{least:?} {attempts} {most:?}");
                prop_assert!(least.1 <= faults && faults <= most.1);
            }
        }
    }
}
