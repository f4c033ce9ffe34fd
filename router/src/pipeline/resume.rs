//! Continuation: a stream broke off after its first content, and the fallback's next target goes on from what was said.
//!
//! The next attempt is an ordinary one (its own hold, permit, limits and row) whose request carries the text so far. Its
//! events go on in the same encoder and the same guards, so a client sees one answer and a guard one text. If nobody
//! can go on, the stream ends with the error that broke it.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_config::{Hooks, Plan, Strategy};
use tidegate_providers::Usage;
use tokio::time::Instant;

use super::docket::Docket;
use super::outlook::View;
use super::prefix::Prefix;
use super::request::{Answer, AnswerBody, Body, Caller, Request};
use super::route::{Asked, Trip};
use super::settle::Ending;
use super::stream::{AnswerStream, Lane};
use super::tried::Rest;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::routing::Outlook;
use crate::routing::outlook::is_open;
use crate::upstream::Client;

/// Who may continue a stream: the children of a fallback that were not tried, and all that asking them takes.
pub(super) struct Successor {
    gateway: Arc<Gateway>,
    client: Client,
    caller: Caller,
    request: Request,
    plan: Arc<Plan>,
    docket: Docket,
    /// Place of the fallback.
    node: String,
    next: usize,
    /// Guardrails that watch the stream.
    hooks: Arc<Hooks>,
    /// Targets that continued it.
    places: Vec<String>,
}

impl Successor {
    /// Prepares for the stream of a target at `place`; `rest` is who comes after it.
    pub(super) fn new(
        (gateway, client, caller): (&Arc<Gateway>, &Client, &Caller),
        request: Request,
        (plan, docket): (Arc<Plan>, Docket),
        (place, node, next): (&str, String, usize),
    ) -> Self {
        let hooks = match plan.root().find(place).map(|node| &node.strategy) {
            Some(Strategy::Leaf(target)) => target.hooks.clone(),
            _ => Arc::default(),
        };
        let (gateway, client, caller) = (gateway.clone(), client.clone(), caller.clone());
        Self { gateway, client, caller, request, plan, docket, node, next, hooks, places: Vec::new() }
    }

    /// Asks the next target, and those after it, each once.
    async fn ask(&mut self, text: String, output: u64) -> Option<Box<AnswerStream>> {
        let prefix = Prefix { text, output, hooks: self.hooks.clone() };
        let Body::Json(bytes) = &self.request.body else { return None };
        let fields = tidegate_providers::Fields::parse(bytes).ok()?;
        let asked = Asked::Json(fields);
        let trip = Trip {
            gateway: &self.gateway,
            client: &self.client,
            caller: &self.caller,
            request: &self.request,
            asked: &asked,
            plan: &self.plan,
            model: None,
            pathname: self.request.endpoint.pathname().into(),
            prefix: Some(&prefix),
        };
        let node = self.plan.root().find(&self.node)?;
        let view = View::new(&trip, &self.plan);
        while let Some(child) = node.children.get(self.next) {
            self.next += 1;
            if view.may_be_open() && is_open(child, &view) {
                continue;
            }
            let docket = self.docket.continuing();
            if let Ok(Answer { body: AnswerBody::Stream(stream), about, .. }) =
                trip.tour(child, &docket).await.result
            {
                self.places.push(about.option_index);
                return Some(stream);
            }
        }
        None
    }
}

impl AnswerStream {
    /// Names who may continue the stream.
    pub(super) fn may_continue(&mut self, successor: Successor) {
        self.successor = Some(Box::new(successor));
    }

    /// Lets the next target continue the stream that broke off with this error. Returns whether one does.
    pub(super) async fn resume(&mut self, error: &GatewayError) -> bool {
        let theirs = matches!(
            error.kind,
            ErrorKind::Upstream | ErrorKind::UpstreamTimeout | ErrorKind::UpstreamUnreachable
        );
        let Lane::Decoded(lane) = &self.lane else { return false };
        let Some((text, before)) = lane.said() else { return false };
        if !theirs || self.patience.is_over() {
            return false;
        }
        let text = text.to_owned();
        let Some(mut successor) = self.successor.take() else { return false };
        // What broke is let go and paid before anything else is held.
        self.upstream = None;
        let counted = self.progress.meter.output();
        let reported = self.progress.usage.unwrap_or_default();
        let input = if reported.input > 0 { reported.input } else { self.settlement.likely_input() };
        let used = Usage { input, output: reported.output.max(counted), ..reported };
        let (outcome, usage) = (error.outcome(), self.final_usage(false));
        self.settlement.finish(Ending {
            outcome,
            status: 200,
            error: Some(error.message.clone()),
            usage,
            counted_output: counted,
            unfinished: true,
            unpaid: false,
            fault: true,
            vendor_status: None,
        });
        let output = before.output.saturating_add(used.output);
        // Boxed: an attempt reads a stream, and a stream may make an attempt.
        let Some(mut next) = Box::pin(successor.ask(text, output)).await else {
            successor.docket.conclude(200, outcome, Some(error.message.clone()));
            return false;
        };
        let (Lane::Decoded(lane), Lane::Decoded(other)) = (&mut self.lane, &mut next.lane) else {
            return false;
        };
        self.successor = Some(successor);
        lane.adopt(other, used);
        std::mem::swap(&mut self.upstream, &mut next.upstream);
        std::mem::swap(&mut self.settlement, &mut next.settlement);
        std::mem::swap(&mut self.progress, &mut next.progress);
        self.progress.committed = true;
        self.patience = next.patience;
        self.idle_until = self.patience.at_most(Instant::now() + self.patience.first_event);
        self.settlement.first_byte();
        self.settlement.began();
        // What is left in it is settled.
        next.done = true;
        true
    }

    /// Returns whether another vendor continued the stream.
    pub(super) fn was_continued(&self) -> bool {
        self.successor.as_ref().is_some_and(|successor| !successor.places.is_empty())
    }

    /// Says who continued the stream, as a comment that no client reads by accident.
    pub(super) fn mark(&self, end: Bytes) -> Bytes {
        match &self.successor {
            Some(successor) if !successor.places.is_empty() => {
                let mark = format!(": continued by {}\n\n", successor.places.join(", "));
                [mark.as_bytes(), &end].concat().into()
            }
            _ => end,
        }
    }
}

impl Rest<'_> {
    /// Returns the place of the fallback and its next child, if there is one.
    pub(super) fn place(&self) -> Option<(String, usize)> {
        (self.next < self.node.children.len()).then(|| (self.node.path.clone(), self.next))
    }
}
