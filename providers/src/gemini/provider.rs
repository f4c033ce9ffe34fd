//! The Gemini Developer API as a vendor: URLs, key header, model list.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::{decode, embeddings, encode, errors, images, model, stream};
use crate::answer::Answer;
use crate::call::ChatCall;
use crate::codec::{Decoder, Outbound};
use crate::compatible::http_url;
use crate::error::{InvalidCall, UpstreamError};
use crate::fields::Fields;
use crate::provider::{Credential, Destination, Endpoint, Lane, Provider, Wire};

const BASE: &str = "https://generativelanguage.googleapis.com/v1beta";
static EMBEDDINGS: embeddings::Embeddings = embeddings::Embeddings;
static IMAGES: images::Images = images::Images;

/// The `generateContent` wire. Streams are read as `alt=sse`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GeminiCodec;

impl Outbound for GeminiCodec {
    fn write_call(&self, call: &ChatCall) -> Result<Value, InvalidCall> {
        encode::body(call)
    }

    fn read_answer(&self, body: &[u8]) -> Result<Answer, UpstreamError> {
        decode::answer(body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(stream::GeminiDecoder::default())
    }

    fn read_error(&self, status: u16, _headers: &HeaderMap, body: &[u8]) -> UpstreamError {
        errors::from_body(status, body)
    }
}

/// Google's Gemini Developer API.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

impl Provider for Gemini {
    fn slug(&self) -> &'static str {
        "google"
    }

    fn default_base(&self) -> Option<&'static str> {
        Some(BASE)
    }

    fn key_variables(&self) -> &'static [&'static str] {
        &["GEMINI_API_KEY", "GOOGLE_API_KEY"]
    }

    fn lane(&self, endpoint: Endpoint, model: &str) -> Option<Lane> {
        match endpoint {
            Endpoint::Chat | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages => {
                Some(Lane::Translate(Wire::Gemini))
            }
            Endpoint::Embeddings => Some(Lane::Exchange(&EMBEDDINGS)),
            Endpoint::ImageGenerations if model::short_name(model).starts_with("imagen-") => {
                Some(Lane::Exchange(&IMAGES))
            }
            _ => None,
        }
    }

    fn url(&self, credential: &Credential, to: &Destination<'_>) -> Result<String, InvalidCall> {
        let method = match (to.endpoint, to.stream) {
            (Endpoint::Embeddings, _) => "batchEmbedContents",
            (Endpoint::ImageGenerations, _) => "predict",
            (_, true) => "streamGenerateContent?alt=sse",
            (_, false) => "generateContent",
        };
        Ok(format!("{}/{}:{method}", base(credential)?, model::resource(to.model)?))
    }

    fn base(&self, credential: &Credential) -> Result<String, InvalidCall> {
        base(credential)
    }

    fn models_url(&self, credential: &Credential) -> Option<String> {
        base(credential).ok().map(|base| format!("{base}/models?pageSize=1000"))
    }

    fn headers(
        &self,
        credential: &Credential,
        _inbound: &HeaderMap,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidCall> {
        let refuse = |message: &str| InvalidCall { param: None, message: message.to_owned() };
        let key = credential.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| refuse("google needs an API key"))?;
        let mut value =
            HeaderValue::from_str(key).map_err(|_| refuse("the google API key can't be a header value"))?;
        value.set_sensitive(true);
        // The header and not `?key=`, so that URLs can be logged.
        Ok(vec![(HeaderName::from_static("x-goog-api-key"), value)])
    }

    fn adapt(&self, _to: &Destination<'_>, _body: &mut Fields<'_>) {}

    fn read_models(&self, body: &[u8]) -> Vec<String> {
        read_models(body)
    }
}

/// Returns the base URL. A configured host without a path is taken for the host alone, hence the version is added.
fn base(credential: &Credential) -> Result<String, InvalidCall> {
    let Some(base) = credential.base_url.as_deref() else { return Ok(BASE.to_owned()) };
    let base = http_url(base, "base_url")?;
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    Ok(if rest.contains('/') { base.to_owned() } else { format!("{base}/v1beta") })
}

