//! Walks over a config: finds what it names, takes credentials out.

use serde_json::{Map, Value};

use super::input::Row;
use super::named::{self, Found, is_option, is_secret, snake};
use crate::draft::{Draft, Provider};
use crate::place::joined;
use crate::variables::{masked, upper};

/// Stands where a secret stood that has no other place.
const FILL_IN: &str = "FILL-IN";

/// What is known of credentials.
pub(super) struct Known<'a> {
    pub(super) credentials: &'a [Row],
    pub(super) integrations: &'a [Row],
}

impl Known<'_> {
    /// Returns the row of a slug, its integration's, and the vendor that either names.
    pub(super) fn find(&self, slug: &str) -> Found<'_> {
        let named =
            |row: &&Row, name: &str| row.text(&["slug"]) == Some(name) || row.text(&["id"]) == Some(name);
        let integration = |id: &str| self.integrations.iter().find(|row| named(row, id));
        let row = self.credentials.iter().find(|row| named(row, slug)).or_else(|| integration(slug));
        let integration = row.and_then(|row| integration(row.text(&["integration_id"])?));
        let names = ["provider", "ai_provider_name", "ai_provider_id"];
        let vendor = row.and_then(|row| row.text(&names)).or_else(|| integration?.text(&names));
        Found { row, integration, vendor }
    }

    fn provide(&self, slug: &str, path: &str, draft: &mut Draft) {
        named::provide(slug, &self.find(slug), path, draft);
    }
}

/// Walks over a node and below. `host` is the address it inherits.
pub(super) fn walk(node: &mut Value, path: &str, host: Option<&str>, known: &Known<'_>, draft: &mut Draft) {
    let Value::Object(members) = node else { return };
    let own_host = text(members, "custom_host");
    let host = own_host.as_deref().or(host);
    for params in ["override_params", "default_params"] {
        let model = get(members, params).and_then(|params| params.get("model")).and_then(Value::as_str);
        if let Some(slug) = model.and_then(slug_of) {
            known.provide(slug, &format!("{path}.{params}.model"), draft);
        }
    }
    if let Some(targets) = members.get_mut("targets").and_then(Value::as_array_mut) {
        for (at, target) in targets.iter_mut().enumerate() {
            walk(target, &format!("{path}.targets[{at}]"), host, known, draft);
        }
    } else {
        leaf(members, path, host, known, draft);
    }
    redact(node, path, draft);
}

fn leaf(
    members: &mut Map<String, Value>,
    path: &str,
    host: Option<&str>,
    known: &Known<'_>,
    draft: &mut Draft,
) {
    if let Some(slug) = text(members, "virtual_key") {
        known.provide(slug.strip_prefix('@').unwrap_or(&slug), &joined(path, "virtual_key"), draft);
    }
    let Some(provider) = text(members, "provider") else { return };
    if let Some(slug) = provider.strip_prefix('@') {
        known.provide(slug, &joined(path, "provider"), draft);
        return;
    }
    if text(members, "virtual_key").is_some() {
        return;
    }
    let brings = text(members, "api_key").is_some()
        || host.is_some()
        || members.iter().any(|(name, value)| is_option(&snake(name)) && !value.is_null());
    if !brings {
        if tidegate_providers::registry::find(&provider).is_some() {
            draft.note(
                joined(path, "provider"),
                format!(
                    "\"{provider}\" without a key means the client's Authorization with Portkey; here the provider of \
                     that name is used, or the client's key where a [[key]] has header_credentials = true"
                ),
            );
        }
        let found = Found { vendor: Some(&provider), ..known.find(&provider) };
        named::provide(&provider, &found, &joined(path, "provider"), draft);
        return;
    }
    inline(members, &provider, path, host, draft);
}

/// A target that brings its own credential: it becomes a provider, and the target names that.
fn inline(members: &mut Map<String, Value>, vendor: &str, path: &str, host: Option<&str>, draft: &mut Draft) {
    if tidegate_providers::registry::find(vendor).is_none() {
        draft.note(
            joined(path, "provider"),
            format!(
                "NOT CONVERTED: vendor \"{vendor}\" is not among the gateway's, so this target is refused"
            ),
        );
        return;
    }
    let mut provider = Provider { vendor: vendor.to_owned(), ..Provider::default() };
    named::read_options(members, path, &mut provider, draft);
    if let Some(host) = host.filter(|_| provider.base_url.is_none()) {
        named::set_base(&mut provider, host, &joined(path, "custom_host"), draft);
    }
    provider.api_key = Some(match text(members, "api_key") {
        Some(key) => {
            draft.variables.of_secret(&key, &format!("{}_API_KEY", upper(vendor)), &joined(path, "api_key"))
        }
        None => draft
            .variables
            .named(&format!("{}_API_KEY", upper(vendor)), &format!("{path}, the key of this target")),
    });
    let same = |known: &&Provider| Provider { slug: String::new(), ..(*known).clone() } == provider;
    let slug = match draft.providers.iter().find(same) {
        Some(known) => known.slug.clone(),
        None => {
            provider.slug = draft.free_slug(&format!("{vendor}-inline"));
            let slug = provider.slug.clone();
            draft.note(path, format!("its own credential became the provider @{slug}"));
            named::complete(&mut provider, path, draft);
            draft.providers.push(provider);
            slug
        }
    };
    let written: Vec<String> = members.keys().cloned().collect();
    for name in written {
        let plain = snake(&name);
        if plain == "api_key" || plain == "custom_host" || is_option(&plain) {
            members.shift_remove(&name);
        }
    }
    members.insert("provider".to_owned(), Value::from(format!("@{slug}")));
}

/// Takes out what is named like a secret and is one, wherever it is left.
pub(super) fn redact(value: &mut Value, path: &str, draft: &mut Draft) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                let at = joined(path, name);
                match value {
                    Value::String(text)
                        if (is_secret(name) || has_credentials(text) || is_masked(text, path))
                            && !text.is_empty()
                            && text != FILL_IN =>
                    {
                        let what = if is_masked(text, path) {
                            "a masked secret".to_owned()
                        } else {
                            format!("a secret in clear text ({})", masked(text))
                        };
                        draft.note(at, format!("{what} is not written; put it in yourself"));
                        *value = Value::from(FILL_IN);
                    }
                    _ => redact(value, &at, draft),
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                redact(item, &format!("{path}[{at}]"), draft);
            }
        }
        _ => {}
    }
}

/// Whether a text is a URL with a name or password in it.
fn has_credentials(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    scheme.len() < 16 && rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// Whether a text is what `tidegate export` shows in place of a secret. Of headers every value is one.
fn is_masked(text: &str, path: &str) -> bool {
    const MASK: &str = "*****";
    let Some((start, end)) = text.split_once(MASK) else { return false };
    let is_key = start.chars().count() == 5 && end.chars().count() == 3;
    is_key || text.contains("://") || (text == MASK && path.ends_with("headers"))
}

/// Returns a member of a snake-case name or its camel-case spelling.
fn get<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.iter().find(|(written, _)| snake(written) == name).map(|(_, value)| value)
}

fn text(members: &Map<String, Value>, name: &str) -> Option<String> {
    get(members, name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the slug of `@slug/model`. Workers AI's `@cf/…` and `@hf/…` are models.
fn slug_of(model: &str) -> Option<&str> {
    let (slug, _) = model.strip_prefix('@')?.split_once('/')?;
    (slug != "cf" && slug != "hf").then_some(slug)
}
