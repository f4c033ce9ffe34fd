//! Whether a streamed JSON value is complete. No parser: brackets and strings are enough to know.

/// Follows one JSON value piece by piece.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Nesting {
    /// Looks at the next piece.
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth += 1;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Returns whether an object or array was begun and closed.
    pub(super) fn is_complete(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_bracket() {
        let text = r#"{"a": "}\"]", "b": [1, {"c": "\\"}]}"#;
        let mut nesting = Nesting::default();
        for (at, letter) in text.char_indices() {
            assert!(!nesting.is_complete(), "{at}");
            nesting.push(&letter.to_string());
        }
        assert!(nesting.is_complete());
    }
}
