//! What a vendor is: places, credential, wire, quirks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::InvalidCall;
use crate::fields::Fields;

/// What a client asked for, by path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/images/generations`
    ImageGenerations,
    /// `POST /v1/images/edits` (multipart)
    ImageEdits,
    /// `POST /v1/audio/speech` (binary or SSE answer)
    Speech,
    /// `POST /v1/audio/transcriptions` (multipart)
    Transcriptions,
    /// `POST /v1/audio/translations` (multipart)
    Translations,
    /// Any other path, passed on as it came: files, batches, fine-tuning, the vendor's own. It has no lane and no URL of
    /// its own; see [`Provider::other_url`].
    Other,
}

impl Endpoint {
    /// Returns the path below the vendor's OpenAI-style base URL, like `/chat/completions`.
    #[must_use]
    pub fn path(self) -> &'static str {
        &self.pathname()["/v1".len()..]
    }

    /// Returns the gateway's own path, like `/v1/chat/completions`.
    #[must_use]
    pub fn pathname(self) -> &'static str {
        match self {
            Endpoint::Chat => "/v1/chat/completions",
            Endpoint::Completions => "/v1/completions",
            Endpoint::Responses => "/v1/responses",
            Endpoint::Messages => "/v1/messages",
            Endpoint::CountTokens => "/v1/messages/count_tokens",
            Endpoint::Embeddings => "/v1/embeddings",
            Endpoint::ImageGenerations => "/v1/images/generations",
            Endpoint::ImageEdits => "/v1/images/edits",
            Endpoint::Speech => "/v1/audio/speech",
            Endpoint::Transcriptions => "/v1/audio/transcriptions",
            Endpoint::Translations => "/v1/audio/translations",
            Endpoint::Other => "/v1",
        }
    }

    /// Returns Portkey's function name (`chatComplete`, …), used in its error texts.
    #[must_use]
    pub fn function(self) -> &'static str {
        match self {
            Endpoint::Chat => "chatComplete",
            Endpoint::Completions => "complete",
            Endpoint::Responses => "createModelResponse",
            Endpoint::Messages => "messages",
            Endpoint::CountTokens => "messagesCountTokens",
            Endpoint::Embeddings => "embed",
            Endpoint::ImageGenerations => "imageGenerate",
            Endpoint::ImageEdits => "imageEdit",
            Endpoint::Speech => "createSpeech",
            Endpoint::Transcriptions => "createTranscription",
            Endpoint::Translations => "createTranslation",
            Endpoint::Other => "proxy",
        }
    }

    /// Returns the wire of a conversational endpoint.
    #[must_use]
    pub fn wire(self) -> Option<Wire> {
        match self {
            Endpoint::Chat => Some(Wire::Chat),
            Endpoint::Completions => Some(Wire::Completions),
            Endpoint::Responses => Some(Wire::Responses),
            Endpoint::Messages => Some(Wire::Messages),
            _ => None,
        }
    }
}

/// A payload format of conversational endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI legacy completions.
    Completions,
    /// OpenAI responses.
    Responses,
    /// Anthropic messages.
    Messages,
    /// Google Gemini `generateContent`.
    Gemini,
}

/// How a request to an endpoint reaches a vendor.
#[derive(Clone, Copy)]
pub enum Lane {
    /// The vendor offers the endpoint in the client's own format: [`Provider::adapt`] edits, nothing is
    /// translated.
    Native,
    /// The call is translated to this wire.
    Translate(Wire),
    /// A whole-body exchange with a translation of its own (embeddings, images).
    Exchange(&'static dyn Exchange),
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lane::Native => f.write_str("Native"),
            Lane::Translate(wire) => write!(f, "Translate({wire:?})"),
            Lane::Exchange(_) => f.write_str("Exchange"),
        }
    }
}

