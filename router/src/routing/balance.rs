//! One child of many: by weight, latency, cost or load, or where the caller was before.
//!
//! - **weight**: by chance. **sticky**: by rendezvous, see [`super::sticky`].
//! - **latency**: children about as fast as the fastest share the requests by weight, so that a small difference does
//!   not send everything one way. One that was never measured counts as fast. One request in twenty goes to a child
//!   that was not measured for a while, so that one which recovered is found again.
//! - **cost**: the cheapest; those without a price come last.
//! - **least busy**: the fewest requests in flight for its weight.
//!
//! Equals share by weight. A child of weight 0 is never chosen. A strategy among the children is as fast, cheap or idle
//! as the best of its targets.

use tidegate_config::{By, Node, Sticky};

use super::outlook::{Latency, Outlook, has_room, least};
use super::{loadbalance, sticky};

/// A child is about as fast as the fastest within this factor, in percent, and this many microseconds.
const ABOUT_PERCENT: u64 = 120;
const ABOUT_MICROS: u64 = 20_000;
/// Share of requests that go and look at children not measured for a while.
const EXPLORING: f64 = 0.05;

/// How to choose.
#[derive(Clone, Copy)]
pub(super) struct Rule<'a> {
    pub(super) weights: &'a [f64],
    pub(super) by: By,
    pub(super) sticky: Option<&'a Sticky>,
}

/// Chooses one of the `eligible` children of a node; `None` when none of them has weight.
pub(super) fn choose(
    node: &Node,
    rule: Rule<'_>,
    mut eligible: Vec<usize>,
    outlook: &dyn Outlook,
    draw: &mut dyn FnMut() -> f64,
) -> Option<usize> {
    let Rule { weights, by, sticky } = rule;
    let weight = |at: usize| weights.get(at).copied().unwrap_or(0.0);
    eligible.retain(|at| weight(*at) > 0.0);
    if eligible.len() < 2 {
        return eligible.first().copied();
    }
    if let Some(sticky) = sticky {
        let caller = outlook.caller(sticky, &node.path);
        return sticky::choose(caller, &eligible, weight);
    }
    if by != By::Weight {
        // Whoever asks for the fastest does not want to be refused by the limit of a full one.
        let roomy = |at: &usize| node.children.get(*at).is_some_and(|child| has_room(child, outlook));
        if eligible.iter().any(roomy) {
            eligible.retain(roomy);
        }
    }
    match by {
        By::Weight => {}
        By::Latency => fastest(node, &mut eligible, weight, outlook, draw),
        By::Cost => keep_least(&mut eligible, |at| {
            let cost = of(node, at, &|target| outlook.cost(target).unwrap_or(u64::MAX));
            cost.unwrap_or(u64::MAX)
        }),
        By::LeastBusy => {
            let load = |at: usize| {
                let inside = of(node, at, &|target| outlook.in_flight(target)).unwrap_or(0);
                // Millionths, so that loads can be compared without a partial order.
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "positive, and saturating is meant"
                )]
                let load = (f64::from(inside) * 1e6 / weight(at)) as u64;
                load
            };
            keep_least(&mut eligible, load);
        }
    }
    by_weight(&eligible, weight, draw)
}

fn of<T: Ord>(node: &Node, at: usize, figure: &dyn Fn(&tidegate_config::Target) -> T) -> Option<T> {
    least(node.children.get(at)?, figure)
}

fn keep_least(eligible: &mut Vec<usize>, figure: impl Fn(usize) -> u64) {
    let figures: Vec<u64> = eligible.iter().map(|at| figure(*at)).collect();
    let Some(best) = figures.iter().min() else { return };
    let mut figures = figures.iter();
    eligible.retain(|_| figures.next() == Some(best));
}

fn fastest(
    node: &Node,
    eligible: &mut Vec<usize>,
    weight: impl Fn(usize) -> f64,
    outlook: &dyn Outlook,
    draw: &mut dyn FnMut() -> f64,
) {
    let latency = |at: usize| of(node, at, &|target| outlook.latency(target)).unwrap_or_default();
    let known: Vec<(usize, Latency)> = eligible.iter().map(|at| (*at, latency(*at))).collect();
    let best = known.iter().map(|(_, latency)| latency.micros).filter(|micros| *micros > 0).min();
    let Some(best) = best else { return };
    let about = (best.saturating_mul(ABOUT_PERCENT) / 100).max(best.saturating_add(ABOUT_MICROS));
    let fast = known.iter().filter(|(_, latency)| latency.micros <= about).map(|(at, _)| *at);
    let stale = known.iter().filter(|(_, latency)| latency.micros > about && latency.stale);
    let stale: Vec<usize> = stale.map(|(at, _)| *at).collect();
    if !stale.is_empty() && draw() < EXPLORING {
        // One of them, not the fastest with them: else a child of small weight would hardly ever be looked at.
        *eligible = by_weight(&stale, weight, draw).into_iter().collect();
    } else {
        *eligible = fast.collect();
    }
}

fn by_weight(
    eligible: &[usize],
    weight: impl Fn(usize) -> f64,
    draw: &mut dyn FnMut() -> f64,
) -> Option<usize> {
    if eligible.len() < 2 {
        return eligible.first().copied();
    }
    let weights: Vec<f64> = eligible.iter().map(|at| weight(*at)).collect();
    eligible.get(loadbalance::choose(&weights, draw())).copied()
}
