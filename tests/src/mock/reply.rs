//! What was asked and what is answered, whatever the dialect.

use serde_json::{Value, json};

use super::script::{Script, without_directives};

/// A request for text, read from any dialect.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Model as sent, with its directives.
    pub(super) model: String,
    /// Text of the last user message, with its directives.
    pub(super) text: String,
    /// All texts, for counting.
    pub(super) words: usize,
    /// Names of the tools offered.
    pub(super) tools: Vec<String>,
    /// The request forces a tool call: any (empty name) or this one.
    pub(super) forced: Option<String>,
    /// Contents of the tool results that end the conversation.
    pub(super) results: Vec<String>,
    /// Pictures in the conversation.
    pub(super) images: usize,
    pub(super) max_tokens: Option<u64>,
    pub(super) wants_json: bool,
    pub(super) wants_stream: bool,
}

impl Asked {
    /// Counts words and keeps the text when it is the user's.
    pub(super) fn saw(&mut self, role: &str, text: &str) {
        self.words += without_directives(text).split_whitespace().count();
        if role == "user" {
            self.text = text.to_owned();
            self.results.clear();
        }
    }
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub(super) struct ToolCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Finish {
    Stop,
    Length,
    Tools,
}

/// The answer, before it takes a dialect's form.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// Model to report: without directives.
    pub(super) model: String,
    pub(super) thoughts: Vec<String>,
    pieces: Pieces,
    pub(super) calls: Vec<ToolCall>,
    pub(super) finish: Finish,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

#[derive(Debug, Clone)]
enum Pieces {
    Given(Vec<String>),
    Made { count: usize, pad: Option<usize>, big: Option<usize> },
}

/// Words that are one token each in every common vocabulary.
const WORDS: [&str; 8] = [" one", " two", " three", " four", " five", " six", " seven", " eight"];

impl Reply {
    pub(super) fn to(asked: &Asked, script: &Script) -> Reply {
        let mut calls = Vec::new();
        let forced = usize::from(asked.forced.is_some());
        if asked.results.is_empty() && !asked.tools.is_empty() {
            let arguments =
                script.args.clone().unwrap_or_else(|| r#"{"city": "Paris", "days": 2}"#.to_owned());
            for index in 0..script.tools.max(forced) {
                let offered = &asked.tools[index % asked.tools.len()];
                let name =
                    asked.forced.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| offered.clone());
                let id = format!("call_{:08x}{index}", seed(&asked.text));
                calls.push(ToolCall { id, name, arguments: arguments.clone() });
            }
        }
        let mut pieces = pieces_of(asked, script, !calls.is_empty());
        let mut finish = if calls.is_empty() { Finish::Stop } else { Finish::Tools };
        let limit = asked.max_tokens.map_or(usize::MAX, |tokens| tokens as usize);
        if pieces.len() > limit {
            pieces.cut(limit);
            finish = Finish::Length;
        }
        let thoughts = match script.reasoning {
            true => vec!["Let me".to_owned(), " think.".to_owned()],
            false => Vec::new(),
        };
        let written = pieces.len() + calls.len() * 8 + thoughts.len();
        let usage = Usage {
            input: script.input.unwrap_or(asked.words as u64 + 85 * asked.images as u64),
            cached: script.cached,
            output: script.output.unwrap_or(written as u64),
            reasoning: thoughts.len() as u64,
        };
        let model = asked.model.split('?').next().unwrap_or_default().to_owned();
        Reply { model, thoughts, pieces, calls, finish, usage: (!script.no_usage).then_some(usage) }
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = String> + Send + use<> {
        let pieces = self.pieces.clone();
        (0..pieces.len()).map(move |index| pieces.get(index))
    }

    pub(super) fn text(&self) -> String {
        self.pieces().collect()
    }

    /// An id that is the same for the same question, as everything here.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:016x}", u64::from(seed(&self.model)) << 32 | self.pieces.len() as u64)
    }
}

fn pieces_of(asked: &Asked, script: &Script, calls: bool) -> Pieces {
    if let Some(count) = script.chunks {
        return Pieces::Made { count, pad: script.pad, big: script.big };
    }
    if script.big.is_some() || script.pad.is_some() {
        return Pieces::Made { count: 1, pad: script.pad, big: script.big };
    }
    if calls {
        return Pieces::Given(Vec::new());
    }
    let said = without_directives(&asked.text);
    let text = match &script.say {
        Some(text) => text.clone(),
        None if !asked.results.is_empty() => format!("tool said: {}", asked.results.join(" | ")),
        None if asked.wants_json => json!({ "echo": said }).to_string(),
        None if asked.images > 0 => format!("echo: {said} ({} images)", asked.images),
        None => format!("echo: {said}"),
    };
    Pieces::Given(text.split_inclusive(' ').map(str::to_owned).collect())
}

impl Pieces {
    fn len(&self) -> usize {
        match self {
            Pieces::Given(pieces) => pieces.len(),
            Pieces::Made { count, .. } => *count,
        }
    }

    fn cut(&mut self, limit: usize) {
        match self {
            Pieces::Given(pieces) => pieces.truncate(limit),
            Pieces::Made { count, .. } => *count = limit,
        }
    }

    fn get(&self, index: usize) -> String {
        match self {
            Pieces::Given(pieces) => pieces[index].clone(),
            Pieces::Made { big: Some(bytes), .. } if index == 0 => "x".repeat(*bytes),
            Pieces::Made { pad: Some(bytes), .. } => "x".repeat(*bytes),
            Pieces::Made { .. } => WORDS[index % WORDS.len()].to_owned(),
        }
    }
}

/// A small stable hash (FNV-1a).
pub(super) fn seed(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The text of a content member: a string, or parts with `text`. Counts pictures on the way.
pub(super) fn text_of(content: &Value, images: &mut usize) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let mut texts = Vec::new();
            for part in parts {
                if let Some(text) = part.get("text").and_then(Value::as_str) {
                    texts.push(text.to_owned());
                }
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                *images += usize::from(matches!(kind, "image_url" | "image" | "input_image"));
            }
            texts.join("\n")
        }
        _ => String::new(),
    }
}

pub(super) fn str_at<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list_at<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Cuts JSON text into the two or three pieces in which vendors stream arguments.
pub(super) fn argument_pieces(arguments: &str) -> Vec<String> {
    let middle = (0..=arguments.len() / 2).rev().find(|at| arguments.is_char_boundary(*at)).unwrap_or(0);
    let (head, tail) = arguments.split_at(middle);
    [head, tail].into_iter().filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}
