//! What a choice among targets may look at: snapshots that others publish. Nobody is asked, nothing is waited for.

use tidegate_config::{Node, Sticky, Strategy, Target};

/// A request's view of the targets, at one moment.
pub trait Outlook {
    /// Returns whether anything may be open at all. Without it nothing is looked at, so that a plan without breakers
    /// costs nothing.
    fn may_be_open(&self) -> bool;

    /// Returns whether a breaker keeps attempts away from the target of this leaf.
    fn is_open(&self, leaf: &Node, target: &Target) -> bool;

    /// Returns whether the limits of the target's provider have room.
    fn has_room(&self, target: &Target) -> bool;

    /// Returns microseconds to the first byte, as far as known, and whether that was not measured lately.
    fn latency(&self, target: &Target) -> Latency;

    /// Returns what the request may cost at the target, in nano-dollars; `None` where there is no price.
    fn cost(&self, target: &Target) -> Option<u64>;

    /// Returns attempts in flight at the target's provider.
    fn in_flight(&self, target: &Target) -> u32;

    /// Returns a number for the caller that stays the same as long as a sticky choice holds.
    fn caller(&self, sticky: &Sticky, path: &str) -> u64;

    /// Goes to a target: takes the pass of its breaker. `forced`: there is nobody else. Returns false when the breaker
    /// keeps the attempt away, because another request was quicker.
    fn enter(&self, leaf: &Node, target: &Target, forced: bool) -> bool;
}

/// How fast a target was of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Latency {
    /// Moving average of microseconds to the first byte, longer where attempts failed; 0 was never measured.
    pub micros: u64,
    /// Whether nothing was measured for a while.
    pub stale: bool,
}

/// Returns whether all targets below a node are open. A child that can't be chosen does not count.
#[must_use]
pub fn is_open(node: &Node, outlook: &dyn Outlook) -> bool {
    if let Strategy::Leaf(target) = &node.strategy {
        return outlook.is_open(node, target);
    }
    let mut children = node.children.iter().enumerate();
    children.all(|(at, child)| !can_be_chosen(node, at) || is_open(child, outlook))
}

/// Returns whether any target below a node is closed and has room.
#[must_use]
pub fn has_room(node: &Node, outlook: &dyn Outlook) -> bool {
    if let Strategy::Leaf(target) = &node.strategy {
        return outlook.has_room(target) && !(outlook.may_be_open() && outlook.is_open(node, target));
    }
    let mut children = node.children.iter().enumerate();
    children.any(|(at, child)| can_be_chosen(node, at) && has_room(child, outlook))
}

/// Returns whether a node ever chooses this child, as far as its weight says.
#[must_use]
pub fn can_be_chosen(node: &Node, child: usize) -> bool {
    match &node.strategy {
        Strategy::LoadBalance { weights, .. } | Strategy::Priority { weights, .. } => {
            weights.get(child).is_some_and(|weight| *weight > 0.0)
        }
        _ => true,
    }
}

/// Returns the least of a figure over the targets below a node that can be chosen.
#[must_use]
pub fn least<T: Ord>(node: &Node, figure: &dyn Fn(&Target) -> T) -> Option<T> {
    if let Strategy::Leaf(target) = &node.strategy {
        return Some(figure(target));
    }
    let children = node.children.iter().enumerate().filter(|(at, _)| can_be_chosen(node, *at));
    children.filter_map(|(_, child)| least(child, figure)).min()
}
