//! Headers, config and model name → the one target of a request.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_config::{ConfigError, Plan, Target, Timeouts};
use tidegate_providers::Credential;
use tidegate_store::{KeyRecord, ModelRecord, ProviderRecord};

use super::aim::model_of;
use super::origin::{check_guardrails, in_portkeys_words};
use super::request::Request;
use super::{forward, hosts, inline};
use crate::actors::provider::ProviderHandle;
use crate::error::{ErrorKind, FailureWords, GatewayError};
use crate::gateway::Gateway;

/// Characters of an unknown config's id that a refusal shows.
const MOST_SHOWN: usize = 64;

/// Where an attempt goes.
pub(super) struct Route {
    /// The provider.
    pub provider: Arc<ProviderHandle>,
    /// Vendor's model name; empty when the request names none.
    pub model: String,
    /// Time to the head of the answer, where the header says one.
    pub header_timeout: Option<Duration>,
    /// The same, where the config says it in Portkey's words.
    pub request_timeout: Option<Duration>,
    /// What else the config says of times.
    pub timeouts: Timeouts,
    /// Who says it.
    pub timeout_from: TimeoutFrom,
    /// Portkey's `strict_open_ai_compliance`.
    pub strict: bool,
    /// Place of the target in the config.
    pub option_index: String,
    /// Whether the target changes the body.
    pub changes_body: bool,
    /// A custom host that a stored credential may be sent to.
    pub host: Option<String>,
    /// The client's headers that go on to the vendor.
    pub forwarded: HeaderMap,
}

impl Route {
    /// Returns the provider's credential, with the custom host in it.
    #[must_use]
    pub(super) fn credential(&self) -> Cow<'_, Credential> {
        let (stored, own) = (self.provider.credential(), self.of_model());
        if self.host.is_none() && own.is_none() {
            return Cow::Borrowed(stored);
        }
        let mut credential = Credential::clone(stored);
        if let Some(own) = own {
            credential.options.extend(own.options.clone());
        }
        let host = self.host.as_ref().or_else(|| own?.base_url.as_ref());
        if let Some(host) = host {
            credential.base_url = Some(host.trim_end_matches('/').to_owned());
        }
        Cow::Owned(credential)
    }

    /// Returns whether nothing but the provider's own record says where its requests go and what their headers say.
    #[must_use]
    pub(super) fn is_plain(&self) -> bool {
        self.host.is_none() && self.forwarded.is_empty() && self.of_model().is_none()
    }

    /// Returns what holds for the model alone.
    fn of_model(&self) -> Option<&ModelRecord> {
        self.provider.record().by_model.get(&self.model)
    }

    /// Returns whether private addresses may be called.
    #[must_use]
    pub(super) fn is_trusted(&self) -> bool {
        match self.of_model().filter(|own| own.base_url.is_some() && self.host.is_none()) {
            Some(own) => own.trusted,
            None => self.provider.record().trusted || self.host.is_some(),
        }
    }

    /// Puts headers of the client, of the vendor and of the operator into a request. No client replaces a credential;
    /// the operator, whose it is, may.
    pub(super) fn put_headers(&self, headers: &mut HeaderMap, own: Vec<(HeaderName, HeaderValue)>) {
        headers.extend(self.forwarded.clone());
        for (name, _) in &own {
            headers.remove(name);
        }
        for (name, value) in own {
            headers.append(name, value);
        }
        let record = self.provider.record();
        let of_model = self.of_model().map(|own| &own.headers);
        for (name, value) in [Some(&record.headers), of_model].into_iter().flatten().flatten() {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
    }
}

/// Who says how long to wait for a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeoutFrom {
    /// The operator's settings.
    Settings,
    /// The config.
    Config,
    /// The client, for one request.
    Header,
}

