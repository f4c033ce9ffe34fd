//! What a request sees of the targets it could go to: breakers, room, speed, prices, who was where.
//!
//! Everything is read from snapshots and tables; nobody is asked. A plan without breakers, or without a strategy that
//! wants to know, looks at nothing.

use std::cell::{OnceCell, RefCell};
use std::sync::Arc;

use tidegate_config::{Facts, Node, Plan, Sticky, Target};
use tidegate_providers::Usage;

use super::aim::{Aim, aim};
use super::request::Request;
use super::resolve::{Route, TimeoutFrom, header};
use super::route::{Asked, Trip};
use super::shape::{self, Shape};
use crate::clock;
use crate::money;
use crate::routing::breakers::{Author, Entry, Seat};
use crate::routing::outlook::Latency;
use crate::routing::{Outlook, sticky};

/// Bytes of a body for each token, for comparing prices.
const BYTES_PER_TOKEN: u64 = 4;
/// Output of a request that names no limit, for comparing prices.
const USUAL_OUTPUT: u64 = 500;

/// One request's view.
pub(super) struct View<'a> {
    trip: &'a Trip<'a>,
    digest: u64,
    author: OnceCell<Author>,
    /// Whether the plan's targets have breakers.
    targets_break: bool,
    /// Whether any provider has one.
    providers_break: bool,
    model: OnceCell<Option<String>>,
    shape: OnceCell<Shape>,
    /// The breaker of the target that was entered, and its pass.
    entered: RefCell<Option<(Arc<Seat>, Option<Entry>)>>,
}

impl<'a> View<'a> {
    /// Makes the view of a request on a plan.
    pub(super) fn new(trip: &'a Trip<'a>, plan: &Plan) -> Self {
        Self {
            trip,
            digest: plan.digest(),
            author: OnceCell::new(),
            targets_break: plan.has_breakers(),
            providers_break: trip.gateway.book.has_breakers(),
            model: OnceCell::new(),
            shape: OnceCell::new(),
            entered: RefCell::new(None),
        }
    }

    /// Returns the pass of the target that was entered last, for its attempt.
    pub(super) fn take_entry(&self) -> Option<Entry> {
        self.entered.borrow_mut().as_mut().and_then(|(_, entry)| entry.take())
    }

    /// Returns whether another attempt at the same target makes sense.
    pub(super) fn may_retry(&self, route: &Route) -> bool {
        let now = clock::uptime();
        let entered = self.entered.borrow();
        let open = entered.as_ref().is_some_and(|(seat, _)| seat.is_open(now));
        let shut = self.providers_break && route.provider.health().is_shut(now);
        !open && !shut
    }

    /// Enters the same target again.
    pub(super) fn enter_again(&self) -> Option<Entry> {
        let now = clock::uptime();
        let entered = self.entered.borrow();
        let (seat, _) = entered.as_ref()?;
        seat.enter(now, false).or_else(|| seat.enter(now, true))
    }

    /// Returns whose config it is.
    fn author(&self) -> &Author {
        self.author.get_or_init(|| author(self.trip, self.digest))
    }

    fn aim(&self, target: &Target) -> Aim {
        let model = self.model.get_or_init(|| match self.trip.asked {
            Asked::Json(_) => self.trip.param("model").and_then(|model| model.as_str().map(str::to_owned)),
            Asked::Form(form) => form.text("model").map(str::to_owned),
            Asked::Raw(_) => self.trip.request.proxy.as_ref().and_then(|proxy| proxy.query_model()),
        });
        aim(self.trip.gateway, &self.trip.caller.record, self.trip.request, target, model.as_deref())
    }

    fn shape(&self) -> &Shape {
        let endpoint = self.trip.request.endpoint;
        self.shape.get_or_init(|| {
            let read = match self.trip.asked {
                Asked::Json(fields) => shape::of_json(endpoint, fields),
                Asked::Form(form) => shape::of_form(endpoint, form),
                Asked::Raw(_) => Ok(shape::unmodelled(None)),
            };
            // What is wrong with it is told when a target is tried.
            read.unwrap_or_default()
        })
    }

    fn field(&self, field: &str) -> Option<String> {
        let (kind, name) = field.split_once('.')?;
        match kind {
            "metadata" => self.trip.caller.metadata.get(name).cloned(),
            "headers" => {
                let request = self.trip.request;
                let routing = header(request, name);
                let plain = request.plain_headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                routing.map(str::to_owned).or_else(|| plain.map(|(_, value)| value.to_owned()))
            }
            _ => {
                let mut parts = name.split('.');
                let mut value = self.trip.param(parts.next()?)?;
                for part in parts {
                    value = value.get_mut(part)?.take();
                }
                Some(value.to_string())
            }
        }
    }
}

