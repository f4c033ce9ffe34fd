//! The walk over a plan: down to a target, and after a failure on to the next.
//!
//! Children that are open are left out before a strategy chooses. Where all are, nobody is: a breaker must not make of
//! many targets none. A target may shut between the choice and the attempt (another request took the probe): then the
//! choice is made again without it.

use tidegate_config::{By, Condition, Hedge, Node, Strategy, Target};
use tidegate_store::ChoiceRow;

use super::balance::{self, Rule};
use super::fallback::{Reach, Verdict};
use super::outlook::{Outlook, can_be_chosen, is_open};
use super::{loadbalance, priority, reasons};

/// What the walk needs or found.
#[derive(Debug)]
pub enum Step<'a> {
    /// Ask this target.
    Target(&'a Target),
    /// Try the children of this fallback side by side.
    Race(Contest<'a>),
    /// Say which child a conditional chooses, with [`Walk::take`].
    Choose {
        /// The node.
        node: &'a Node,
        /// Its conditions.
        conditions: &'a [Condition],
        /// Its default.
        default: Option<usize>,
    },
}

/// A fallback whose children are tried side by side.
#[derive(Debug)]
pub struct Contest<'a> {
    /// The fallback.
    pub node: &'a Node,
    /// Children to try, in their order; those whose breakers are open are left out, unless all are.
    pub children: Vec<usize>,
    /// When the next child starts.
    pub hedge: &'a Hedge,
    /// Statuses that it leaves behind.
    pub on_status_codes: Option<&'a [u16]>,
    /// Whether its next child continues a stream.
    pub continues: bool,
}

/// A choice that was made on the way.
struct Fork<'a> {
    node: &'a Node,
    /// The child where the walk goes on.
    child: usize,
    /// Children tried before it.
    tried: Vec<usize>,
    /// All children were open, so that none is left out.
    bypass: bool,
}

/// A walk over a plan.
pub struct Walk<'a> {
    at: &'a Node,
    /// The choices on the way, the outermost first.
    forks: Vec<Fork<'a>>,
    made: Vec<ChoiceRow>,
}

impl<'a> Walk<'a> {
    /// Begins at a plan's root.
    #[must_use]
    pub fn new(root: &'a Node) -> Self {
        Self { at: root, forks: Vec::new(), made: Vec::new() }
    }

