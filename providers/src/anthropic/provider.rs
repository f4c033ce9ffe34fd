//! Anthropic as a vendor: places, credential, headers.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::compatible::http_url;
use crate::error::InvalidCall;
use crate::fields::Fields;
use crate::provider::{Credential, Destination, Endpoint, Lane, Provider, Wire};

const BASE: &str = "https://api.anthropic.com/v1";

/// Sent when nobody names a version. Translated calls may hold a temperature, which 2026-10-21 refuses, so the
/// older version stays the default until callers say otherwise.
const VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

const API_KEY_HEADER: HeaderName = HeaderName::from_static("x-api-key");
const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");
const BETA_HEADER: HeaderName = HeaderName::from_static("anthropic-beta");

/// OAuth tokens start with this and go where bearer tokens go; API keys start with `sk-ant-api`.
const OAUTH_PREFIX: &str = "sk-ant-oat";

/// Anthropic.
///
/// ```
/// use tidegate_providers::{Endpoint, Lane, Provider, Wire, anthropic::Anthropic};
///
/// let lane = Anthropic.lane(Endpoint::Chat, "claude-opus-5");
/// assert!(matches!(lane, Some(Lane::Translate(Wire::Messages))));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

impl Provider for Anthropic {
    fn slug(&self) -> &'static str {
        "anthropic"
    }

    fn default_base(&self) -> Option<&'static str> {
        Some(BASE)
    }

    fn key_variables(&self) -> &'static [&'static str] {
        &["ANTHROPIC_API_KEY"]
    }

    fn options(&self) -> Vec<Cow<'static, str>> {
        vec!["anthropic_version".into(), "anthropic_beta".into()]
    }

    fn lane(&self, endpoint: Endpoint, _model: &str) -> Option<Lane> {
        match endpoint {
            Endpoint::Messages | Endpoint::CountTokens => Some(Lane::Native),
            Endpoint::Chat | Endpoint::Responses | Endpoint::Completions => {
                Some(Lane::Translate(Wire::Messages))
            }
            _ => None,
        }
    }

    fn url(&self, credential: &Credential, to: &Destination<'_>) -> Result<String, InvalidCall> {
        let path = match to.lane {
            Lane::Native => to.endpoint.path(),
            Lane::Translate(_) | Lane::Exchange(_) => Endpoint::Messages.path(),
        };
        Ok(format!("{}{path}", base(credential)?))
    }

    fn base(&self, credential: &Credential) -> Result<String, InvalidCall> {
        base(credential).map(str::to_owned)
    }

    fn models_url(&self, credential: &Credential) -> Option<String> {
        // 1000 is the longest page, so one answer lists all.
        base(credential).ok().map(|base| format!("{base}/models?limit=1000"))
    }

    fn headers(
        &self,
        credential: &Credential,
        inbound: &HeaderMap,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidCall> {
        let Some(key) = credential.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty()) else {
            return Err(InvalidCall::at("api_key", "Anthropic needs an API key"));
        };
        let (name, key) = if key.starts_with(OAUTH_PREFIX) {
            (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}")))
        } else {
            (API_KEY_HEADER, HeaderValue::from_str(key))
        };
        let Ok(mut key) = key else {
            return Err(InvalidCall::at("api_key", "the API key holds characters that no header may have"));
        };
        key.set_sensitive(true);

        let mut headers = vec![(name, key), (VERSION_HEADER, version(credential, inbound)?)];
        headers.extend(betas(credential, inbound)?.into_iter().map(|beta| (BETA_HEADER, beta)));
        Ok(headers)
    }

    fn adapt(&self, to: &Destination<'_>, body: &mut Fields<'_>) {
        // Callers count with the body they would send; the counting endpoint refuses what only sending needs.
        if to.endpoint == Endpoint::CountTokens {
            body.remove("max_tokens");
            body.remove("stream");
        }
    }
}

fn base(credential: &Credential) -> Result<&str, InvalidCall> {
    credential.base_url.as_deref().map_or(Ok(BASE), |url| http_url(url, "base_url"))
}

fn version(credential: &Credential, inbound: &HeaderMap) -> Result<HeaderValue, InvalidCall> {
    match (inbound.get(VERSION_HEADER), credential.option("anthropic_version")) {
        (Some(version), _) => Ok(version.clone()),
        (None, Some(version)) => header_value("anthropic_version", version),
        (None, None) => Ok(VERSION),
    }
}

