//! What a plugin answers: verdicts, errors, and the spans that mask a text.

use serde::Serialize;
use thiserror::Error;

/// Bytes `start` to `end` (not included) of a text become `replacement`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// First byte after it.
    pub end: u32,
    /// What stands there instead.
    pub replacement: String,
}

impl Span {
    /// Returns the span of `length` bytes from `start`, or `None` where it reaches beyond 4 GiB.
    ///
    /// ```
    /// use tidegate_plugin_sdk::Span;
    /// let span = Span::new(4, 6, "***").unwrap();
    /// assert_eq!((span.start, span.end), (4, 10));
    /// ```
    #[must_use]
    pub fn new(start: usize, length: usize, replacement: impl Into<String>) -> Option<Self> {
        let end = u32::try_from(start.checked_add(length)?).ok()?;
        Some(Self { start: u32::try_from(start).ok()?, end, replacement: replacement.into() })
    }
}

/// The spans of one piece, in ascending order, none overlapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// Index into the pieces of the subject.
    pub piece: u32,
    /// What is replaced.
    pub spans: Vec<Span>,
}

/// Why a check did not pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// For programs, like `email_found`.
    pub code: String,
    /// A sentence for the end user.
    pub message: String,
}

impl Reason {
    /// Returns a reason.
    ///
    /// ```
    /// use tidegate_plugin_sdk::Reason;
    /// assert_eq!(Reason::new("email_found", "The answer holds an e-mail address").code, "email_found");
    /// ```
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// What a check says of a whole input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Goes on as it is.
    Pass,
    /// Passes once the spans are replaced.
    Mask(Vec<Mask>),
    /// Passes as this body: JSON in the client's dialect. Whole requests and whole answers only.
    Rewrite(String),
    /// Failed. Whether it goes on is the attachment's business (`deny`).
    Fail(Reason),
    /// Must not go on, whatever the attachment says.
    Block(Reason),
}

/// A verdict with what else the check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// A JSON object for results and logs.
    pub data_json: Option<String>,
}

impl Judgement {
    /// Returns a pass without data.
    #[must_use]
    pub fn pass() -> Self {
        Verdict::Pass.into()
    }

    /// Returns a failed verdict without data.
    #[must_use]
    pub fn fail(code: &str, message: impl Into<String>) -> Self {
        Verdict::Fail(Reason::new(code, message)).into()
    }

    /// Adds data, which must be a JSON object, for results and logs.
    ///
    /// ```
    /// use tidegate_plugin_sdk::{Judgement, json};
    /// let judgement = Judgement::pass().with_data(&json!({"words": 2}));
    /// assert_eq!(judgement.data_json.as_deref(), Some(r#"{"words":2}"#));
    /// ```
    #[must_use]
    pub fn with_data(self, data: &impl Serialize) -> Self {
        Self { data_json: serde_json::to_string(data).ok(), ..self }
    }
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, data_json: None }
    }
}

/// Why a check could not judge. It is an error of the check, not of what it judged: the attachment's failure policy
/// decides.
#[derive(Clone, Debug, Default, Error, PartialEq, Eq)]
#[error("{name}: {message}")]
pub struct CheckError {
    /// A class, like `SyntaxError`.
    pub name: String,
    /// What is wrong.
    pub message: String,
    /// A JSON object for results and logs.
    pub data_json: Option<String>,
}

impl CheckError {
    /// Returns an error of a class.
    #[must_use]
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), message: message.into(), data_json: None }
    }

    /// Returns the error of a check or condition that the plugin does not have.
    #[must_use]
    pub fn unknown(name: &str) -> Self {
        Self::new("UnknownCheck", format!("this plugin has no {name}"))
    }

    /// Adds data, which must be a JSON object, for results and logs.
    #[must_use]
    pub fn with_data(self, data: &impl Serialize) -> Self {
        Self { data_json: serde_json::to_string(data).ok(), ..self }
    }
}

/// Why spans can't be applied to a text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SpanError {
    /// It ends before it starts.
    #[error("span {0} ends before it starts")]
    Backwards(usize),
    /// It starts before the end of the span before it.
    #[error("span {0} overlaps the span before it, or is out of order")]
    Order(usize),
    /// It reaches beyond the text.
    #[error("span {0} reaches beyond the text")]
    Beyond(usize),
    /// It cuts a character of more than one byte.
    #[error("span {0} cuts a UTF-8 character")]
    Cut(usize),
}

/// Returns the text with its spans replaced.
///
/// # Errors
/// [`SpanError`] with the index of the first span that can't be applied.
///
/// ```
/// use tidegate_plugin_sdk::{Span, SpanError, masked};
/// assert_eq!(masked("call 555", &[Span { start: 5, end: 8, replacement: "***".into() }]), Ok("call ***".into()));
/// assert_eq!(masked("é", &[Span { start: 1, end: 2, replacement: String::new() }]), Err(SpanError::Cut(0)));
/// ```
pub fn masked(text: &str, spans: &[Span]) -> Result<String, SpanError> {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (index, span) in spans.iter().enumerate() {
        let (start, end) = (span.start as usize, span.end as usize);
        if end < start {
            return Err(SpanError::Backwards(index));
        }
        if start < done {
            return Err(SpanError::Order(index));
        }
        if end > text.len() {
            return Err(SpanError::Beyond(index));
        }
        let (Some(before), true) = (text.get(done..start), text.is_char_boundary(end)) else {
            return Err(SpanError::Cut(index));
        };
        out.push_str(before);
        out.push_str(&span.replacement);
        done = end;
    }
    // `done` is a boundary within the text: it was checked as an end above.
    out.push_str(text.get(done..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(start: u32, end: u32) -> Span {
        Span { start, end, replacement: "*".to_owned() }
    }

    #[test]
    fn spans_that_cannot_be_applied_are_named() {
        for (spans, error) in [
            (vec![span(0, 1), span(3, 2)], SpanError::Backwards(1)),
            (vec![span(0, 2), span(1, 3)], SpanError::Order(1)),
            (vec![span(2, 3), span(0, 1)], SpanError::Order(1)),
            (vec![span(0, 9)], SpanError::Beyond(0)),
            (vec![span(0, 4)], SpanError::Cut(0)),
            (vec![span(4, 5)], SpanError::Cut(0)),
        ] {
            assert_eq!(masked("abcé", &spans), Err(error), "{spans:?}");
        }
    }

    #[test]
    fn neighbours_and_empty_spans_are_fine() {
        assert_eq!(masked("abc", &[span(0, 1), span(1, 1), span(1, 3)]).as_deref(), Ok("***"));
        assert_eq!(masked("abc", &[]).as_deref(), Ok("abc"));
    }

    proptest! {
        #[test]
        fn masking_every_hit_is_replacing_every_hit(text in "[ab é]{0,40}", replacement in "[xé]{0,3}") {
            let spans: Vec<Span> =
                text.match_indices("é").filter_map(|(at, hit)| Span::new(at, hit.len(), &*replacement)).collect();
            prop_assert_eq!(masked(&text, &spans), Ok(text.replace('é', &replacement)));
        }

        #[test]
        fn any_spans_are_applied_or_refused(text in ".{0,12}", ends in prop::collection::vec((0u32..30, 0u32..30), 0..5)) {
            let spans: Vec<Span> = ends.into_iter().map(|(start, end)| span(start, end)).collect();
            let kept: usize = spans.iter().map(|span| span.end.saturating_sub(span.start) as usize).sum();
            if let Ok(masked) = masked(&text, &spans) {
                prop_assert_eq!(masked.len(), text.len() - kept + spans.len());
            }
        }
    }
}
