//! What the mock is told to answer, and the answers. A script travels in the prompt, because every gateway passes that
//! on: `[[chunks=100 gap_us=10000 hold=0 size=0]] and then text`.

use std::fmt::Write as _;
use std::time::Duration;

/// The model that everybody asks for; gateways know its price.
pub(crate) const MODEL: &str = "gpt-4o-mini";

/// What to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Script {
    /// Events of a stream, 4 at least; 0 is a whole answer.
    pub(crate) chunks: usize,
    /// Microseconds between two chunks; with 0 all are sent at once.
    pub(crate) gap_us: u64,
    /// Says whether that is kept to the microsecond, which costs the mock more.
    pub(crate) exact: bool,
    /// After so many chunks the stream waits until the mock is told to release it; 0 never waits.
    pub(crate) hold: usize,
    /// Bytes of the text of a whole answer.
    pub(crate) size: usize,
}

impl Script {
    /// A whole answer with a text of so many bytes.
    pub(crate) const fn whole(size: usize) -> Self {
        Self { chunks: 0, gap_us: 0, exact: false, hold: 0, size }
    }

    /// A stream of so many chunks, so many a second; 0 a second is all at once.
    pub(crate) const fn stream(chunks: usize, per_second: u64) -> Self {
        let gap_us = match per_second {
            0 => 0,
            some => 1_000_000 / some,
        };
        Self { chunks, gap_us, exact: false, hold: 0, size: 0 }
    }

    /// Says whether the answer is a stream.
    pub(crate) fn streams(&self) -> bool {
        self.chunks > 0
    }

    /// Returns the time between two chunks.
    pub(crate) fn gap(&self) -> Duration {
        Duration::from_micros(self.gap_us)
    }

    /// Finds the script in a request's body.
    pub(crate) fn find(body: &[u8]) -> Option<Self> {
        let start = memchr::memmem::find(body, b"[[")? + 2;
        let length = memchr::memmem::find(&body[start..], b"]]")?;
        let mut script = Self::default();
        for word in std::str::from_utf8(&body[start..start + length]).ok()?.split(' ') {
            let (name, value) = word.split_once('=')?;
            match name {
                "chunks" => script.chunks = value.parse().ok()?,
                "gap_us" => script.gap_us = value.parse().ok()?,
                "exact" => script.exact = value.parse().ok()?,
                "hold" => script.hold = value.parse().ok()?,
                "size" => script.size = value.parse().ok()?,
                _ => return None,
            }
        }
        (script.chunks == 0 || script.chunks >= 4).then_some(script)
    }

    /// Returns a chat request with a prompt of about so many bytes for this model.
    pub(crate) fn request(&self, model: &str, prompt: usize) -> String {
        let exact = if self.exact { " exact=true" } else { "" };
        let mut text = format!(
            "[[chunks={} gap_us={}{exact} hold={} size={}]]",
            self.chunks, self.gap_us, self.hold, self.size
        );
        while text.len() < prompt {
            text.push_str(" All quiet at the harbour, boat seven came in late.");
        }
        text.truncate(prompt.max(text.find("]]").unwrap_or(0) + 2));
        let stream =
            if self.streams() { r#""stream":true,"stream_options":{"include_usage":true},"# } else { "" };
        format!(r#"{{"model":"{model}",{stream}"messages":[{{"role":"user","content":"{text}"}}]}}"#)
    }

    /// Returns the text of the answer.
    pub(crate) fn text(&self) -> String {
        if self.streams() { (1..self.chunks - 2).map(word).collect() } else { filling(self.size) }
    }

    /// Returns the events of the stream as OpenAI sends them. The last one has `[DONE]` behind it, so that there are
    /// exactly as many as chunks.
    pub(crate) fn events(&self) -> Vec<String> {
        let last = self.chunks - 1;
        let mut events: Vec<_> = (0..self.chunks).map(|number| event(number, last)).collect();
        events[last].push_str("data: [DONE]\n\n");
        events
    }

    /// Returns the body of the whole answer.
    pub(crate) fn body(&self) -> String {
        format!(
            r#"{{"id":"chatcmpl-BxQ7kq3Yp2mC9vTn4sLd8wRzJ1eHf","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":52,"completion_tokens":75,"total_tokens":127,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_560af6e559"}}"#,
            filling(self.size)
        )
    }
}

/// Every word is another one, so that none can be lost, doubled or moved unseen.
fn word(number: usize) -> String {
    format!(" w{number:05}")
}

fn filling(size: usize) -> String {
    let mut text = String::with_capacity(size + 8);
    let mut number = 0;
    while text.len() < size {
        let _infallible = write!(text, "{}", word(number));
        number += 1;
    }
    text.truncate(size);
    text
}

/// About 300 bytes, as vendors send them: first the role, then words, the reason of the end, and the usage.
fn event(number: usize, last: usize) -> String {
    let (choices, usage) = if number == last {
        let words = last - 2;
        (
            String::new(),
            format!(
                r#"{{"prompt_tokens":52,"completion_tokens":{words},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":0}}}}"#,
                words + 52
            ),
        )
    } else {
        let (delta, reason) = match number {
            0 => (r#"{"role":"assistant","content":"","refusal":null}"#.to_owned(), "null"),
            number if number == last - 1 => ("{}".to_owned(), r#""stop""#),
            number => (format!(r#"{{"content":"{}"}}"#, word(number)), "null"),
        };
        let choice = format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}"#);
        (choice, "null".to_owned())
    };
    format!(
        "data: {{\"id\":\"chatcmpl-BxQ7kq3Yp2mC9vTn4sLd8wRzJ1eHf\",\"object\":\"chat.completion.chunk\",\
         \"created\":1790000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\
         \"system_fingerprint\":\"fp_560af6e559\",\"choices\":[{choices}],\"usage\":{usage},\
         \"obfuscation\":\"uT9dKp3wQx\"}}\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_found_in_the_request_that_carries_it() {
        for script in [
            Script::whole(300),
            Script::stream(100, 27),
            Script { exact: true, ..Script::stream(100, 27) },
            Script { hold: 1, ..Script::stream(4, 0) },
        ] {
            for prompt in [0, 128, 100_000] {
                let request = script.request(MODEL, prompt);
                assert_eq!(Script::find(request.as_bytes()), Some(script), "{request}");
                serde_json::from_str::<serde_json::Value>(&request).unwrap();
            }
        }
    }

    #[test]
    fn a_stream_has_as_many_events_as_chunks_and_one_end() {
        let events = Script::stream(100, 0).events();
        assert_eq!(events.len(), 100);
        assert_eq!(events.concat().matches("[DONE]").count(), 1);
        for event in &events[1..98] {
            assert!((290..350).contains(&event.len()), "{}", event.len());
        }
    }
}
