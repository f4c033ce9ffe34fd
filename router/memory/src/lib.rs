//! What the allocator must be told.
//!
//! mimalloc gives pages back while it is asked for memory: a thread that had ten thousand streams and now waits for the
//! next request keeps what they took. So each thread that serves says from time to time that it is time.

/// Gives pages back to the system that the calling thread does not use any more; those that became free a moment ago
/// stay for a while. Takes microseconds for each megabyte that the thread has.
pub fn give_back() {
    #[expect(
        unsafe_code,
        reason = "mi_collect has no precondition: it may be called on any thread at any time, also on one that never \
                  allocated, and takes nothing away that is in use"
    )]
    unsafe {
        libmimalloc_sys::mi_collect(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    #[global_allocator]
    static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

    /// Returns the resident memory of this process in kilobytes.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_a_peak_left_behind_goes_when_it_is_told_and_not_before() {
        let kept: Vec<_> = (0..10_000_u32).map(|number| vec![number; 9]).collect();
        let before = resident();
        let peak: Vec<_> = (0..100_000).map(|_| vec![7_u8; 700]).collect();
        let at_peak = resident() - before;
        assert!(at_peak > 60_000, "{at_peak} KB");
        drop(peak);
        std::thread::sleep(Duration::from_secs(2));
        let waited = resident().saturating_sub(before);
        assert!(waited > at_peak / 2, "nobody needs to tell: {waited} of {at_peak} KB are left");
        let since = Instant::now();
        while resident().saturating_sub(before) > at_peak / 5 {
            assert!(since.elapsed() < Duration::from_secs(20), "{} KB more than before", resident() - before);
            super::give_back();
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(kept.iter().zip(0..).all(|(kept, number)| *kept == [number; 9]));
    }
}
