//! Events → streamed chat answer.

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::errors::{error_to_openai, upstream_error_to_openai};
use super::finish::finish_word;
use super::frame::{DONE, write_frame, write_inside};
use super::usage::UsageOut;
use crate::codec::{EncodeOptions, Encoder};
use crate::error::ErrorBody;
use crate::event::{Event, FinishKind};
use crate::usage::Usage;

/// One chunk. No member of another name may be added at this level: some user interfaces act on `event`, `type`
/// and `selected_model_id`.
#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageOut>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[ToolCall<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_blocks: Option<[Block<'a>; 1]>,
}

#[derive(Serialize)]
struct ToolCall<'a> {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    kind: Option<&'static str>,
    function: Function<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Extra<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Extra<'a> {
    google: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    thought_signature: &'a str,
}

#[derive(Serialize)]
struct Block<'a> {
    index: u32,
    delta: BlockDelta<'a>,
}

/// The member's name tells the kind, as in Anthropic's deltas.
#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum BlockDelta<'a> {
    Text(&'a str),
    Thinking(&'a str),
    Signature(&'a str),
    Data(&'a str),
}

/// Kind of the block that a choice is in; a change of kind opens the next block.
#[derive(Clone, Copy, PartialEq)]
enum BlockKind {
    Text,
    Thinking,
    /// Thinking whose signature was written; more thinking is a new block.
    Signed,
    Redacted,
    Tool(u32),
}

struct ChoiceState {
    index: u32,
    block: Option<BlockKind>,
    block_index: u32,
    /// Calls that have no arguments so far.
    bare: Vec<u32>,
}

impl ChoiceState {
    fn block(&mut self, kind: BlockKind) -> u32 {
        // Redacted thoughts are whole: two of them in a row are two blocks.
        if self.block.is_some_and(|open| open != kind || kind == BlockKind::Redacted) {
            self.block_index += 1;
        }
        self.block = Some(kind);
        self.block_index
    }
}

/// Writes one streamed chat answer.
pub(super) struct ChatEncoder {
    options: EncodeOptions,
    choices: Vec<ChoiceState>,
    usage: Option<Usage>,
    state: State,
    /// A text's chunk of this choice, up to the text: most chunks differ in nothing else.
    before_text: Option<(u32, Bytes)>,
}

/// A text's chunk behind the text.
const BEHIND_TEXT: &[u8] = b"\"},\"finish_reason\":null}]}\n\n";

#[derive(PartialEq)]
enum State {
    Open,
    /// The vendor broke off: an end marker would be a lie.
    Broken,
    /// The gateway ended it with an error of its own.
    Stopped,
    Ended,
}

impl ChatEncoder {
    pub(super) fn new(options: EncodeOptions) -> Self {
        Self { options, choices: Vec::new(), usage: None, state: State::Open, before_text: None }
    }

    fn start(&mut self, id: &str, model: &str, created: u64, out: &mut BytesMut) {
        self.before_text = None;
        if !id.is_empty() {
            id.clone_into(&mut self.options.id);
        }
        if !model.is_empty() {
            model.clone_into(&mut self.options.model);
        }
        if created != 0 {
            self.options.created = created;
        }
        self.open(0, out);
    }

    /// Writes the role chunk of a choice that has had none, and returns the choice's place.
    fn open(&mut self, index: u32, out: &mut BytesMut) -> usize {
        if let Some(at) = self.choices.iter().position(|choice| choice.index == index) {
            return at;
        }
        let delta = Delta { role: Some("assistant"), content: Some(""), ..Delta::default() };
        write_chunk(&self.options, &[Choice { index, delta, finish_reason: None }], None, out);
        self.choices.push(ChoiceState { index, block: None, block_index: 0, bare: Vec::new() });
        self.choices.len() - 1
    }

    fn text(&mut self, choice: u32, text: &str, out: &mut BytesMut) {
        if !self.options.strict {
            let delta = Delta { content: Some(text), ..Delta::default() };
            return self.delta(choice, delta, BlockKind::Text, Some(BlockDelta::Text(text)), out);
        }
        let at = self.open(choice, out);
        self.choices[at].block(BlockKind::Text);
        let known = self.before_text.take().filter(|(of, _)| *of == choice);
        let (_, before) = self.before_text.insert(known.unwrap_or_else(|| {
            let (delta, mut frame) = (Delta { content: Some(""), ..Delta::default() }, BytesMut::new());
            let whole = [Choice { index: choice, delta, finish_reason: None }];
            write_chunk(&self.options, &whole, None, &mut frame);
            debug_assert!(frame.ends_with(BEHIND_TEXT));
            frame.truncate(frame.len().saturating_sub(BEHIND_TEXT.len()));
            (choice, frame.freeze())
        }));
        out.reserve(before.len() + text.len() + BEHIND_TEXT.len());
        out.extend_from_slice(before);
        write_inside(text, out);
        out.extend_from_slice(BEHIND_TEXT);
    }

    fn arguments(&mut self, choice: u32, tool: u32, json: &str, out: &mut BytesMut) {
        let function = Function { name: None, arguments: json };
        let call = ToolCall { index: tool, id: None, kind: None, function, extra_content: None };
        self.delta(choice, tool_delta(call), BlockKind::Tool(tool), None, out);
    }

    /// Writes one delta, with its block when the client wants blocks.
    fn delta<'a>(
        &mut self,
        choice: u32,
        mut delta: Delta<'a>,
        kind: BlockKind,
        block: Option<BlockDelta<'a>>,
        out: &mut BytesMut,
    ) {
        let at = self.open(choice, out);
        let index = self.choices[at].block(kind);
        if !self.options.strict {
            delta.content_blocks = block.map(|delta| [Block { index, delta }]);
        }
        write_chunk(&self.options, &[Choice { index: choice, delta, finish_reason: None }], None, out);
    }
}

fn write_chunk(options: &EncodeOptions, choices: &[Choice<'_>], usage: Option<UsageOut>, out: &mut BytesMut) {
    let chunk = Chunk {
        id: &options.id,
        object: "chat.completion.chunk",
        created: options.created,
        model: &options.model,
        provider: &options.provider,
        choices,
        usage,
    };
    write_frame(out, &chunk);
}

fn tool_delta<'a>(tool: ToolCall<'a>) -> Delta<'a> {
    Delta { tool_calls: Some([tool]), ..Delta::default() }
}

impl Encoder for ChatEncoder {
    fn encode(&mut self, event: &Event, out: &mut BytesMut) {
        if self.state == State::Ended || (self.state != State::Open && *event != Event::End) {
            return;
        }
        match event {
            Event::Start { id, model, created } => self.start(id, model, *created, out),
            Event::Text { choice, text } => self.text(*choice, text, out),
            Event::Reasoning { choice, text } => {
                let delta = Delta { reasoning_content: Some(text), ..Delta::default() };
                self.delta(*choice, delta, BlockKind::Thinking, Some(BlockDelta::Thinking(text)), out);
            }
            // OpenAI's wire has no place for these two; without blocks they are left out.
            Event::Signature { .. } | Event::RedactedReasoning { .. } if self.options.strict => {}
            Event::Signature { choice, signature } => {
                let block = BlockDelta::Signature(signature);
                self.delta(*choice, Delta::default(), BlockKind::Thinking, Some(block), out);
                let at = self.open(*choice, out);
                self.choices[at].block = Some(BlockKind::Signed);
            }
            Event::RedactedReasoning { choice, data } => {
                let block = BlockDelta::Data(data);
                self.delta(*choice, Delta::default(), BlockKind::Redacted, Some(block), out);
            }
            Event::Refusal { choice, text } => {
                let delta = Delta { refusal: Some(text), ..Delta::default() };
                self.delta(*choice, delta, BlockKind::Text, None, out);
            }
            Event::ToolStart { choice, tool, id, name, signature } => {
                let google = signature.as_deref().map(|signature| Google { thought_signature: signature });
                let call = ToolCall {
                    index: *tool,
                    id: Some(id),
                    kind: Some("function"),
                    function: Function { name: Some(name), arguments: "" },
                    extra_content: google.map(|google| Extra { google }),
                };
                self.delta(*choice, tool_delta(call), BlockKind::Tool(*tool), None, out);
                let at = self.open(*choice, out);
                self.choices[at].bare.push(*tool);
            }
            Event::ToolArguments { choice, tool, json } => {
                self.arguments(*choice, *tool, json, out);
                let at = self.open(*choice, out);
                self.choices[at].bare.retain(|bare| bare != tool);
            }
            Event::Finish { choice, reason } => {
                let at = self.open(*choice, out);
                // Clients parse what they collected, and nothing is no JSON. Of a call that was cut or denied nobody knows the
                // arguments.
                let is_whole = !matches!(reason.kind, FinishKind::Length | FinishKind::ContentFilter);
                for tool in std::mem::take(&mut self.choices[at].bare).into_iter().filter(|_| is_whole) {
                    self.arguments(*choice, tool, "{}", out);
                }
                let finish_reason = Some(finish_word(reason, self.options.strict));
                let choice = Choice { index: *choice, delta: Delta::default(), finish_reason };
                write_chunk(&self.options, &[choice], None, out);
            }
            Event::Usage(later) => self.usage.get_or_insert_default().merge(later),
            Event::Error(error) => {
                self.state = State::Broken;
                write_frame(out, &upstream_error_to_openai(error));
            }
            Event::End => {
                if self.state == State::Open
                    && self.options.include_usage
                    && let Some(usage) = &self.usage
                {
                    write_chunk(&self.options, &[], Some(usage.into()), out);
                }
                if self.state != State::Broken {
                    out.extend_from_slice(DONE);
                }
                self.state = State::Ended;
            }
        }
    }

    fn encode_error(&mut self, error: &ErrorBody, out: &mut BytesMut) {
        if self.state == State::Open {
            self.state = State::Stopped;
            write_frame(out, &error_to_openai(error));
        }
    }
}
