//! Server-sent events as a client reads them.

use serde_json::Value;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The `event:` line, empty when there is none.
    pub name: String,
    /// The `data:` lines.
    pub data: String,
}

impl Event {
    /// The data as JSON; `null` when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }

    /// Whether this is OpenAI's closing `[DONE]`.
    pub fn is_done(&self) -> bool {
        self.data == "[DONE]"
    }
}

/// Cuts a stream of bytes into events, wherever the reads cut it.
#[derive(Debug, Default)]
pub struct Reader {
    rest: Vec<u8>,
    name: String,
    data: Vec<String>,
}

impl Reader {
    /// Takes bytes, gives the events they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8(line).expect("an event stream is UTF-8");
            events.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        events
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let name = std::mem::take(&mut self.name);
            return (!data.is_empty()).then(|| Event { name, data: data.join("\n") });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.data.push(value.to_owned()),
            "event" => value.clone_into(&mut self.name),
            // Comments, ids and retry times mean nothing here.
            _ => {}
        }
        None
    }
}

/// All events of a whole text.
pub fn parse(text: &str) -> Vec<Event> {
    Reader::default().feed(text.as_bytes())
}

/// What the deltas of OpenAI chat chunks add up to.
pub fn chat_text(events: &[Event]) -> String {
    let pieces = events.iter().map(|event| {
        let chunk = event.json();
        chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    });
    pieces.collect()
}

/// What the deltas of Anthropic events add up to.
pub fn message_text(events: &[Event]) -> String {
    let pieces =
        events.iter().map(|event| event.json()["delta"]["text"].as_str().unwrap_or_default().to_owned());
    pieces.collect()
}

/// The finish reason of a stream of OpenAI chat chunks.
pub fn finish_reason(events: &[Event]) -> Option<String> {
    events.iter().find_map(|event| event.json()["choices"][0]["finish_reason"].as_str().map(str::to_owned))
}

/// The first error event, in either dialect.
pub fn error(events: &[Event]) -> Option<Value> {
    events.iter().map(Event::json).find(|data| data["error"].is_object()).map(|data| data["error"].clone())
}