/// Translation of a non-conversational request and its whole answer.
pub trait Exchange: Send + Sync {
    /// Turns the client's body into the vendor's. `model` is the vendor's model name.
    ///
    /// # Errors
    /// [`InvalidCall`] when the vendor can't do what is asked.
    fn request(&self, model: &str, body: &Fields<'_>) -> Result<Vec<u8>, InvalidCall>;

    /// Turns the vendor's 2xx body into the client's. `model` is the vendor's model name, `asked` the client's body.
    ///
    /// # Errors
    /// [`crate::UpstreamError`] with status 502 when the body can't be read.
    fn answer(&self, model: &str, asked: &Fields<'_>, body: &[u8]) -> Result<Vec<u8>, crate::UpstreamError>;
}

/// What a vendor wants to know about its caller. `Debug` never shows a secret.
#[derive(Clone, Default)]
pub struct Credential {
    /// The key; `None` for hosts that want none.
    pub api_key: Option<String>,
    /// Base URL in place of the vendor's default, without a trailing slash.
    pub base_url: Option<String>,
    /// Portkey's provider-specific fields in snake case: `azure_resource_name`, `azure_deployment_id`,
    /// `azure_api_version`, `openai_organization`, `openai_project`, `anthropic_version`, `anthropic_beta`, …
    pub options: BTreeMap<String, String>,
}

impl Credential {
    /// Returns a provider-specific option.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("base_url", &self.base_url.as_deref().map(without_secrets))
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Returns an address without what may be secret in it: `user:password@` and the query.
fn without_secrets(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(place, _)| place);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

/// Where one upstream request goes.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// The client's endpoint.
    pub endpoint: Endpoint,
    /// How it is served, as [`Provider::lane`] answered.
    pub lane: Lane,
    /// Vendor's model name.
    pub model: &'a str,
    /// Whether the answer is streamed.
    pub stream: bool,
}

/// A vendor.
pub trait Provider: Send + Sync + 'static {
    /// Returns Portkey's name of the vendor, like `openai` or `azure-openai`.
    fn slug(&self) -> &'static str;

    /// Returns the vendor's public base URL; `None` when each account has its own.
    fn default_base(&self) -> Option<&'static str>;

    /// Returns the environment variables that hold a key for this vendor, best first.
    fn key_variables(&self) -> &'static [&'static str];

    /// Returns whether the vendor can be called without a key (self-hosted servers).
    fn key_optional(&self) -> bool {
        false
    }

    /// Returns the names of what it reads from [`Credential::options`].
    fn options(&self) -> Vec<Cow<'static, str>> {
        Vec::new()
    }

    /// Returns how an endpoint is served for a model; `None` when the vendor doesn't offer it.
    fn lane(&self, endpoint: Endpoint, model: &str) -> Option<Lane>;

    /// Returns the full URL of a request.
    ///
    /// # Errors
    /// [`InvalidCall`] when the credential lacks what the URL needs.
    fn url(&self, credential: &Credential, to: &Destination<'_>) -> Result<String, InvalidCall>;

    /// Returns the base URL, without a trailing slash: paths that the gateway doesn't model are put behind it.
    ///
    /// # Errors
    /// [`InvalidCall`] when the credential lacks what the URL needs.
    fn base(&self, credential: &Credential) -> Result<String, InvalidCall>;

    /// Returns the URL of a path that the gateway doesn't model. `path` begins with a slash; it and `query` are as the
    /// client wrote them, and checked.
    ///
    /// # Errors
    /// [`InvalidCall`] when the credential lacks what the URL needs.
    fn other_url(
        &self,
        credential: &Credential,
        path: &str,
        query: Option<&str>,
    ) -> Result<String, InvalidCall> {
        Ok(joined(self.base(credential)?, path, query))
    }

    /// Returns the URL that lists the account's models, where the vendor has one.
    fn models_url(&self, credential: &Credential) -> Option<String>;

    /// Returns the vendor's own headers (authentication, versions). `inbound` holds the client's headers, of which
    /// a vendor may take its own (`anthropic-beta`, `openai-organization`), never the gateway's credentials.
    ///
    /// # Errors
    /// [`InvalidCall`] when the key is missing or can't be a header value.
    fn headers(
        &self,
        credential: &Credential,
        inbound: &HeaderMap,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidCall>;

    /// Edits a native body's top-level members: renames, drops and defaults that the vendor needs. The model is
    /// already the vendor's.
    fn adapt(&self, to: &Destination<'_>, body: &mut Fields<'_>);

    /// Reads the ids out of the answer of [`Provider::models_url`].
    fn read_models(&self, body: &[u8]) -> Vec<String> {
        openai_model_ids(body)
    }
}

/// Puts a path behind a base URL. SDKs that name the version themselves double it (`/v1/v1/messages`): one goes.
pub(crate) fn joined(mut base: String, path: &str, query: Option<&str>) -> String {
    let path = match path.strip_prefix("/v1/") {
        Some(_) if base.ends_with("/v1") => &path["/v1".len()..],
        _ => path,
    };
    base.push_str(path);
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        base.push('?');
        base.push_str(query);
    }
    base
}

/// Reads `data[].id` of an OpenAI or Anthropic model list; an unreadable body gives an empty list.
#[must_use]
pub fn openai_model_ids(body: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Entry {
        id: String,
    }
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum List {
        Wrapped { data: Vec<Entry> },
        Bare(Vec<Entry>),
    }
    match serde_json::from_slice::<List>(body) {
        Ok(List::Wrapped { data } | List::Bare(data)) => data.into_iter().map(|entry| entry.id).collect(),
        Err(_) => Vec::new(),
    }
}