    /// Goes down until a target is found and entered, or a conditional must be decided. `draw` gives numbers from 0 up
    /// to 1.
    pub fn step(&mut self, outlook: &dyn Outlook, draw: &mut dyn FnMut() -> f64) -> Step<'a> {
        loop {
            let node = self.at;
            match &node.strategy {
                Strategy::Leaf(target) => {
                    if outlook.enter(node, target, false) {
                        return Step::Target(target);
                    }
                    if !self.elsewhere(outlook, draw) {
                        outlook.enter(node, target, true);
                        return Step::Target(target);
                    }
                }
                Strategy::Conditional { conditions, default } => {
                    return Step::Choose { node, conditions, default: *default };
                }
                Strategy::Fallback { hedge: Some(hedge), on_status_codes, continue_stream }
                    if node.children.len() > 1 =>
                {
                    let children = starters(node, outlook);
                    let (on_status_codes, continues) = (on_status_codes.as_deref(), *continue_stream);
                    return Step::Race(Contest { node, children, hedge, on_status_codes, continues });
                }
                _ => {
                    let mut drawn = Vec::new();
                    let mut drawing = || {
                        let number = draw();
                        drawn.push(number);
                        number
                    };
                    let (child, bypass) = first(node, outlook, &mut drawing);
                    self.forks.push(Fork { node, child, tried: Vec::new(), bypass });
                    match reasons::chosen(node, child, &drawn, bypass, outlook) {
                        Some((how, why)) => self.take(child, how, why),
                        None => self.go(child),
                    }
                }
            }
        }
    }

    /// Goes on at the first child of a race, as in a fallback without one.
    pub fn enter(&mut self, contest: &Contest<'a>) {
        let child = contest.children.first().copied().unwrap_or(0);
        self.forks.push(Fork { node: contest.node, child, tried: Vec::new(), bypass: false });
        self.go(child);
    }

    /// Goes on at a child that was chosen, and keeps why.
    pub fn take(&mut self, child: usize, how: &str, why: String) {
        let node = self.at;
        self.go(child);
        self.note(node, how, true, why);
    }

    /// Returns what was chosen since this was asked last.
    pub fn made(&mut self) -> Vec<ChoiceRow> {
        std::mem::take(&mut self.made)
    }

    /// Returns a verdict that would send the walk on, where one would: a dry walk takes it for what targets come to.
    #[must_use]
    pub fn failing(&self) -> Option<Verdict> {
        self.forks.iter().rev().find_map(|fork| match &fork.node.strategy {
            Strategy::Fallback { on_status_codes, .. } if fork.child + 1 < fork.node.children.len() => {
                let status = match on_status_codes.as_deref() {
                    None => 500,
                    Some(listed) => *listed.iter().find(|status| **status >= 400).or(listed.first())?,
                };
                Some(Verdict { status, reach: Reach::Answer })
            }
            Strategy::Priority { .. } if fork.tried.len() + 1 < fork.node.children.len() => {
                Some(Verdict { status: 429, reach: Reach::Target })
            }
            _ => None,
        })
    }

    fn note(&mut self, node: &Node, how: &str, goes_on: bool, why: String) {
        let chose = goes_on.then(|| self.at.path.clone());
        self.made.push(ChoiceRow { at: node.path.clone(), how: how.to_owned(), chose, why });
    }

    /// Goes on at a child of the node where the walk stands.
    fn go(&mut self, child: usize) {
        let children = &self.at.children;
        // A plan's indexes are valid; were one not, the first child is still a target that the operator named.
        if let Some(child) = children.get(child).or_else(|| children.first()) {
            self.at = child;
        }
    }

    /// Returns the innermost fallback on the way whose next child continues a stream, and that child.
    #[must_use]
    pub fn continues(&self) -> Option<(&'a Node, usize)> {
        let continues =
            |node: &Node| matches!(node.strategy, Strategy::Fallback { continue_stream: true, .. });
        self.forks.iter().rev().find(|fork| continues(fork.node)).map(|fork| (fork.node, fork.child + 1))
    }

    /// Takes the verdict on the last target. Returns whether there is another one to try.
    pub fn fall(&mut self, verdict: &Verdict, outlook: &dyn Outlook, draw: &mut dyn FnMut() -> f64) -> bool {
        if verdict.reach == Reach::Shut && self.elsewhere(outlook, draw) {
            return true;
        }
        let left = self.at.path.as_str();
        while let Some(fork) = self.forks.last() {
            let node = fork.node;
            let goes_on = match &fork.node.strategy {
                Strategy::Fallback { on_status_codes, .. } => verdict.falls(on_status_codes.as_deref()),
                Strategy::Priority { on_status_codes, .. } => verdict.spills(on_status_codes.as_deref()),
                _ => false,
            };
            // A verdict that does not fall here is this node's answer, and the next outer one judges it.
            let next = if goes_on { fork.next(fork.bypass, outlook, draw) } else { None };
            let why = reasons::left(node, left, verdict, goes_on);
            if let Some(next) = next {
                self.turn(self.forks.len() - 1, next);
                if let Some((how, why)) = why {
                    self.note(node, how, true, why);
                }
                return true;
            }
            if let Some((how, why)) = why {
                self.note(node, how, false, why);
            }
            self.forks.pop();
        }
        false
    }

    /// Chooses again, as near as possible, because the target turned out to be shut. Returns whether another one is
    /// closed.
    fn elsewhere(&mut self, outlook: &dyn Outlook, draw: &mut dyn FnMut() -> f64) -> bool {
        let mut forks = self.forks.iter().enumerate().rev();
        let found = forks.find_map(|(depth, fork)| Some((depth, fork.next(false, outlook, draw)?)));
        let Some((depth, child)) = found else { return false };
        let left = self.at.path.as_str();
        self.turn(depth, child);
        if let Some(fork) = self.forks.last() {
            let (node, how) = (fork.node, reasons::how(&fork.node.strategy));
            self.note(node, how, true, format!("{left} is shut by a breaker"));
        }
        true
    }

    /// Turns to another child at a fork; what was chosen below it is forgotten.
    fn turn(&mut self, depth: usize, child: usize) {
        self.forks.truncate(depth + 1);
        if let Some(fork) = self.forks.last_mut() {
            fork.tried.push(std::mem::replace(&mut fork.child, child));
            self.at = fork.node;
            self.go(child);
        }
    }
}