/// Finds the plan of a request: its header's config, else its key's, else one bare target. Slugs that nobody knows
/// are refused here, all at once, not when the walk comes to them.
///
/// # Errors
/// 400 with the place in the config.
pub(super) fn plan(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    body_model: Option<&str>,
) -> Result<Arc<Plan>, GatewayError> {
    let header = header(request, "x-portkey-config");
    let of_workspace =
        if header.or(key.config.as_deref()).is_none() { gateway.default_config(key) } else { None };
    let wanted = header.or(key.config.as_deref()).or(of_workspace.as_deref());
    let Some(wanted) = wanted else { return Ok(gateway.plans.bare()) };
    // Naming the key's own config takes nothing away from it.
    if !key.allow_config_override && header.is_some_and(|header| key.config.as_deref() != Some(header)) {
        return Err(invalid("x-portkey-config", "Cannot override default config set for this API key."));
    }
    let is_text = wanted.trim_start().starts_with(['{', '[']);
    if is_text && header.is_some_and(|header| key.config.as_deref() != Some(header)) {
        inline::check_config(gateway, key)?;
    }
    let settings = gateway.settings();
    let read = if let Some(declared) = settings.configs.get(wanted) {
        gateway.plans.saved(declared)
    } else if let Some(saved) = (!is_text).then(|| gateway.config_for(key, wanted)).flatten() {
        saved.plan.clone()
    } else if !is_text {
        if wanted.starts_with("pc-") {
            return Err(invalid("x-portkey-config", &format!("Following keys are not valid: {wanted}")));
        }
        let words = "Invalid config passed. You need to pass a valid json";
        let shown: String = wanted.chars().take(MOST_SHOWN).collect();
        let message = format!("{words}, or the id of a config; there is none \"{shown}\"");
        return Err(invalid("x-portkey-config", &message).said_as(words));
    } else if header.is_none() {
        gateway.plans.saved(wanted)
    } else {
        gateway.plans.inline(wanted)
    };
    let plan = read.map_err(|error| bad_config(&error))?;
    check_guardrails(gateway, key, &plan)?;
    check_slugs(gateway, key, request, &plan, body_model)?;
    Ok(plan)
}

/// Makes the 400 of a config: a sentence with the place and what is accepted, beside Portkey's own words.
fn bad_config(error: &ConfigError) -> GatewayError {
    if error.path.is_empty() && error.message.starts_with("not JSON") {
        return invalid("x-portkey-config", "Invalid config passed. You need to pass a valid json");
    }
    let own =
        ["in the query router", "Please migrate to the latest version", "forward_headers must not contain"];
    let failure = if own.iter().any(|words| error.message.contains(words)) {
        // What is accepted stands in brackets behind Portkey's sentence.
        let message = error.message.split(" (").next().unwrap_or_default().to_owned();
        FailureWords { message, errors: Vec::new() }
    } else {
        let path = error.path.replace(['[', '.'], ",").replace(']', "");
        let errors = vec![format!("path: {path}, message: {}", error.message)];
        FailureWords { message: "Invalid config passed".to_owned(), errors }
    };
    let mut refused = invalid("x-portkey-config", &format!("Invalid config passed: {error}"));
    refused.failure = Some(Box::new(failure));
    refused
}

/// Checks that every target of several names a provider that exists.
fn check_slugs(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    plan: &Plan,
    body_model: Option<&str>,
) -> Result<(), GatewayError> {
    let targets = plan.targets();
    if targets.len() < 2 {
        // The only one is resolved next, and says the same.
        return Ok(());
    }
    let mut unknown: Vec<String> = Vec::new();
    for target in targets {
        let Named { provider, virtual_key, .. } = named(target, request);
        let slug = slug_of(provider, virtual_key, split_model(model_of(target, body_model)).0);
        if let Some(slug) = slug.filter(|slug| gateway.provider_for(key, slug).is_none())
            && !unknown.iter().any(|known| known == slug)
        {
            unknown.push(slug.to_owned());
        }
    }
    if unknown.is_empty() { Ok(()) } else { Err(unknown_slug(gateway, key, &unknown.join(", "))) }
}

/// Who is named by a target, or by the headers where the target names nobody.
pub(super) struct Named<'a> {
    pub(super) provider: Option<&'a str>,
    pub(super) virtual_key: Option<&'a str>,
    /// Whether the client's own vendor key is meant for it.
    pub(super) takes_key: bool,
}

pub(super) fn named<'a>(target: &'a Target, request: &'a Request) -> Named<'a> {
    if target.provider.is_some() || target.virtual_key.is_some() {
        return Named {
            provider: target.provider.as_deref(),
            virtual_key: target.virtual_key.as_deref(),
            // One of several targets: the client's key is for one vendor, and nobody knows for which.
            takes_key: target.path == "config",
        };
    }
    Named {
        provider: header(request, "x-portkey-provider"),
        virtual_key: header(request, "x-portkey-virtual-key"),
        takes_key: true,
    }
}

/// Returns the slug that is named: `provider: "@slug"`, then `virtual_key`, then the model's.
pub(super) fn slug_of<'a>(
    provider: Option<&'a str>,
    virtual_key: Option<&'a str>,
    model: Option<&'a str>,
) -> Option<&'a str> {
    match (provider, virtual_key) {
        (Some(provider), _) if provider.starts_with('@') => provider.strip_prefix('@'),
        (_, Some(virtual_key)) => Some(virtual_key.strip_prefix('@').unwrap_or(virtual_key)),
        (Some(_), None) => None,
        (None, None) => model,
    }
}