fn read_models(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        name: String,
        supported_generation_methods: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct List {
        models: Vec<Entry>,
    }
    let Ok(list) = serde_json::from_slice::<List>(body) else { return Vec::new() };
    let served = |entry: &Entry| match &entry.supported_generation_methods {
        None => true,
        Some(methods) => methods
            .iter()
            .any(|method| ["generateContent", "embedContent", "predict"].contains(&method.as_str())),
    };
    let entries = list.models.into_iter().filter(served);
    entries.map(|entry| model::short_name(&entry.name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(endpoint: Endpoint, model: &str, stream: bool) -> Destination<'_> {
        Destination { endpoint, lane: Gemini.lane(endpoint, model).unwrap(), model, stream }
    }

    #[test]
    fn urls_name_model_and_method() {
        let credential = Credential::default();
        let url = |endpoint, model, stream| Gemini.url(&credential, &to(endpoint, model, stream)).unwrap();
        let host = "https://generativelanguage.googleapis.com/v1beta";
        assert_eq!(
            url(Endpoint::Chat, "gemini-2.5-pro", false),
            format!("{host}/models/gemini-2.5-pro:generateContent")
        );
        assert_eq!(
            url(Endpoint::Messages, "gemini-2.5-pro", true),
            format!("{host}/models/gemini-2.5-pro:streamGenerateContent?alt=sse")
        );
        assert_eq!(
            url(Endpoint::Embeddings, "gemini-embedding-001", false),
            format!("{host}/models/gemini-embedding-001:batchEmbedContents")
        );
        assert_eq!(
            url(Endpoint::ImageGenerations, "imagen-4.0-generate-001", false),
            format!("{host}/models/imagen-4.0-generate-001:predict")
        );
        assert!(Gemini.url(&credential, &to(Endpoint::Chat, "x/../../y", false)).is_err());
    }

    #[test]
    fn a_bare_host_gets_the_version() {
        for (given, expected) in [
            ("http://localhost:9", "http://localhost:9/v1beta"),
            ("http://localhost:9/", "http://localhost:9/v1beta"),
            ("http://localhost:9/v1", "http://localhost:9/v1"),
            ("https://proxy/google/v1beta/", "https://proxy/google/v1beta"),
        ] {
            let credential = Credential { base_url: Some(given.into()), ..Credential::default() };
            assert_eq!(base(&credential).unwrap(), expected);
        }
    }

    #[test]
    fn the_key_travels_in_a_sensitive_header() {
        let none = HeaderMap::new();
        assert!(Gemini.headers(&Credential::default(), &none).is_err());
        let credential = Credential { api_key: Some("KEY".into()), ..Credential::default() };
        let headers = Gemini.headers(&credential, &none).unwrap();
        assert_eq!(headers[0].0, "x-goog-api-key");
        assert_eq!(headers[0].1, "KEY");
        assert!(headers[0].1.is_sensitive());
        let broken = Credential { api_key: Some("a\nb".into()), ..Credential::default() };
        assert!(Gemini.headers(&broken, &none).is_err());
    }

    #[test]
    fn only_served_models_are_listed() {
        let body = include_bytes!("../../fixtures/google/models.json");
        assert_eq!(
            Gemini.read_models(body),
            ["gemini-2.5-pro", "gemini-embedding-001", "imagen-4.0-generate-001", "tunedModels/mine"]
        );
        assert!(Gemini.read_models(b"<html>").is_empty());
    }

    #[test]
    fn gemini_draws_only_with_imagen() {
        assert!(Gemini.lane(Endpoint::ImageGenerations, "gemini-2.5-flash-image").is_none());
        assert!(Gemini.lane(Endpoint::Speech, "gemini-2.5-flash").is_none());
        assert!(matches!(
            Gemini.lane(Endpoint::Completions, "gemini-2.5-flash"),
            Some(Lane::Translate(Wire::Gemini))
        ));
    }
}
