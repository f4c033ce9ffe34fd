//! Multipart forms (RFC 7578), opened just far enough to read small fields and exchange the model's name.

use crate::error::{ErrorKind, GatewayError};

/// A form whose parts are slices of the body.
pub(super) struct Form<'a> {
    content_type: &'a str,
    /// What stands before every part.
    delimiter: String,
    body: &'a [u8],
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    name: String,
    is_file: bool,
    value: &'a [u8],
    /// Where the value stands in the body.
    start: usize,
    /// Where the whole part stands, with the delimiter before it.
    span: std::ops::Range<usize>,
}

/// A field to be written into a form: its name, and its values; none removes it.
pub(super) type Field = (String, Vec<String>);

impl<'a> Form<'a> {
    /// Opens a form.
    ///
    /// # Errors
    /// 400 when the boundary is missing or the body does not follow it.
    pub(super) fn parse(content_type: &'a str, body: &'a [u8]) -> Result<Self, GatewayError> {
        let boundary = content_type
            .split(';')
            .filter_map(|parameter| parameter.trim().split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("boundary"))
            .map(|(_, value)| value.trim_matches('"'))
            .filter(|value| !value.is_empty() && value.len() <= 70)
            .ok_or_else(|| broken("the content type names no boundary"))?;
        let delimiter = format!("--{boundary}");
        let finder = memchr::memmem::Finder::new(delimiter.as_bytes());
        let mut at =
            finder.find(body).ok_or_else(|| broken("the boundary does not occur"))? + delimiter.len();
        let mut parts = Vec::new();
        while !body[at..].starts_with(b"--") {
            let head_start = at + line_end(&body[at..]).ok_or_else(|| broken("a boundary line is cut"))?;
            let next =
                finder.find(&body[head_start..]).ok_or_else(|| broken("the last boundary is missing"))?
                    + head_start;
            let part = &body[head_start..next];
            let head_length =
                memchr::memmem::find(part, b"\r\n\r\n").ok_or_else(|| broken("a part has no head"))?;
            let start = head_start + head_length + 4;
            // The line end before a boundary belongs to the boundary.
            let end = if body[..next].ends_with(b"\r\n") { next - 2 } else { next };
            let head = String::from_utf8_lossy(&part[..head_length]);
            let value = body.get(start..end).ok_or_else(|| broken("a part is cut"))?;
            if let Some(name) = parameter(&head, "name") {
                let is_file = parameter(&head, "filename").is_some();
                let span = at - delimiter.len()..next;
                parts.push(Part { name, is_file, value, start, span });
            }
            at = next + delimiter.len();
        }
        Ok(Self { content_type, delimiter, body, parts })
    }

    /// Returns the content type, boundary included.
    #[must_use]
    pub(super) fn content_type(&self) -> &str {
        self.content_type
    }