/// Returns a routing header that says something. The name is in lower case. What it says need not be ASCII: a header that
/// is not read would be a guardrail that does not judge.
pub(super) fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    // Most clients send none, others one or two: those are looked at, where the map would parse and hash the name first.
    let (_, value) = request.headers.iter().find(|(known, _)| known.as_str() == name)?;
    std::str::from_utf8(value.as_bytes()).ok().map(str::trim).filter(|text| !text.is_empty())
}

/// Resolves a target. Portkey's order: config target, then headers, then the model's slug; see the product's header
/// table. `model` is the body's, as the target leaves it.
///
/// # Errors
/// 400 naming the header or member at fault.
pub(super) fn resolve(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    target: &Target,
    model: Option<&str>,
) -> Result<Route, GatewayError> {
    inline::check_host(gateway, key, request)?;
    let named = named(target, request);
    let strict_header = header(request, "x-portkey-strict-open-ai-compliance");
    let strict = target.strict_open_ai_compliance != Some(false) && strict_header != Some("false");
    let header_timeout = match header(request, "x-portkey-request-timeout") {
        Some(text) => match text.parse() {
            Ok(ms) if ms > 0 => Some(ms),
            _ => {
                return Err(invalid(
                    "x-portkey-request-timeout",
                    "a positive number of milliseconds is expected",
                ));
            }
        },
        None => None,
    };
    let configured = target.request_timeout.is_some() || target.timeouts != Timeouts::default();
    let timeout_from = match (header_timeout, configured) {
        (Some(_), _) => TimeoutFrom::Header,
        (None, true) => TimeoutFrom::Config,
        (None, false) => TimeoutFrom::Settings,
    };
    let wanted = model;
    let (slug, model) = split_model(wanted);
    let (provider, is_guest) = match (slug_of(named.provider, named.virtual_key, slug), named.provider) {
        (Some(slug), _) => {
            (gateway.provider_for(key, slug).ok_or_else(|| unknown_slug(gateway, key, slug))?, false)
        }
        (None, Some(vendor)) => by_vendor(gateway, key, request, target, (vendor, named.takes_key))?,
        (None, None) => {
            let only = only_provider(gateway, key, request, wanted);
            (only.map_err(|error| in_portkeys_words(error, request))?, false)
        }
    };
    // A guest's own address is its record's already.
    let host = if is_guest { None } else { hosts::of_stored(gateway, &provider, request, target)? };
    let in_path = || request.proxy.as_ref()?.path_model();
    Ok(Route {
        provider,
        model: model.map(str::to_owned).or_else(in_path).unwrap_or_default(),
        host,
        forwarded: forward::chosen(request, target)?,
        header_timeout: header_timeout.map(Duration::from_millis),
        request_timeout: target.request_timeout.map(Duration::from_millis),
        timeouts: target.timeouts,
        timeout_from,
        strict,
        option_index: target.path.clone(),
        changes_body: !(target.default_params.is_empty()
            && target.override_params.is_empty()
            && target.drop_params.is_empty()),
    })
}

/// Splits `@slug/model` at the first slash. Workers AI's `@cf/…` and `@hf/…` are model names of their own.
#[must_use]
pub fn split_model(model: Option<&str>) -> (Option<&str>, Option<&str>) {
    let Some(model) = model else { return (None, None) };
    match model.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((slug, _)) if slug == "cf" || slug == "hf" => (None, Some(model)),
        Some((slug, rest)) => (Some(slug), Some(rest)),
        None => (None, Some(model)),
    }
}

/// A vendor's name in place of a slug: the client's own credentials if it may bring some, else the provider that is
/// named like its vendor.
fn by_vendor(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    target: &Target,
    (vendor, takes_key): (&str, bool),
) -> Result<(Arc<ProviderHandle>, bool), GatewayError> {
    let Some(dialect) = tidegate_providers::registry::find(vendor) else {
        if let Some(provider) = gateway.provider_for(key, vendor) {
            return Ok((provider, false));
        }
        return Err(invalid("x-portkey-provider", "Invalid provider passed"));
    };
    let api_key = target
        .api_key
        .as_ref()
        .map(|key| key.expose().to_owned())
        .or_else(|| request.vendor_key.clone().filter(|_| takes_key));
    let host = hosts::wanted(request, target).map(str::to_owned);
    if api_key.is_none() && host.is_none() {
        return match gateway.provider_for(key, vendor) {
            Some(provider) => Ok((provider, false)),
            None => Err(invalid(
                "x-portkey-provider",
                &format!(
                    "no provider is named {vendor}; use its slug, or a key that may bring its own credentials"
                ),
            )),
        };
    }
    inline::check_vendor(gateway, key, target)?;
    if !key.header_credentials {
        return Err(GatewayError::new(
            ErrorKind::Scope,
            "this API key may not bring its own vendor credentials (header_credentials)",
        ));
    }
    let trusted = match &host {
        Some(host) => hosts::of_guest(gateway, request, target, host)?,
        None => false,
    };
    let own = target.options.iter();
    let mut options: std::collections::BTreeMap<String, String> =
        own.map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    // Like the key: a target of several names its vendor's own.
    for (name, value) in request.headers.iter().filter(|_| takes_key) {
        let value = std::str::from_utf8(value.as_bytes());
        if let (Some(name), Ok(value)) = (name.as_str().strip_prefix("x-portkey-"), value) {
            options.entry(name.replace('-', "_")).or_insert_with(|| value.to_owned());
        }
    }
    let record =
        ProviderRecord { base_url: host, trusted, api_key, options, ..ProviderRecord::named(vendor, vendor) };
    // A guest has no limits of its own, so its actor lives as long as the request.
    Ok((ProviderHandle::start(record, dialect, &gateway.shards), true))
}

