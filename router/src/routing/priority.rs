//! The first level that has room; where none has, the first level, whose refusal then sends the request on.

use tidegate_config::Node;

use super::outlook::{Outlook, has_room};

/// Keeps of the `eligible` children those of the level that is to be asked.
pub(super) fn level(node: &Node, levels: &[u64], eligible: Vec<usize>, outlook: &dyn Outlook) -> Vec<usize> {
    let of = |at: usize| levels.get(at).copied().unwrap_or(u64::MAX);
    let roomy = |at: &usize| node.children.get(*at).is_some_and(|child| has_room(child, outlook));
    let with_room: Vec<usize> = eligible.iter().copied().filter(roomy).collect();
    let mut kept = if with_room.is_empty() { eligible } else { with_room };
    if let Some(first) = kept.iter().map(|at| of(*at)).min() {
        kept.retain(|at| of(*at) == first);
    }
    kept
}