    /// Returns a small field's text.
    #[must_use]
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().find(|part| part.name == name && !part.is_file)?;
        std::str::from_utf8(part.value).ok()
    }

    /// Returns how many parts have this name.
    pub(super) fn count(&self, name: &str) -> usize {
        self.parts.iter().filter(|part| part.name == name).count()
    }

    /// Returns the bytes of all files.
    #[must_use]
    pub(super) fn file_bytes(&self) -> u64 {
        self.parts.iter().filter(|part| part.is_file).map(|part| part.value.len() as u64).sum()
    }

    /// Returns the body with another model name.
    #[must_use]
    pub(super) fn with_model(&self, model: &str) -> Vec<u8> {
        self.with_texts(&[("model", model.to_owned())])
    }

    /// Returns the texts that people wrote into the form.
    pub(super) fn texts(&self) -> Vec<(&'static str, String)> {
        let text = |name: &'static str| Some((name, self.text(name)?.to_owned()));
        ["prompt"].into_iter().filter_map(text).collect()
    }

    /// Returns whether a part has this name.
    #[must_use]
    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name == name)
    }

    /// Returns the body with these fields in the place of those of the same names.
    #[must_use]
    pub(super) fn with_fields(&self, fields: &[Field]) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.body.len() + 256);
        for part in &self.parts {
            // A list is written as `name[]`.
            let plain = part.name.strip_suffix("[]").unwrap_or(&part.name);
            if !fields.iter().any(|(name, _)| name == plain || *name == part.name) {
                body.extend_from_slice(&self.body[part.span.clone()]);
            }
        }
        for (name, values) in fields {
            let list = if values.len() > 1 && !name.ends_with("[]") { "[]" } else { "" };
            // As browsers do (HTML, multipart/form-data encoding algorithm).
            let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
            for value in values {
                let head = format!(
                    "{}\r\nContent-Disposition: form-data; name=\"{name}{list}\"\r\n\r\n",
                    self.delimiter
                );
                body.extend_from_slice(head.as_bytes());
                // What looks like the boundary would end the part.
                body.extend_from_slice(value.replace(&self.delimiter, "").as_bytes());
                body.extend_from_slice(b"\r\n");
            }
        }
        body.extend_from_slice(format!("{}--\r\n", self.delimiter).as_bytes());
        body
    }

    /// Returns the body with other values in some fields.
    #[must_use]
    pub(super) fn with_texts(&self, texts: &[(&'static str, String)]) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.body.len());
        let mut done = 0;
        for part in self.parts.iter().filter(|part| !part.is_file) {
            let Some((_, text)) = texts.iter().find(|(name, _)| *name == part.name) else { continue };
            body.extend_from_slice(&self.body[done..part.start]);
            body.extend_from_slice(text.as_bytes());
            done = part.start + part.value.len();
        }
        body.extend_from_slice(&self.body[done..]);
        body
    }
}

/// Returns the length up to and including the first line end.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|at| at + 1)
}

/// Returns a parameter of the Content-Disposition line.
fn parameter(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    line.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"').to_owned())
    })
}

fn broken(reason: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, format!("the multipart body can't be read: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";
    const BODY: &[u8] = b"--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n@a/whisper-1\r\n\
        --xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\nRI\r\nFF\r\n--xyz--\r\n";

    #[test]
    fn the_model_is_exchanged_and_nothing_else() {
        let form = Form::parse(TYPE, BODY).unwrap();
        assert_eq!(form.text("model"), Some("@a/whisper-1"));
        assert_eq!((form.text("file"), form.file_bytes()), (None, 6));
        let changed = form.with_model("whisper-1");
        assert_eq!(changed.len(), BODY.len() - 3);
        assert_eq!(Form::parse(TYPE, &changed).unwrap().text("model"), Some("whisper-1"));
    }

    #[test]
    fn fields_are_replaced_added_and_removed() {
        let form = Form::parse(TYPE, BODY).unwrap();
        let text = |text: &str| vec![text.to_owned()];
        let changed = form.with_fields(&[
            ("model".to_owned(), Vec::new()),
            ("language".to_owned(), text("de--xyz")),
            ("timestamp_granularities".to_owned(), vec!["word".to_owned(), "segment".to_owned()]),
        ]);
        let form = Form::parse(TYPE, &changed).unwrap();
        assert_eq!((form.text("model"), form.text("language"), form.file_bytes()), (None, Some("de"), 6));
        assert_eq!(form.count("timestamp_granularities[]"), 2);
    }

    #[test]
    fn broken_forms_are_refused() {
        for (content_type, body) in [
            ("multipart/form-data", BODY),
            (TYPE, &BODY[..40]),
            (TYPE, b"--xyz\r\nx\r\n--xyz--"),
            (TYPE, b"--xyz"),
        ] {
            assert!(Form::parse(content_type, body).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..200) {
            let _any = Form::parse(TYPE, &bytes);
            let _cut = Form::parse(TYPE, &BODY[..cut.min(BODY.len())]);
        }
    }
}
