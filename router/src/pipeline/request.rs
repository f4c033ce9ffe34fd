//! What comes in and what goes out of the pipeline. The API makes the one and renders the other.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use tidegate_providers::Endpoint;
use tidegate_store::{KeyRecord, Unit};

use super::cache::KeptStream;
use super::plain_headers::PlainHeaders;
use super::proxy::Proxy;
use super::stream::AnswerStream;
use crate::actors::key::KeyHandle;
use crate::limits::RateView;
use crate::upstream::body::Upload;

/// Whose words a client expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// A request, read but not understood yet.
pub struct Request {
    /// What is asked.
    pub endpoint: Endpoint,
    /// Whose words are expected.
    pub dialect: Dialect,
    /// Unique and sortable by time.
    pub id: String,
    /// The client's trace id, or the request id.
    pub trace_id: String,
    /// When it arrived.
    pub started: Instant,
    /// When it arrived, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Routing and vendor headers; `x-tidegate-*` is spelled `x-portkey-*` here.
    pub headers: HeaderMap,
    /// The client's other headers, by lower-case name: plugins may be granted some. The gateway's key is never among
    /// them.
    pub plain_headers: PlainHeaders,
    /// Key for the vendor that the client brought: Authorization or x-api-key beside a gateway key.
    pub vendor_key: Option<String>,
    /// The body.
    pub body: Body,
    /// What is asked where the gateway doesn't model the path; then `endpoint` is [`Endpoint::Other`].
    pub proxy: Option<Box<Proxy>>,
}

impl Request {
    /// Returns the path as conditions and the log see it, like `/v1/chat/completions`.
    #[must_use]
    pub fn pathname(&self) -> Cow<'static, str> {
        let own = || Cow::Borrowed(self.endpoint.pathname());
        self.proxy.as_ref().map_or_else(own, |proxy| Cow::Owned(["/v1", &proxy.path].concat()))
    }
}

/// A body as it came.
pub enum Body {
    /// JSON text.
    Json(Bytes),
    /// A multipart form.
    Form {
        /// Its content type, boundary included.
        content_type: String,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Anything else, on a path that the gateway doesn't model: read as it is sent on.
    Upload(Mutex<Option<Upload>>),
}

/// An answer.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers of the vendor's answer worth passing on.
    pub headers: Vec<(String, String)>,
    /// What the gateway adds.
    pub about: About,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
pub enum AnswerBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Stream(Box<AnswerStream>),
    /// As it comes and is kept, or as it was kept.
    Kept(Box<KeptStream>),
}

impl AnswerBody {
    /// Returns the stream that a vendor still sends, if it is one.
    pub(super) fn stream_mut(&mut self) -> Option<&mut AnswerStream> {
        match self {
            AnswerBody::Whole(_) => None,
            AnswerBody::Stream(stream) => Some(stream),
            AnswerBody::Kept(kept) => kept.live(),
        }
    }
}

/// What every answer says of its making.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Vendor's Portkey name.
    pub provider: Option<&'static str>,
    /// Which target of the config answered.
    pub option_index: String,
    /// Retries of that target; -1 when they were used up or the vendor's wait was too long.
    pub retries: i32,
    /// The key's tightest limits.
    pub views: Vec<RateView>,
    /// The budget that has least left of those that let it in.
    pub budget: Option<BudgetShown>,
    /// What was found in the cache, where the target has one.
    pub cache: Option<&'static str>,
    /// Whether the vendor was told to write less than was asked for.
    pub capped: bool,
    /// What a whole answer cost, in nano-dollars.
    pub cost: Option<i64>,
}

/// What an answer says of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetShown {
    /// What it counts.
    pub unit: Unit,
    /// Its limit, in its unit.
    pub limit: i64,
    /// What was left beside the holds when the request was let in.
    pub left: i64,
    /// When it starts again, seconds since the epoch.
    pub resets_at: Option<i64>,
}

/// Who calls and with what metadata.
#[derive(Clone)]
pub struct Caller {
    /// The key.
    pub key: Arc<KeyHandle>,
    /// What is known of the key: as it was when the request came.
    pub record: Arc<KeyRecord>,
    /// Metadata: the request's, beaten by the key's.
    pub metadata: BTreeMap<String, String>,
    /// Slug of the saved config that is followed, where policies may ask for it.
    pub config: Option<String>,
}

impl Caller {
    /// Makes a caller that follows no saved config yet.
    #[must_use]
    pub fn new(key: Arc<KeyHandle>, metadata: BTreeMap<String, String>) -> Self {
        Self { record: key.record(), key, metadata, config: None }
    }
}