impl Outlook for View<'_> {
    fn may_be_open(&self) -> bool {
        self.targets_break || self.providers_break
    }

    fn is_open(&self, leaf: &Node, target: &Target) -> bool {
        if !self.providers_break && leaf.breaker.is_none() {
            return false;
        }
        let (aim, now) = (self.aim(target), clock::uptime());
        if aim.provider.as_ref().is_some_and(|provider| provider.health().is_shut(now)) {
            return true;
        }
        let breakers = &self.trip.gateway.breakers;
        leaf.breaker.is_some()
            && breakers.find(self.author(), &target.path, &aim.slug).is_some_and(|seat| seat.is_open(now))
    }

    fn has_room(&self, target: &Target) -> bool {
        let now = clock::uptime();
        self.aim(target).provider.is_none_or(|provider| provider.health().has_room(now))
    }

    fn latency(&self, target: &Target) -> Latency {
        let aim = self.aim(target);
        let Some(provider) = aim.provider else { return Latency::default() };
        let stream = self.shape().stream;
        let (micros, stale) = provider.health().latency(&aim.model, stream, clock::uptime());
        Latency { micros, stale }
    }

    fn cost(&self, target: &Target) -> Option<u64> {
        let aim = self.aim(target);
        let price = self.trip.gateway.prices.price(aim.provider.as_ref()?, &aim.model)?;
        let request = self.trip.request;
        let shape = self.shape();
        let usage = if request.endpoint.wire().is_some() {
            let output = shape.max_tokens.unwrap_or(USUAL_OUTPUT).saturating_mul(shape.n.max(1));
            Usage { input: length(request) / BYTES_PER_TOKEN, output, ..Usage::default() }
        } else if shape.quantities == money::Quantities::default() {
            Usage { input: length(request) / BYTES_PER_TOKEN, ..Usage::default() }
        } else {
            Usage::default()
        };
        u64::try_from(money::cost(&price, &usage, &shape.quantities).as_i64()).ok()
    }

    fn in_flight(&self, target: &Target) -> u32 {
        self.aim(target).provider.map_or(0, |provider| provider.health().in_flight())
    }

    fn caller(&self, sticky: &Sticky, path: &str) -> u64 {
        let mut who = self.trip.caller.record.id.clone().into_bytes();
        // A changed text of a saved config is still that config: other weights move as few callers as they must.
        match &self.author().saved {
            Some(id) => part(&mut who, id),
            None => part(&mut who, &self.digest.to_string()),
        }
        part(&mut who, path);
        for field in &sticky.hash_fields {
            part(&mut who, field);
            if let Some(value) = self.field(field) {
                part(&mut who, &value);
            }
        }
        sticky::number(&who, sticky.ttl, clock::unix())
    }

    fn enter(&self, leaf: &Node, target: &Target, forced: bool) -> bool {
        let Some(breaker) = &leaf.breaker else {
            self.entered.replace(None);
            // A provider that is shut refuses by itself; here it is passed over before anything is read or judged.
            return forced || !self.providers_break || !self.is_open(leaf, target);
        };
        if !forced && self.is_open(leaf, target) {
            return false;
        }
        let aim = self.aim(target);
        let seat = self.trip.gateway.breakers.seat(self.author(), &target.path, &aim.slug, breaker);
        let entry = seat.enter(clock::uptime(), forced);
        let entered = entry.is_some();
        self.entered.replace(entered.then_some((seat, entry)));
        entered
    }
}

/// Adds a part that can't be mistaken for another division of the same letters.
fn part(who: &mut Vec<u8>, text: &str) {
    who.extend(text.len().to_le_bytes());
    who.extend(text.as_bytes());
}

fn length(request: &Request) -> u64 {
    match &request.body {
        super::Body::Json(bytes) | super::Body::Form { bytes, .. } => bytes.len() as u64,
        super::Body::Upload(_) => 0,
    }
}

/// Returns whose a request's config is. Inline ones are their key's alone; and a key that may bring its own vendor
/// credentials or hosts has breakers of its own also in saved ones, so that what it brings can't shut out others.
fn author(trip: &Trip<'_>, digest: u64) -> Author {
    let record = &trip.caller.record;
    let inline = is_inline(trip.request);
    let header = header(trip.request, "x-portkey-config");
    let saved = header.or(record.config.as_deref()).filter(|_| !inline);
    let own = saved.is_none() || record.header_credentials;
    Author {
        saved: saved
            .map(|id| if id.starts_with(['{', '[']) { "the key's own".to_owned() } else { id.to_owned() }),
        key: own.then(|| record.id.clone()),
        digest,
    }
}

/// Returns whether the client wrote the config itself.
fn is_inline(request: &Request) -> bool {
    header(request, "x-portkey-config").is_some_and(|text| text.starts_with(['{', '[']))
}

/// Returns whether running out of time is the vendor's fault, towards the target's breaker and the provider's: how long a
/// client cares to wait says little of the vendor, and must not shut it out for others.
pub(super) fn timeouts_count(request: &Request, route: &Route) -> (bool, bool) {
    match route.timeout_from {
        TimeoutFrom::Settings => (true, true),
        TimeoutFrom::Config => (true, !is_inline(request)),
        TimeoutFrom::Header => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let joined = |parts: &[&str]| {
            let mut who = Vec::new();
            parts.iter().for_each(|text| part(&mut who, text));
            who
        };
        assert_ne!(joined(&["ab", "c"]), joined(&["a", "bc"]));
        assert_ne!(joined(&["a", ""]), joined(&["a"]));
    }
}
