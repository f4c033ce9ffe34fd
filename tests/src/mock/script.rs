//! What a request asks the scripted upstream to do besides answering.

use std::time::Duration;

use serde_json::Value;

/// How one request is answered.
///
/// Directives are written like a query string, `chunks=100&delay_ms=10&no_usage`, and are looked for, in this order, in
///
/// 1. the header `x-mock-script`,
/// 2. the body member `mock` (text, or an object),
/// 3. the model name after `?`: `mock?chunks=100`,
/// 4. the last user text, as `[[chunks=100]]`, which every translation carries along. The echo leaves it out,
/// 5. the upstream itself: [`super::Mock::scripted`].
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Pieces of output instead of the echo.
    pub chunks: Option<usize>,
    /// Wait before every piece but the first.
    pub delay: Duration,
    /// Wait before the head of the answer.
    pub head_delay: Duration,
    /// Wait between the head and the first piece.
    pub first_delay: Duration,
    /// Answer with this status and an error in the vendor's form.
    pub status: Option<u16>,
    /// `Retry-After` of that error, in seconds.
    pub retry_after: Option<u64>,
    /// With `status`: a header of that error, as `name:value`.
    pub reply_header: Option<(String, String)>,
    /// With `status`: a body that is HTML, or empty, instead of the vendor's JSON.
    pub error_body: Option<String>,
    /// Send an error event after this many pieces, and end.
    pub error_after: Option<usize>,
    /// Answer 200 and send an error as the first event.
    pub error_first: bool,
    /// Say nothing more after this many pieces, and keep the connection.
    pub stall_after: Option<usize>,
    /// Cut the connection after this many pieces.
    pub close_after: Option<usize>,
    /// End the body properly after this many pieces, without the finishing events.
    pub end_after: Option<usize>,
    /// Send an event that is not JSON after this many pieces.
    pub malformed_after: Option<usize>,
    /// Leave the closing `[DONE]` or `message_stop` out.
    pub no_done: bool,
    /// Leave usage out, also when asked for it.
    pub no_usage: bool,
    /// Answer with this many tool calls.
    pub tools: usize,
    /// Arguments of those calls, as JSON text.
    pub args: Option<String>,
    /// Think first.
    pub reasoning: bool,
    /// The first piece is this many bytes long.
    pub big: Option<usize>,
    /// Every piece is this many bytes long.
    pub pad: Option<usize>,
    /// Write a few bytes at a time.
    pub split: Option<usize>,
    /// End lines with CRLF.
    pub crlf: bool,
    /// Put comment lines between the events.
    pub comments: bool,
    /// Input tokens to report.
    pub input: Option<u64>,
    /// Of these input tokens, how many were cached.
    pub cached: u64,
    /// Output tokens to report.
    pub output: Option<u64>,
    /// A planned answer, see [`super::plan`].
    pub plan: Option<usize>,
    /// Text of the answer instead of the echo.
    pub say: Option<String>,
}

impl Script {
    /// Reads the directives of a request.
    pub fn of(usual: &str, header: Option<&str>, body: &Value, model: &str, text: &str) -> Script {
        let mut script = Script::default();
        script.apply(usual);
        if let Some(written) = in_text(text) {
            script.apply(written);
        }
        if let Some((_, written)) = model.split_once('?') {
            script.apply(written);
        }
        match body.get("mock") {
            Some(Value::String(written)) => script.apply(written),
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    script.set(name, &value);
                }
            }
            _ => {}
        }
        if let Some(written) = header {
            script.apply(written);
        }
        script
    }

    fn apply(&mut self, written: &str) {
        for directive in written.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = directive.split_once('=').unwrap_or((directive, "1"));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            self.set(name, &value);
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        let number = value.parse::<usize>().ok();
        let wait = Duration::from_millis(number.unwrap_or(0) as u64);
        let on = !matches!(value, "0" | "false");
        match name {
            "chunks" => self.chunks = number,
            "delay_ms" => self.delay = wait,
            "head_delay_ms" => self.head_delay = wait,
            "first_delay_ms" => self.first_delay = wait,
            "status" => self.status = number.map(|status| status as u16),
            "retry_after" => self.retry_after = number.map(|seconds| seconds as u64),
            "reply_header" => {
                let (name, value) = value.split_once(':').expect("name:value");
                self.reply_header = Some((name.to_owned(), value.to_owned()));
            }
            "error_body" => self.error_body = Some(value.to_owned()),
            "error_after" => self.error_after = number,
            "error_first" => self.error_first = on,
            "stall_after" => self.stall_after = number,
            "close_after" => self.close_after = number,
            "end_after" => self.end_after = number,
            "malformed_after" => self.malformed_after = number,
            "no_done" => self.no_done = on,
            "no_usage" => self.no_usage = on,
            "tool" => self.tools = usize::from(on),
            "tools" => self.tools = number.unwrap_or(1),
            "args" => self.args = Some(value.to_owned()),
            "reasoning" => self.reasoning = on,
            "big" => self.big = number,
            "pad" => self.pad = number,
            "split" => self.split = number.filter(|bytes| *bytes > 0),
            "crlf" => self.crlf = on,
            "comments" => self.comments = on,
            "input" => self.input = number.map(|tokens| tokens as u64),
            "cached" => self.cached = number.unwrap_or(0) as u64,
            "output" => self.output = number.map(|tokens| tokens as u64),
            "plan" => self.plan = number,
            "say" => self.say = Some(value.to_owned()),
            // A test with a typing error must not pass.
            unknown => panic!("the scripted upstream knows no directive {unknown:?}"),
        }
    }
}

/// The directives in `[[…]]`, if the text has them.
fn in_text(text: &str) -> Option<&str> {
    let start = text.find("[[")? + 2;
    let end = start + text[start..].find("]]")?;
    let written = &text[start..end];
    // Wiki links and nested lists in prompts are not for us.
    let ours = written.chars().all(|c| c.is_ascii_alphanumeric() || "=&_%.-".contains(c));
    (ours && written.chars().next().is_some_and(|c| c.is_ascii_lowercase())).then_some(written)
}

/// The text without its directives.
pub fn without_directives(text: &str) -> String {
    match in_text(text) {
        Some(written) => text.replacen(&format!("[[{written}]]"), "", 1).trim().to_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn directives_are_read_wherever_they_stand() {
        let script = Script::of(
            "split=2&crlf",
            Some("split=1"),
            &json!({ "mock": { "chunks": 3, "no_usage": true } }),
            "mock?stall_after=2",
            "[[delay_ms=7]] hi",
        );
        assert_eq!((script.split, script.crlf), (Some(1), true));
        assert_eq!(script.chunks, Some(3));
        assert!(script.no_usage);
        assert_eq!(script.stall_after, Some(2));
        assert_eq!(script.delay, Duration::from_millis(7));
        assert_eq!(without_directives("[[delay_ms=7]] hi"), "hi");
    }
}
