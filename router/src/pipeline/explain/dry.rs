//! The walk without anybody being asked: every target is looked at, and taken for one that fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_config::Plan;

use super::target::{Looked, look};
use super::tree::{self, Decisions};
use super::view::{Explanation, NoteView, Refusal};
use crate::error::GatewayError;
use crate::gateway::Gateway;
use crate::pipeline::outlook::View;
use crate::pipeline::request::{Caller, Request};
use crate::pipeline::route::{Trip, draw};
use crate::pipeline::{origin, read, resolve};
use crate::routing::fallback::Reach;
use crate::routing::{Step, Verdict, Walk};
use crate::upstream::Client;

/// Targets that are looked at. Each is asked for its price, its budgets and its guards.
const MOST: usize = 64;
/// What the last target is taken to come to.
const FAILED: Verdict = Verdict { status: 500, reach: Reach::Answer };

/// Explains what would become of a request.
pub async fn explain(
    gateway: &Arc<Gateway>,
    client: &Client,
    caller: &Caller,
    request: &Request,
) -> Explanation {
    let record = &caller.record;
    let mut told = Explanation {
        endpoint: request.endpoint.pathname().to_owned(),
        key: record.name.clone(),
        config: origin::whence(gateway, record, request),
        ..Explanation::default()
    };
    let planned = read(request).and_then(|(asked, model)| {
        let plan = resolve::plan(gateway, record, request, model.as_deref())?;
        Ok((asked, plan))
    });
    let (asked, plan) = match planned {
        Ok(planned) => planned,
        Err(error) => {
            told.refused = Some(Refusal::of(&error));
            return told;
        }
    };
    let notes = plan.notes().iter();
    told.notes =
        notes.map(|note| NoteView { path: note.path.clone(), message: note.message.clone() }).collect();
    let pathname = told.endpoint.clone().into();
    let trip = Trip {
        gateway,
        client,
        caller,
        request,
        asked: &asked,
        plan: &plan,
        model: None,
        pathname,
        prefix: None,
    };
    walked(&trip, &plan, &mut told).await;
    told
}

async fn walked(trip: &Trip<'_>, plan: &Plan, told: &mut Explanation) {
    let mut looked: BTreeMap<String, Looked> = BTreeMap::new();
    let mut decisions = Decisions::new();
    let mut walk = Walk::new(plan.root());
    let outlook = View::new(trip, plan);
    let mut turn = 0;
    while turn < MOST {
        let target = match walk.step(&outlook, &mut draw) {
            Step::Target(target) => target,
            // Its children start one after the other, when those before are late or fail.
            Step::Race(contest) => {
                walk.enter(&contest);
                continue;
            }
            Step::Choose { node, conditions, default } => match trip.decide(conditions, default).await {
                Ok(decided) => {
                    walk.take(decided.child, "conditional", decided.why(conditions, trip));
                    decisions.insert(&node.path, decided);
                    continue;
                }
                Err(error) => {
                    told.refused = Some(Refusal::of(&error));
                    break;
                }
            },
        };
        // A pass of the target's breaker is given back: nobody is asked.
        drop(outlook.take_entry());
        turn += 1;
        let mut found = look(trip, target).await;
        found.view.turn = Some(turn);
        let verdict = match &found.refusal {
            Some(refused) => refused.verdict,
            None => {
                if told.asked_first.is_none() {
                    told.asked_first = Some(target.path.clone());
                }
                // It is taken for one that fails, to see who would be next.
                walk.failing().unwrap_or(FAILED)
            }
        };
        let error = found.refusal.as_ref().map(|refused| Refusal::of(&refused.error));
        looked.insert(target.path.clone(), found);
        // What was chosen up to here belongs to this walk; what follows a made-up failure does not.
        told.choices.extend(walk.made());
        let falls = walk.fall(&verdict, &outlook, &mut draw);
        let made = walk.made();
        if told.asked_first.is_none() {
            told.choices.extend(made);
            if !falls {
                told.refused = error;
            }
        }
        if !falls {
            break;
        }
    }
    told.plan = Some(tree::node(plan.root(), trip, &outlook, &decisions));
    for target in plan.targets() {
        if told.targets.len() >= MOST {
            told.left_out += 1;
            continue;
        }
        let found = match looked.remove(&target.path) {
            Some(found) => found,
            None => look(trip, target).await,
        };
        told.targets.push(found.view);
    }
}

/// A refusal of a target, and how far it reaches.
pub(super) struct Refused {
    pub(super) error: GatewayError,
    pub(super) verdict: Verdict,
}

impl Refused {
    pub(super) fn new(error: GatewayError, reach: Reach) -> Self {
        let verdict = Verdict { status: error.status(), reach };
        Self { error, verdict }
    }
}
