//! The vendor.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::place::{option, other_url, root, url};
use crate::compatible::openai_models::{NOT_AT_OPENAI, adapt_chat, adapt_image, adapt_responses};
use crate::compatible::{ask_for_usage, chat_body, edit_messages, header_value};
use crate::error::InvalidCall;
use crate::fields::Fields;
use crate::provider::{Credential, Destination, Endpoint, Lane, Provider, Wire};

/// Azure OpenAI.
#[derive(Clone, Copy, Debug, Default)]
pub struct Azure;

impl Provider for Azure {
    fn slug(&self) -> &'static str {
        "azure-openai"
    }

    fn default_base(&self) -> Option<&'static str> {
        None
    }

    fn key_variables(&self) -> &'static [&'static str] {
        &["AZURE_OPENAI_API_KEY"]
    }

    fn options(&self) -> Vec<Cow<'static, str>> {
        let own = ["azure_resource_name", "azure_deployment_id", "azure_api_version", "azure_ad_token"];
        own.iter().flat_map(|name| [(*name).into(), name.trim_start_matches("azure_").into()]).collect()
    }

    fn lane(&self, endpoint: Endpoint, _model: &str) -> Option<Lane> {
        match endpoint {
            Endpoint::Messages => Some(Lane::Translate(Wire::Chat)),
            Endpoint::CountTokens => None,
            _ => Some(Lane::Native),
        }
    }

    fn url(&self, credential: &Credential, to: &Destination<'_>) -> Result<String, InvalidCall> {
        url(credential, to)
    }

    fn base(&self, credential: &Credential) -> Result<String, InvalidCall> {
        root(credential)
    }

    fn other_url(
        &self,
        credential: &Credential,
        path: &str,
        query: Option<&str>,
    ) -> Result<String, InvalidCall> {
        other_url(credential, path, query)
    }

    /// The list at `/openai/models` holds what could be deployed, not what is.
    fn models_url(&self, _credential: &Credential) -> Option<String> {
        None
    }

    fn headers(
        &self,
        credential: &Credential,
        _inbound: &HeaderMap,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidCall> {
        if let Some(token) = option(credential, "azure_ad_token") {
            let token = token.strip_prefix("Bearer ").unwrap_or(token);
            return Ok(vec![(
                header::AUTHORIZATION,
                header_value(&format!("Bearer {token}"), "azure_ad_token")?,
            )]);
        }
        let key = credential.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        match key {
            Some(key) => Ok(vec![(HeaderName::from_static("api-key"), header_value(key, "api_key")?)]),
            None if credential.base_url.is_some() => Ok(Vec::new()),
            None => Err(InvalidCall::at("api_key", "azure-openai needs an API key or `azure_ad_token`")),
        }
    }

    fn adapt(&self, to: &Destination<'_>, body: &mut Fields<'_>) {
        let chat = chat_body(to);
        // With data sources of its own, Azure refuses `stream_options`.
        if to.stream && (chat || to.endpoint == Endpoint::Completions) && !body.has("data_sources") {
            ask_for_usage(body);
        }
        if chat {
            for name in NOT_AT_OPENAI {
                body.remove(name);
            }
            adapt_chat(to.model, matches!(to.lane, Lane::Translate(_)), body);
            edit_messages(body, false, true);
            return;
        }
        match to.endpoint {
            Endpoint::Responses => adapt_responses(to.model, body),
            Endpoint::ImageGenerations | Endpoint::ImageEdits => adapt_image(to.model, body),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_more_than_a_key() {
        let mut credential = Credential { api_key: Some("k".into()), ..Credential::default() };
        let headers = |credential: &Credential| Azure.headers(credential, &HeaderMap::new()).unwrap();
        assert_eq!(
            headers(&credential),
            [(HeaderName::from_static("api-key"), HeaderValue::from_static("k"))]
        );
        credential.options.insert("azure_ad_token".into(), "Bearer t".into());
        assert_eq!(headers(&credential), [(header::AUTHORIZATION, HeaderValue::from_static("Bearer t"))]);
        assert!(headers(&credential)[0].1.is_sensitive());
    }

    #[test]
    fn a_missing_key_is_named() {
        let error = Azure.headers(&Credential::default(), &HeaderMap::new()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("api_key"));
    }

    #[test]
    fn a_streamed_chat_asks_for_usage_and_keeps_other_options() {
        let to = Destination { endpoint: Endpoint::Chat, lane: Lane::Native, model: "o3", stream: true };
        let body = br#"{"stream":true,"max_tokens":5,"stream_options":{"include_obfuscation":false}}"#;
        let mut body = Fields::parse(body).unwrap();
        Azure.adapt(&to, &mut body);
        assert_eq!(body.raw("stream_options"), Some(r#"{"include_obfuscation":false,"include_usage":true}"#));
        assert_eq!((body.raw("max_tokens"), body.raw("max_completion_tokens")), (None, Some("5")));
    }
}