/// Returns the beta headers: all of the client's, or the one that the configuration names.
fn betas(credential: &Credential, inbound: &HeaderMap) -> Result<Vec<HeaderValue>, InvalidCall> {
    for name in ["anthropic-beta", "x-portkey-anthropic-beta"] {
        let named: Vec<HeaderValue> = inbound.get_all(name).iter().cloned().collect();
        if !named.is_empty() {
            return Ok(named);
        }
    }
    match credential.option("anthropic_beta").filter(|beta| !beta.is_empty()) {
        Some(beta) => Ok(vec![header_value("anthropic_beta", beta)?]),
        None => Ok(Vec::new()),
    }
}

fn header_value(option: &str, value: &str) -> Result<HeaderValue, InvalidCall> {
    HeaderValue::from_str(value)
        .map_err(|_| InvalidCall::at(option, format!("`{option}` holds characters that no header may have")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(key: &str) -> Credential {
        Credential { api_key: Some(key.into()), ..Credential::default() }
    }

    fn headers(credential: &Credential, inbound: &HeaderMap) -> Vec<(String, String)> {
        let headers = Anthropic.headers(credential, inbound).unwrap();
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn translated_calls_go_to_messages() {
        let mut credential = credential("k");
        let to = |endpoint| {
            let lane = Anthropic.lane(endpoint, "m").unwrap();
            Destination { endpoint, lane, model: "m", stream: false }
        };
        let url = |credential: &Credential, endpoint| Anthropic.url(credential, &to(endpoint)).unwrap();
        assert_eq!(url(&credential, Endpoint::Chat), "https://api.anthropic.com/v1/messages");
        let count = url(&credential, Endpoint::CountTokens);
        assert_eq!(count, "https://api.anthropic.com/v1/messages/count_tokens");
        credential.base_url = Some("http://localhost:9/v1/".into());
        assert_eq!(url(&credential, Endpoint::Messages), "http://localhost:9/v1/messages");
        assert!(Anthropic.lane(Endpoint::Embeddings, "m").is_none());
    }

    #[test]
    fn the_key_decides_its_header() {
        let none = HeaderMap::new();
        let version = ("anthropic-version", "2023-06-01");
        assert_eq!(
            headers(&credential("sk-ant-api03-x"), &none),
            pairs(&[("x-api-key", "sk-ant-api03-x"), version])
        );
        let token = headers(&credential("sk-ant-oat01-x"), &none);
        assert_eq!(token, pairs(&[("authorization", "Bearer sk-ant-oat01-x"), version]));
        assert!(Anthropic.headers(&Credential::default(), &none).is_err());
        assert!(Anthropic.headers(&credential("a\nb"), &none).is_err());
    }

    #[test]
    fn the_clients_version_and_betas_win_over_configuration() {
        let mut credential = credential("k");
        credential.options.insert("anthropic_version".into(), "v".into());
        credential.options.insert("anthropic_beta".into(), "b".into());
        let mut inbound = HeaderMap::new();
        let configured = pairs(&[("x-api-key", "k"), ("anthropic-version", "v"), ("anthropic-beta", "b")]);
        assert_eq!(headers(&credential, &inbound), configured);
        inbound.insert("anthropic-version", HeaderValue::from_static("2026-10-21"));
        inbound.append("anthropic-beta", HeaderValue::from_static("one"));
        inbound.append("anthropic-beta", HeaderValue::from_static("two,three"));
        let sent = [
            ("x-api-key", "k"),
            ("anthropic-version", "2026-10-21"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two,three"),
        ];
        assert_eq!(headers(&credential, &inbound), pairs(&sent));
    }

    #[test]
    fn counting_leaves_out_what_only_sending_needs() {
        let mut body = Fields::parse(br#"{"model":"m","max_tokens":5,"stream":true,"messages":[]}"#).unwrap();
        let endpoint = Endpoint::CountTokens;
        let to = Destination { endpoint, lane: Lane::Native, model: "m", stream: false };
        Anthropic.adapt(&to, &mut body);
        assert_eq!(body.to_vec(), br#"{"model":"m","messages":[]}"#);
    }
}
