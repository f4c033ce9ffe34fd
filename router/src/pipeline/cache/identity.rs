//! What makes a request the same as another, and whose it is.
//!
//! Too much in the key costs hits, too little leaks answers: what is not known to be without effect is in it. The vendor's
//! URL and headers stand for provider, credential and whatever of the client's headers reaches the vendor; the client's
//! final body and the dialect stand for everything that is said and how it is answered.

use serde_json::Value;
use tidegate_config::Target;
use tidegate_providers::Fields;

use super::wish::namespace;
use crate::cache::{Digest, Digester, Key};
use crate::pipeline::encode::{Payload, encode};
use crate::pipeline::guard::Guards;
use crate::pipeline::request::Request;
use crate::pipeline::resolve::{Route, header};
use crate::pipeline::shape::Shape;
use crate::settings::CacheScope;
use crate::upstream::Envelope;
use tidegate_store::KeyRecord;

/// Returns the tenant of a request. All keys of a gateway are one workspace's one day; until then each is its own.
pub(super) fn tenant(scope: CacheScope, key: &KeyRecord) -> [u8; 8] {
    let mut digester = Digester::new("tenant");
    match scope {
        CacheScope::Key => {
            digester.part("key", key.id.as_bytes());
            // A declared key keeps its id when its text is changed, maybe for somebody else.
            digester.part("mask", key.mask.as_bytes());
        }
        CacheScope::Gateway => digester.part("gateway", b""),
    }
    let mut tenant = [0; 8];
    tenant.copy_from_slice(&digester.finish()[..8]);
    tenant
}

/// A request about to be made.
pub(super) struct Identity<'a> {
    pub(super) tenant: [u8; 8],
    pub(super) request: &'a Request,
    pub(super) target: &'a Target,
    pub(super) route: &'a Route,
    pub(super) shape: &'a Shape,
    pub(super) fields: &'a Fields<'a>,
    pub(super) guards: Option<&'a Guards>,
}

impl Identity<'_> {
    /// Returns the digest of everything but the body; `None` where the request can't be made, or not be told from
    /// others.
    pub(super) fn frame(&self) -> Option<Digester> {
        let Self { request, target, route, shape, fields, .. } = self;
        let vendor = route.provider.vendor();
        let lane = vendor.lane(request.endpoint, &route.model)?;
        let payload = Payload::Json(fields);
        // What can't be said to the vendor is refused by the attempt.
        let outgoing =
            encode(route, request.endpoint, lane, shape.stream, None, &payload, &request.headers).ok()?.call;
        let mut digester = Digester::new("request");
        // Another version may translate otherwise.
        digester.part("version", env!("CARGO_PKG_VERSION").as_bytes());
        digester.part("tenant", &self.tenant);
        digester.part("endpoint", request.endpoint.path().as_bytes());
        digester.part("dialect", format!("{:?}", request.dialect).as_bytes());
        let flags = [shape.stream, shape.include_usage, route.strict, route.provider.record().trusted];
        digester.part("flags", &flags.map(u8::from));
        digester.part("provider", route.provider.place().as_bytes());
        digester.part("vendor", vendor.slug().as_bytes());
        digester.part("model", route.model.as_bytes());
        upstream(&mut digester, &outgoing.envelope);
        self.forwarded(&mut digester);
        match namespace(request) {
            Some(namespace) => digester.part("namespace", namespace.as_bytes()),
            None => {
                let sent = request.headers.get("x-portkey-metadata").map(http::HeaderValue::as_bytes);
                digester.part("metadata", sent.unwrap_or_default());
            }
        }
        match (self.guards, target.hooks.is_empty()) {
            (Some(guards), _) => guards.digest(&mut digester),
            (None, true) => digester.part("unguarded", b""),
            // Its guards were passed over, because the key will be refused or for a plugin's own call.
            (None, false) => return None,
        }
        Some(digester)
    }

    /// Adds headers of the client that the config passes on.
    fn forwarded(&self, digester: &mut Digester) {
        let asked = header(self.request, "x-portkey-forward-headers");
        let asked =
            asked.into_iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_ascii_lowercase());
        for name in asked.chain(self.target.forward_headers.iter().cloned()) {
            let plain = self.request.plain_headers.iter().filter(|(own, _)| *own == name);
            let routing = self.request.headers.get(&name).map(http::HeaderValue::as_bytes);
            for value in plain.map(|(_, value)| value.as_bytes()).chain(routing) {
                digester.part("forwarded", name.as_bytes());
                digester.part("value", value);
            }
        }
    }

    /// Returns the key of the request.
    pub(super) fn key(&self, frame: &Digester) -> Option<Key> {
        let mut digester = frame.clone();
        body(&mut digester, self.fields)?;
        Some(Key { tenant: self.tenant, digest: digester.finish() })
    }

    /// Returns the digest of a request whose compared text is taken out of its body, for vectors of a model.
    pub(super) fn partition(&self, frame: &Digester, rest: &Fields<'_>, model: &str) -> Option<Digest> {
        let mut digester = frame.clone();
        digester.part("partition", model.as_bytes());
        body(&mut digester, rest)?;
        Some(digester.finish())
    }
}

/// Adds where a request goes and as whom.
fn upstream(digester: &mut Digester, envelope: &Envelope) {
    digester.part("url", envelope.url().to_string().as_bytes());
    let mut headers: Vec<(&str, &[u8])> = envelope.headers().collect();
    headers.sort_unstable();
    for (name, value) in headers {
        digester.part("header", name.as_bytes());
        digester.part("value", value);
    }
}

/// Adds a body, its members in the order of their names.
fn body(digester: &mut Digester, fields: &Fields<'_>) -> Option<()> {
    let mut names: Vec<&str> = fields.names().collect();
    names.sort_unstable();
    for name in names {
        let raw = fields.raw(name)?;
        if raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            // As written: two large numbers may be one as doubles.
            digester.part(name, raw.as_bytes());
        } else {
            let value: Value = serde_json::from_str(raw).ok()?;
            digester.json(name, &value);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Digest {
        let mut digester = Digester::new("test");
        body(&mut digester, &Fields::parse(json.as_bytes()).unwrap()).unwrap();
        digester.finish()
    }

    #[test]
    fn the_order_of_members_makes_no_difference() {
        assert_eq!(
            of(r#"{"model":"a","messages":[{"role":"user","content":"x"}],"n":1}"#),
            of(r#"{ "n":1, "messages": [{"content":"x", "role":"user"}], "model":"a" }"#)
        );
    }

    #[test]
    fn every_member_makes_a_difference() {
        let all = [
            "{}",
            r#"{"n":1}"#,
            r#"{"n":1.0}"#,
            r#"{"seed":18446744073709551617}"#,
            r#"{"seed":18446744073709551618}"#,
            r#"{"a":"1"}"#,
            r#"{"messages":[{"role":"user","content":"x"},{"role":"user","content":"y"}]}"#,
            r#"{"messages":[{"role":"user","content":"y"},{"role":"user","content":"x"}]}"#,
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }
}
