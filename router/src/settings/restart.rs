//! What is read at start only: a change of it waits for the next one.

use super::load::Settings;

impl Settings {
    /// Names what a running gateway does not take over from changed settings. `self` is what it was started with.
    #[must_use]
    pub fn restart_for(&self, changed: &Self) -> Vec<&'static str> {
        let (old, new) = (self, changed);
        let in_cluster = old.store.is_some();
        [
            ("listen", old.listen != new.listen),
            ("data", old.data != new.data),
            ("workers", old.workers != new.workers),
            ("control_threads", old.control_threads != new.control_threads),
            ("store", old.store != new.store),
            ("shared", (in_cluster || new.store.is_some()) && old.shared != new.shared),
            ("master_key", old.master_key != new.master_key),
            ("ledger.durability", in_cluster && old.durability != new.durability),
            ("timeouts.connect_ms", old.timeouts.connect_ms != new.timeouts.connect_ms),
            ("timeouts.write_ms", old.timeouts.write_ms != new.timeouts.write_ms),
            ("timeouts.drain_ms", old.timeouts.drain_ms != new.timeouts.drain_ms),
            ("log.format", old.log.format != new.log.format),
            ("log.filter", old.log.filter != new.log.filter),
        ]
        .into_iter()
        .filter_map(|(name, waits)| waits.then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_restart_is_named() {
        let read = |text: &str| Settings::parse(text, "t", &|_| None).unwrap();
        let started = read("listen = \"127.0.0.1:1\"\nunpriced = \"deny\"\n");
        let changed =
            read("listen = \"127.0.0.1:2\"\nunpriced = \"free\"\nworkers = 2\n[log]\nkeep_days = 1\n");
        assert_eq!(started.restart_for(&changed), ["listen", "workers"]);
        assert!(started.restart_for(&started).is_empty());
    }
}
