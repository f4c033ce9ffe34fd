//! Whether an answer is the one that was sent: byte for byte, or, for gateways that write it anew, by what it says.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::script::Script;

/// How closely answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closeness {
    /// Every byte of the body.
    Bytes,
    /// The text, one end, one usage; events may be cut elsewhere.
    Text,
}

/// What is read of an answer, or of an event: a tree of all of it would cost the load more than the target.
#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// A choice of it.
#[derive(Deserialize)]
struct Choice {
    /// Of an event.
    delta: Option<Text>,
    /// Of a whole answer.
    message: Option<Text>,
    finish_reason: Option<IgnoredAny>,
}

/// A text, or a piece of one.
#[derive(Deserialize)]
struct Text {
    content: Option<String>,
}

/// Compares answers to one script, one after the other.
#[derive(Clone)]
pub(crate) struct Verifier {
    script: Script,
    closeness: Closeness,
    /// The body or the text that must come.
    wanted: Arc<[u8]>,
    at: usize,
    /// Where the first text of an answer begins.
    token: usize,
    /// What came of all answers of a measurement, in bytes of what is wanted.
    seen: Rc<Cell<u64>>,
    line: Vec<u8>,
    usages: usize,
    ends: usize,
    dones: usize,
    fault: Option<String>,
}

impl Verifier {
    pub(crate) fn new(script: Script, closeness: Closeness, seen: Rc<Cell<u64>>) -> Self {
        let token = match closeness {
            // The first event says the role only.
            Closeness::Bytes if script.streams() => script.events()[0].len(),
            _ => 0,
        };
        let wanted = match closeness {
            Closeness::Bytes if script.streams() => script.events().concat(),
            Closeness::Bytes => script.body(),
            Closeness::Text => script.text(),
        };
        Self {
            script,
            closeness,
            wanted: wanted.into_bytes().into(),
            at: 0,
            token,
            seen,
            line: Vec::new(),
            usages: 0,
            ends: 0,
            dones: 0,
            fault: None,
        }
    }

    /// Forgets the answer before.
    pub(crate) fn start(&mut self) {
        self.at = 0;
        self.line.clear();
        (self.usages, self.ends, self.dones) = (0, 0, 0);
        self.fault = None;
    }

    /// Returns the bytes that are wanted of one answer.
    pub(crate) fn length(&self) -> usize {
        self.wanted.len()
    }

    /// Says whether the first text has come.
    pub(crate) fn has_token(&self) -> bool {
        self.at > self.token
    }

    /// Takes more of the body.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.closeness == Closeness::Bytes {
            self.expect(bytes);
        } else if self.script.streams() {
            for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
                self.line.extend_from_slice(piece);
                if piece.ends_with(b"\n") {
                    let line = std::mem::take(&mut self.line);
                    self.line(&line);
                    self.line = line;
                    self.line.clear();
                }
            }
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    /// Judges the answer as a whole.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        if self.closeness == Closeness::Text {
            if self.script.streams() {
                if (self.usages, self.ends, self.dones) != (1, 1, 1) {
                    self.fault.get_or_insert(format!(
                        "{} usages, {} ends, {} [DONE]",
                        self.usages, self.ends, self.dones
                    ));
                }
            } else {
                let line = std::mem::take(&mut self.line);
                let said: Said = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
                let text = said.choices.into_iter().next().and_then(|choice| choice.message?.content);
                self.expect(text.unwrap_or_default().as_bytes());
                self.line = line;
            }
        }
        if self.at < self.wanted.len() {
            self.fault.get_or_insert(format!("{} of {} bytes came", self.at, self.wanted.len()));
        }
        self.fault.take().map_or(Ok(()), Err)
    }

    fn expect(&mut self, bytes: &[u8]) {
        if self.wanted.get(self.at..self.at + bytes.len()) != Some(bytes) {
            let wanted = &self.wanted[self.at.min(self.wanted.len())..];
            self.fault.get_or_insert_with(|| {
                format!("byte {}: {:?} instead of {:?}", self.at, excerpt(bytes), excerpt(wanted))
            });
        }
        self.at += bytes.len();
        self.seen.set(self.seen.get() + bytes.len() as u64);
    }

    fn line(&mut self, line: &[u8]) {
        let Some(data) = line.trim_ascii().strip_prefix(b"data:") else { return };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.dones += 1;
            return;
        }
        if self.dones > 0 {
            self.fault.get_or_insert("an event behind [DONE]".to_owned());
        }
        let said: Said = match serde_json::from_slice(data) {
            Ok(said) => said,
            Err(error) => {
                self.fault.get_or_insert(format!("{error}: {:?}", excerpt(data)));
                return;
            }
        };
        self.usages += usize::from(said.usage.is_some());
        if said.error.is_some() {
            self.fault.get_or_insert(format!("an error event: {:?}", excerpt(data)));
        }
        let Some(choice) = said.choices.into_iter().next() else { return };
        self.ends += usize::from(choice.finish_reason.is_some());
        if let Some(text) = choice.delta.and_then(|delta| delta.content) {
            self.expect(text.as_bytes());
        }
    }
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(closeness: Closeness, events: &[String]) -> Result<(), String> {
        let mut verifier = Verifier::new(Script::stream(10, 0), closeness, Rc::default());
        let body = events.concat();
        for cut in [0, 1, 77, body.len()] {
            verifier.start();
            verifier.take(&body.as_bytes()[..cut]);
            verifier.take(&body.as_bytes()[cut..]);
            verifier.end()?;
        }
        Ok(())
    }

    #[test]
    fn what_was_sent_is_right_and_anything_else_is_found() {
        for closeness in [Closeness::Bytes, Closeness::Text] {
            let sent = Script::stream(10, 0).events();
            verify(closeness, &sent).unwrap();
            let mut lost = sent.clone();
            lost.remove(4);
            let mut doubled = sent.clone();
            doubled.insert(4, sent[4].clone());
            let mut changed = sent.clone();
            changed[4] = changed[4].replace("w0", "W0");
            let mut moved = sent.clone();
            moved.swap(4, 5);
            let endless: Vec<_> = sent.iter().map(|event| event.replace("data: [DONE]\n\n", "")).collect();
            for wrong in [lost, doubled, changed, moved, endless, sent[..9].to_vec()] {
                verify(closeness, &wrong).unwrap_err();
            }
        }
    }
}