impl Fork<'_> {
    /// Chooses among the children that were not tried; `also_open` does not leave open ones out.
    fn next(&self, also_open: bool, outlook: &dyn Outlook, draw: &mut dyn FnMut() -> f64) -> Option<usize> {
        let in_order = matches!(self.node.strategy, Strategy::Single | Strategy::Fallback { .. });
        let may_be_open = !also_open && outlook.may_be_open();
        let left = self.node.children.iter().enumerate().filter(|(at, child)| {
            let untried =
                if in_order { *at > self.child } else { *at != self.child && !self.tried.contains(at) };
            untried && can_be_chosen(self.node, *at) && !(may_be_open && is_open(child, outlook))
        });
        choose(self.node, left.map(|(at, _)| at).collect(), outlook, draw)
    }
}

/// Returns the children of a fallback that may be tried.
fn starters(node: &Node, outlook: &dyn Outlook) -> Vec<usize> {
    let all = 0..node.children.len();
    if !outlook.may_be_open() {
        return all.collect();
    }
    let closed = |at: &usize| node.children.get(*at).is_some_and(|child| !is_open(child, outlook));
    let closed: Vec<usize> = all.clone().filter(closed).collect();
    if closed.is_empty() { all.collect() } else { closed }
}

/// Makes a node's first choice. Returns also whether all of its children are open.
fn first(node: &Node, outlook: &dyn Outlook, draw: &mut dyn FnMut() -> f64) -> (usize, bool) {
    let many = node.children.len() > 1;
    let all = || (0..node.children.len()).filter(|at| can_be_chosen(node, *at));
    if many && outlook.may_be_open() {
        let closed: Vec<usize> =
            all().filter(|at| node.children.get(*at).is_some_and(|child| !is_open(child, outlook))).collect();
        if let Some(child) = choose(node, closed, outlook, draw) {
            return (child, false);
        }
        return (choose(node, all().collect(), outlook, draw).unwrap_or(0), true);
    }
    let child = match &node.strategy {
        Strategy::LoadBalance { weights, by: By::Weight, sticky: None } => {
            loadbalance::choose(weights, draw())
        }
        Strategy::LoadBalance { .. } | Strategy::Priority { .. } if many => {
            choose(node, all().collect(), outlook, draw).unwrap_or(0)
        }
        _ => 0,
    };
    (child, false)
}

/// Chooses one of the `eligible` children.
fn choose(
    node: &Node,
    eligible: Vec<usize>,
    outlook: &dyn Outlook,
    draw: &mut dyn FnMut() -> f64,
) -> Option<usize> {
    match &node.strategy {
        Strategy::LoadBalance { weights, by, sticky } => {
            let rule = Rule { weights, by: *by, sticky: sticky.as_ref() };
            balance::choose(node, rule, eligible, outlook, draw)
        }
        Strategy::Priority { levels, weights, by, .. } => {
            let eligible = priority::level(node, levels, eligible, outlook);
            balance::choose(node, Rule { weights, by: *by, sticky: None }, eligible, outlook, draw)
        }
        _ => eligible.first().copied(),
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
