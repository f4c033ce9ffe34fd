//! The canonical conversational request.
//!
//! Every conversational dialect (OpenAI chat, completions, responses; Anthropic messages) is read into a
//! [`ChatCall`], and every vendor dialect is written from one. Only the translation lane builds it.

use serde_json::{Map, Value};

/// A conversational request without any vendor's spelling.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatCall {
    /// Vendor's model name, without the `@provider/` part.
    pub model: String,
    /// The conversation in order; system and developer messages stand where the client put them.
    pub messages: Vec<Message>,
    /// Functions the model may call.
    pub tools: Vec<Tool>,
    /// Whether and which tool must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once.
    pub parallel_tool_calls: Option<bool>,
    /// Most output tokens, reasoning included.
    pub max_tokens: Option<u64>,
    /// Sampling temperature as sent; each vendor's encoder clamps to its range.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Top-k sampling (Anthropic, Gemini).
    pub top_k: Option<u64>,
    /// Stop sequences; always a list here.
    pub stop: Vec<String>,
    /// Free text, any JSON, or JSON by schema.
    pub response_format: Option<ResponseFormat>,
    /// How much the model should think.
    pub reasoning: Option<ReasoningRequest>,
    /// Sampling seed.
    pub seed: Option<i64>,
    /// End user's id.
    pub user: Option<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Number of choices asked for.
    pub n: Option<u64>,
    /// OpenAI's frequency penalty.
    pub frequency_penalty: Option<f64>,
    /// OpenAI's presence penalty.
    pub presence_penalty: Option<f64>,
    /// Whether log probabilities are wanted.
    pub logprobs: Option<bool>,
    /// How many alternatives per token.
    pub top_logprobs: Option<u64>,
    /// Free-form metadata of the vendor's API (not the gateway's).
    pub metadata: Option<Map<String, Value>>,
    /// Vendor's service tier.
    pub service_tier: Option<String>,
    /// Members of the client's body that have no place above, under their own names. A codec that writes the
    /// same family of wire may copy them; others drop them.
    pub extra: Map<String, Value>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// OpenAI's newer name of `system`.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Result of a tool call; its parts are [`Part::ToolResult`].
    Tool,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// Optional participant name (OpenAI).
    pub name: Option<String>,
    /// Content in order.
    pub parts: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
        /// Anthropic's `cache_control` object, kept as sent.
        cache_control: Option<Value>,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: Media,
        /// OpenAI's `detail`.
        detail: Option<String>,
        /// Anthropic's `cache_control` object.
        cache_control: Option<Value>,
    },
    /// Recorded sound.
    Audio {
        /// Where it is; `media_type` like `audio/wav`.
        source: Media,
    },
    /// A document.
    File {
        /// Where it is.
        source: Media,
        /// Its name.
        name: Option<String>,
        /// Anthropic's `cache_control` object.
        cache_control: Option<Value>,
    },
    /// What the model thought, with the vendor's signature where it gave one.
    Thinking {
        /// The thought.
        text: String,
        /// Signature that the vendor wants back unchanged.
        signature: Option<String>,
    },
    /// A thought that the vendor encrypted.
    RedactedThinking {
        /// Opaque data that the vendor wants back unchanged.
        data: String,
    },
    /// The model declined.
    Refusal {
        /// Its words.
        text: String,
    },
    /// The model calls a tool.
    ToolCall {
        /// Id that the result refers to.
        id: String,
        /// Tool's name.
        name: String,
        /// Arguments as JSON text; an empty string means no arguments.
        arguments: String,
        /// Vendor's signature of the call (Gemini's `thoughtSignature`).
        signature: Option<String>,
    },
    /// Answer to a tool call.
    ToolResult {
        /// Id of the call.
        id: String,
        /// Tool's name, where known.
        name: Option<String>,
        /// Result: text, images or files.
        content: Vec<Part>,
        /// Whether the tool failed.
        is_error: bool,
        /// Anthropic's `cache_control` object.
        cache_control: Option<Value>,
    },
}

impl Part {
    /// Makes a text part without cache control.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text { text: text.into(), cache_control: None }
    }
}

/// Where a picture, sound or document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// A URL that the vendor fetches.
    Url {
        /// http or https.
        url: String,
        /// MIME type, where the client said one.
        media_type: Option<String>,
    },
    /// The bytes themselves.
    Base64 {
        /// MIME type.
        media_type: String,
        /// Standard base64.
        data: String,
    },
    /// A file that was uploaded to the vendor before.
    FileId(String),
}

/// A function the model may call, or a tool that the vendor runs itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function of the application.
    Function {
        /// Its name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// JSON Schema of its arguments; `None` means no arguments.
        parameters: Option<Value>,
        /// OpenAI's `strict`.
        strict: Option<bool>,
        /// Anthropic's `cache_control` object.
        cache_control: Option<Value>,
    },
    /// A vendor's own tool (web search and the like), as the client wrote it.
    Vendor(Value),
}

/// Whether and which tool must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Any tool, at least one.
    Required,
    /// This one.
    Named(String),
}

/// Shape of the answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// Name of the schema.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether the vendor must enforce it.
        strict: Option<bool>,
    },
}

/// How much the model should think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReasoningRequest {
    /// OpenAI's word: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
    pub effort: Option<String>,
    /// Anthropic's and Gemini's token budget.
    pub budget_tokens: Option<u64>,
    /// Whether the thoughts shall be in the answer, where the vendor lets one choose.
    pub include_thoughts: Option<bool>,
    /// Anthropic's `thinking` object as sent, for a vendor of the same wire.
    pub raw: Option<Value>,
}
