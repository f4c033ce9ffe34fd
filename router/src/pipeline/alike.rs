//! Recognises frames of a stream that differ from an earlier one only in their text, so that they need no parsing.
//!
//! A vendor's chunks are the same but for a few words. Where a frame was parsed and found to say nothing but one piece
//! of text, any frame that has the same bytes around another plain JSON string says the same of that string. Plain:
//! without escapes, quotes and control characters, and UTF-8. Nothing is guessed: what differs elsewhere is parsed.

use tidegate_providers::plain_length;

/// OpenAI pads its chunks with a random string, so that their lengths tell nothing.
const PADDING: &[u8] = b"\"obfuscation\":\"";

/// A frame that was parsed, without its text.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// Up to the text and its opening quote; empty while nothing is known.
    before: Vec<u8>,
    /// From the text's closing quote to the end, or to the padding and its opening quote.
    after: Vec<u8>,
    /// From the padding's closing quote to the end.
    end: Option<Vec<u8>>,
}

impl Alike {
    /// Takes a frame as the pattern: whole, its blank line included. `text` is the piece of the frame that it says;
    /// one that is not a plain part of it is no pattern.
    pub(super) fn learn(&mut self, frame: &[u8], text: &str) {
        let Some((before, rest)) = around(frame, text.as_bytes()) else { return };
        let (after, end) = match memchr::memmem::find(rest, PADDING) {
            Some(at) => {
                let (after, padding) = rest.split_at(at + PADDING.len());
                let Some(end) = plain_end(padding) else { return };
                (after, padding.get(end..))
            }
            None => (rest, None),
        };
        self.before.clear();
        self.before.extend_from_slice(before);
        self.after.clear();
        self.after.extend_from_slice(after);
        self.end = end.map(<[u8]>::to_vec);
    }

    /// Returns the text of the frame that `bytes` begin with, and the frame's length, where it is like the pattern.
    pub(super) fn find<'a>(&self, bytes: &'a [u8]) -> Option<(&'a str, usize)> {
        if self.before.is_empty() {
            return None;
        }
        let rest = bytes.strip_prefix(&self.before[..])?;
        let (text, rest) = rest.split_at(plain_end(rest)?);
        let mut rest = rest.strip_prefix(&self.after[..])?;
        if let Some(end) = &self.end {
            rest = rest.get(plain_end(rest)?..)?.strip_prefix(&end[..])?;
        }
        let text = std::str::from_utf8(text).ok().filter(|text| !text.is_empty())?;
        Some((text, bytes.len() - rest.len()))
    }
}

/// Splits a frame around a text that lies in it, between quotes.
fn around<'a>(frame: &'a [u8], text: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let start = (text.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
    let (before, rest) = frame.split_at_checked(start)?;
    let (inside, after) = rest.split_at_checked(text.len())?;
    let is_string = before.ends_with(b"\"") && plain_end(rest) == Some(text.len());
    (is_string && inside == text).then_some((before, after))
}

/// Returns where a plain string ends that `bytes` begin with: the place of its closing quote.
fn plain_end(bytes: &[u8]) -> Option<usize> {
    let end = plain_length(bytes);
    (bytes.get(end) == Some(&b'"')).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const FRAME: &str =
        "data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\n";

    fn learned(frame: &str, text: &str) -> Alike {
        let mut alike = Alike::default();
        let at = frame.find(&format!("\"{text}\"")).unwrap() + 1;
        alike.learn(frame.as_bytes(), &frame[at..at + text.len()]);
        alike
    }

    #[test]
    fn frames_that_differ_in_their_text_are_found() {
        let alike = learned(FRAME, "Hi");
        let other = FRAME.replace("Hi", " wörld 😀");
        assert_eq!(alike.find(other.as_bytes()), Some((" wörld 😀", other.len())));
        let two = format!("{other}data: x");
        assert_eq!(alike.find(two.as_bytes()), Some((" wörld 😀", other.len())));
    }

    #[test]
    fn everything_else_is_left_to_the_parser() {
        let alike = learned(FRAME, "Hi");
        for other in [
            FRAME.replace("c1", "c2"),
            FRAME.replace("null", "\"stop\""),
            FRAME.replace("Hi", ""),
            FRAME.replace("Hi", "a\\nb"),
            FRAME.replace("Hi", "a\\"),
            FRAME.replace("Hi", "a\",\"x\":\"b"),
            FRAME.replace("Hi", "a\u{1}b"),
            FRAME.replace("\n\n", "\n"),
            FRAME.replace("\n\n", "\r\n\r\n"),
            FRAME.replace("}]}", "}]"),
            FRAME[..40].to_owned(),
            String::new(),
        ] {
            assert_eq!(alike.find(other.as_bytes()), None, "{other}");
        }
        let mut broken = FRAME.replace("Hi", "xx").into_bytes();
        let at = broken.windows(2).position(|two| two == b"xx").unwrap();
        broken[at] = 0xff;
        assert_eq!(alike.find(&broken), None);
        assert_eq!(Alike::default().find(FRAME.as_bytes()), None);
    }

    #[test]
    fn padding_of_any_length_is_passed_over() {
        let padded = FRAME.replace("}]}", "}],\"usage\":null,\"obfuscation\":\"Xy\"}");
        let alike = learned(&padded, "Hi");
        let other = padded.replace("Hi", "there").replace("Xy", "abcdef");
        assert_eq!(alike.find(other.as_bytes()), Some(("there", other.len())));
        assert_eq!(alike.find(other.replace("abcdef", "a\\\"").as_bytes()), None);
    }

    #[test]
    fn a_text_from_elsewhere_is_no_pattern() {
        let mut alike = Alike::default();
        alike.learn(FRAME.as_bytes(), "Hi");
        alike.learn(FRAME.as_bytes(), &FRAME[1..4]);
        assert_eq!(alike.find(FRAME.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_parser_reads(bytes in "[a-z\"\\\\{}:,\u{0}-\u{1f}é ]{0,12}") {
            let frame = FRAME.replace("Hi", &bytes);
            let parsed = frame.trim_start_matches("data: ").trim();
            let parsed = serde_json::from_str::<Value>(parsed).ok();
            let content = parsed.as_ref().and_then(|frame| frame["choices"][0]["delta"]["content"].as_str());
            if let Some((text, length)) = learned(FRAME, "Hi").find(frame.as_bytes()) {
                prop_assert_eq!(Some(text), content);
                prop_assert_eq!(length, frame.len());
            }
        }
    }
}
