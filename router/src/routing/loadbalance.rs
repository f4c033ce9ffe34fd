//! One child by chance, each as often as its weight says.

/// Returns the child that `draw`, from 0 up to but not including 1, falls on. A child of weight 0 is never chosen.
#[must_use]
pub fn choose(weights: &[f64], draw: f64) -> usize {
    let sum: f64 = weights.iter().sum();
    let mut left = draw.clamp(0.0, 1.0) * sum;
    let mut last = 0;
    for (at, weight) in weights.iter().enumerate() {
        if *weight <= 0.0 {
            continue;
        }
        if left < *weight {
            return at;
        }
        left -= weight;
        last = at;
    }
    // Rounding may leave a crumb after the last weight.
    last
}

/// Returns how often a child is chosen, from 0 to 1.
#[must_use]
pub fn share(weights: &[f64], child: usize) -> f64 {
    let sum: f64 = weights.iter().sum();
    weights.get(child).filter(|_| sum > 0.0).map_or(0.0, |weight| weight / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_whole_range_is_covered() {
        assert_eq!(choose(&[1.0, 1.0], 0.0), 0);
        assert_eq!(choose(&[1.0, 1.0], 0.4999), 0);
        assert_eq!(choose(&[1.0, 1.0], 0.5), 1);
        assert_eq!(choose(&[0.0, 1.0], 0.0), 1);
        assert_eq!(choose(&[1.0, 0.0], 1.0), 0);
    }

    proptest! {
        #[test]
        fn weights_are_honoured(weights in prop::collection::vec(0_u32..1_000, 1..8)) {
            prop_assume!(weights.iter().sum::<u32>() > 0);
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let sum: f64 = weights.iter().sum();
            let draws = 20_000_u32;
            let mut chosen = vec![0_u32; weights.len()];
            for at in 0..draws {
                chosen[choose(&weights, f64::from(at) / f64::from(draws))] += 1;
            }
            for (weight, chosen) in weights.iter().zip(chosen) {
                let expected = weight / sum * f64::from(draws);
                // Evenly spread draws: an interval holds its share but for its two ends.
                prop_assert!((f64::from(chosen) - expected).abs() <= 2.0, "{weight} of {sum}: {chosen}, not {expected}");
            }
        }

        #[test]
        fn a_child_without_weight_is_never_chosen(weights in prop::collection::vec(0.0_f64..3.0, 1..8), draw in 0.0_f64..1.0) {
            prop_assume!(weights.iter().any(|weight| *weight > 0.0));
            prop_assert!(weights[choose(&weights, draw)] > 0.0);
        }
    }
}