fn only_provider(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    model: Option<&str>,
) -> Result<Arc<ProviderHandle>, GatewayError> {
    let mut providers = gateway.providers_for(key);
    match (providers.len(), model) {
        (1, _) => Ok(providers.remove(0)),
        (0, _) => Err(invalid("model", "no provider is set up; set OPENAI_API_KEY or add a [[provider]]")),
        (_, Some(model)) => Err(invalid(
            "model",
            &format!(
                "model \"{model}\" names no provider; write @provider/{model} with one of: {}",
                slugs(gateway, key)
            ),
        )),
        (_, None) if request.proxy.is_some() => Err(invalid(
            "x-portkey-provider",
            &format!(
                "the header x-portkey-provider is missing; it names the provider that is asked, one of: {}",
                slugs(gateway, key)
            ),
        )),
        (_, None) => Err(invalid("model", "model is missing; a string like \"@provider/model\" is expected")),
    }
}

fn unknown_slug(gateway: &Gateway, key: &KeyRecord, slug: &str) -> GatewayError {
    let message = format!("Following keys are not valid: {slug}");
    invalid("model", &format!("{message} (providers: {})", slugs(gateway, key))).said_as(message)
}

/// Lists the providers that a key may use, and no others: slugs tell who buys where.
fn slugs(gateway: &Gateway, key: &KeyRecord) -> String {
    let may_use = |slug: &str| {
        key.models.is_empty()
            || key.models.iter().any(|pattern| {
                let named = pattern.strip_prefix('@').map(|rest| rest.split('/').next().unwrap_or(rest));
                named.is_none_or(|named| named == slug)
            })
    };
    let all: Vec<String> = gateway
        .providers_for(key)
        .iter()
        .filter(|provider| may_use(&provider.record().slug))
        .map(|provider| format!("@{}", provider.record().slug))
        .collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

pub(super) fn invalid(param: &str, message: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, message).at(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_split_at_the_first_slash() {
        assert_eq!(split_model(Some("@a/b/c")), (Some("a"), Some("b/c")));
        assert_eq!(split_model(Some("gpt-4o")), (None, Some("gpt-4o")));
        assert_eq!(split_model(Some("@cf/meta/llama")), (None, Some("@cf/meta/llama")));
        assert_eq!(split_model(None), (None, None));
    }

    #[test]
    fn a_bad_config_is_told_in_portkeys_words_and_ours() {
        for (config, message, errors) in [
            (r#"{"strategy":{"mode":"x"}}"#, "Invalid config passed", "path: strategy,mode, message: "),
            (
                r#"{"targets":[{"provider":1}]}"#,
                "Invalid config passed",
                "path: targets,0,provider, message: ",
            ),
            (
                r#"{"strategy":{"mode":"conditional","conditions":[],"default":"zz"},"targets":[{}]}"#,
                "Invalid target name found in the query router: zz",
                "",
            ),
            (
                r#"{"strategy":{"mode":"conditional","conditions":[{"query":{"params.x":{"$foo":1}},"then":"a"}]},"targets":[{"name":"a"}]}"#,
                "Unsupported operator used in the query router: $foo",
                "",
            ),
            (
                r#"{"strategy":{"mode":"conditional"},"targets":[{}]}"#,
                "No conditions passed in the query router",
                "",
            ),
        ] {
            let error = bad_config(&Plan::parse(config).unwrap_err());
            let words = error.failure.unwrap();
            assert_eq!(words.message, message);
            assert!(words.errors.concat().starts_with(errors), "{:?}", words.errors);
            assert!(error.message.starts_with("Invalid config passed: "), "{}", error.message);
        }
    }
}
