//! The same caller meets the same child: weighted rendezvous hashing.
//!
//! Every child draws a lot from the caller's number, and the best lot for its weight wins. So nothing is remembered
//! (callers are without number), all instances of the gateway agree, a restart changes nothing, each child gets its
//! share of callers, and when a child is out only its own callers go elsewhere, each by weight, and come back with it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Returns the number of a caller in the current slot of time. `who` is what makes it the same caller. Its choice holds
/// for `ttl`; slots begin at another moment for each caller, so that not all move at once.
#[must_use]
pub fn number(who: &[u8], ttl: Duration, unix_secs: i64) -> u64 {
    let own = hashed(&who);
    let ttl = ttl.as_secs().max(1);
    let slot = u64::try_from(unix_secs).unwrap_or(0).saturating_add(own % ttl) / ttl;
    hashed(&(own, slot))
}

/// Chooses one of the `eligible` children, all of which have weight.
#[must_use]
pub fn choose(caller: u64, eligible: &[usize], weight: impl Fn(usize) -> f64) -> Option<usize> {
    let lots = eligible.iter().map(|at| {
        // 53 bits of the hash, above 0 and below 1.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let draw = ((hashed(&(caller, *at)) >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0;
        (-draw.ln() / weight(*at), *at)
    });
    lots.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, at)| at)
}

/// The same number in every process of one build.
fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_caller_stays_for_the_ttl_and_moves_at_a_moment_of_its_own() {
        let mut moments = Vec::new();
        for who in 0_u32..50 {
            let who = who.to_le_bytes();
            let first = number(&who, HOUR, 0);
            let moved = (0_i64..).find(|now| number(&who, HOUR, *now) != first).unwrap();
            assert!(moved <= 3_600, "{moved}");
            let next = number(&who, HOUR, moved);
            assert!((moved..moved + 3_600).step_by(60).all(|now| number(&who, HOUR, now) == next));
            assert_ne!(number(&who, HOUR, moved + 3_600), next);
            moments.push(moved);
        }
        moments.sort_unstable();
        moments.dedup();
        assert!(moments.len() > 40, "all move at once: {moments:?}");
    }

    #[test]
    fn the_choice_is_the_same_in_every_process() {
        // Another number here moves every caller of every gateway at an upgrade.
        assert_eq!(number(b"key|alice", HOUR, 1_700_000_000), 15_610_936_764_887_046_947);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn weights_are_honoured_also_with_some_removed(
            weights in prop::collection::vec(0_u32..8, 2..6), removed in 0_usize..6,
        ) {
            let weight = |at: usize| f64::from(weights[at]);
            let eligible: Vec<usize> =
                (0..weights.len()).filter(|at| weights[*at] > 0 && *at != removed).collect();
            prop_assume!(!eligible.is_empty());
            let callers = 20_000_u32;
            let mut chosen = vec![0_u32; weights.len()];
            for caller in 0..callers {
                let number = number(&caller.to_le_bytes(), HOUR, 1_000_000);
                chosen[choose(number, &eligible, weight).unwrap()] += 1;
            }
            let sum: f64 = eligible.iter().map(|at| weight(*at)).sum();
            for (at, chosen) in chosen.iter().enumerate() {
                let share = if eligible.contains(&at) { weight(at) / sum } else { 0.0 };
                let expected = share * f64::from(callers);
                // Six standard deviations.
                let spread = 6.0 * (expected * (1.0 - share)).sqrt();
                prop_assert!((f64::from(*chosen) - expected).abs() <= spread, "{at}: {chosen}, not {expected}");
            }
        }

        #[test]
        fn over_time_one_caller_is_spread_by_weight(weights in prop::collection::vec(1_u32..8, 2..5), who in any::<u64>()) {
            let all: Vec<usize> = (0..weights.len()).collect();
            let slots = 10_000_u32;
            let mut chosen = vec![0_u32; weights.len()];
            for slot in 0..slots {
                let number = number(&who.to_le_bytes(), HOUR, i64::from(slot) * 3_600);
                chosen[choose(number, &all, |at| f64::from(weights[at])).unwrap()] += 1;
            }
            let sum = f64::from(weights.iter().sum::<u32>());
            for (weight, chosen) in weights.iter().zip(chosen) {
                let share = f64::from(*weight) / sum;
                let expected = share * f64::from(slots);
                let spread = 6.0 * (expected * (1.0 - share)).sqrt();
                prop_assert!((f64::from(chosen) - expected).abs() <= spread, "{chosen}, not {expected}");
            }
        }

        #[test]
        fn only_the_callers_of_a_removed_child_go_elsewhere(weights in prop::collection::vec(1_u32..8, 2..6), out in 0_usize..6, caller in any::<u64>()) {
            let weight = |at: usize| f64::from(weights[at]);
            let all: Vec<usize> = (0..weights.len()).collect();
            let left: Vec<usize> = all.iter().copied().filter(|at| *at != out).collect();
            let before = choose(caller, &all, weight).unwrap();
            let after = choose(caller, &left, weight).unwrap();
            prop_assert!(after != out);
            if before != out {
                prop_assert_eq!(before, after);
            }
        }
    }
}
