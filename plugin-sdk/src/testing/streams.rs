//! Streams as the host shows them: the text arrives in pieces, a window is what was released for context and what was
//! not, and what a span covers stays until the span is whole.

use crate::call::Subject;
use crate::params::Params;
use crate::plugin::Plugin;
use crate::verdict::{CheckError, Reason, Span, Verdict, masked};
use crate::window::{StreamWindow, WindowVerdict};

/// What became of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streamed {
    /// What the client got. Ends where the check blocked.
    pub text: String,
    /// The first reason of a failed verdict.
    pub failed: Option<Reason>,
    /// The reason of a block.
    pub blocked: Option<Reason>,
    /// The last data.
    pub data_json: Option<String>,
}

/// Runs a check on a text that arrives in pieces.
///
/// # Errors
/// What the check answers, spans that can't be applied, and parameters that are no JSON object.
pub fn stream<P: Plugin>(check: &str, params_json: &str, pieces: &[&str]) -> Result<Streamed, CheckError> {
    stream_holding::<P>(check, params_json, pieces, 0)
}

/// As [`stream`], where another guard of the same stream needs so many bytes more held back.
///
/// # Errors
/// As [`stream`].
pub fn stream_holding<P: Plugin>(
    check: &str,
    params_json: &str,
    pieces: &[&str],
    more: usize,
) -> Result<Streamed, CheckError> {
    let params = Params::parse(params_json)?;
    let needs = P::needs(check, &params)?;
    let hold = (needs.lookahead as usize).saturating_add(more);
    let mut whole = String::new();
    let (mut released, mut state, mut out) = (0, Vec::new(), Streamed::default());
    for index in 0..=pieces.len() {
        let last = index == pieces.len();
        whole.push_str(pieces.get(index).copied().unwrap_or_default());
        // Nothing could leave, so nobody is asked.
        if !last && whole.len() - released <= hold {
            continue;
        }
        let from = floor(&whole, released.saturating_sub(needs.overlap as usize));
        let overlap = released - from;
        let text = whole.get(from..).unwrap_or_default().to_owned();
        let window = StreamWindow {
            text: text.clone(),
            overlap: u32::try_from(overlap).unwrap_or(u32::MAX),
            last,
            kind: "text".to_owned(),
            index: 0,
            state,
        };
        let answer = P::window(check, &params, &window)?;
        state = answer.state;
        out.data_json = answer.data_json.or(out.data_json);
        let mut release = if last { text.len() } else { floor(&text, text.len().saturating_sub(hold)) };
        release = release.max(overlap);
        let spans = match answer.verdict {
            WindowVerdict::Pass => Vec::new(),
            WindowVerdict::Mask(spans) => spans,
            WindowVerdict::Fail(reason) => {
                out.failed.get_or_insert(reason);
                Vec::new()
            }
            WindowVerdict::Block(reason) => {
                out.blocked = Some(reason);
                return Ok(out);
            }
        };
        // Refuses what the host refuses: spans out of order, or out of the text.
        masked(&text, &spans).map_err(|error| CheckError::new("SpanError", error.to_string()))?;
        let mut spans: Vec<Span> = spans.into_iter().filter(|span| span.start as usize >= overlap).collect();
        if let Some(straddling) = spans.iter().find(|span| span.end as usize > release) {
            release = release.min(straddling.start as usize);
        }
        spans.retain(|span| (span.start as usize) < release || last);
        for span in &mut spans {
            span.start -= u32::try_from(overlap).unwrap_or(u32::MAX);
            span.end -= u32::try_from(overlap).unwrap_or(u32::MAX);
        }
        let leaving = text.get(overlap..release).unwrap_or_default();
        out.text +=
            &masked(leaving, &spans).map_err(|error| CheckError::new("SpanError", error.to_string()))?;
        released = from + release;
    }
    Ok(out)
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Asserts that a stream ends with the same text and verdict as the whole answer: cut in two at every character, in
/// single characters, and with more or less held back. Blocks and fails need not leave the same text behind.
///
/// # Panics
/// Where they differ.
#[expect(clippy::panic, reason = "an assertion for tests")]
pub fn assert_streams_like_whole<P: Plugin>(check: &str, params_json: &str, text: &str) {
    let fail =
        |how: &str, problem: String| -> ! { panic!("{check} {params_json} on {text:?}, {how}: {problem}") };
    let judgement = match super::check::<P>(check, params_json, &Subject::output(text)) {
        Ok(judgement) => judgement,
        Err(error) => fail("whole", error.to_string()),
    };
    let mut whole = Streamed { text: text.to_owned(), data_json: judgement.data_json, ..Streamed::default() };
    match judgement.verdict {
        Verdict::Pass => {}
        Verdict::Mask(masks) => {
            for mask in masks {
                match masked(text, &mask.spans) {
                    Ok(masked) => whole.text = masked,
                    Err(error) => fail("whole", error.to_string()),
                }
            }
        }
        Verdict::Rewrite(_) => fail("whole", "a rewrite can't be compared".to_owned()),
        Verdict::Fail(reason) => whole.failed = Some(reason),
        Verdict::Block(reason) => whole.blocked = Some(reason),
    }
    let boundaries = text.char_indices().map(|(at, _)| at);
    let mut cuts: Vec<Vec<&str>> = boundaries
        .filter_map(|at| text.split_at_checked(at))
        .map(|(before, after)| vec![before, after])
        .collect();
    cuts.push(text.char_indices().filter_map(|(at, letter)| text.get(at..at + letter.len_utf8())).collect());
    for (pieces, more) in cuts.iter().flat_map(|pieces| [0, 1, 7, 64].map(|more| (pieces, more))) {
        let how = format!("streamed as {pieces:?} with {more} bytes more held");
        let streamed = match stream_holding::<P>(check, params_json, pieces, more) {
            Ok(streamed) => streamed,
            Err(error) => fail(&how, error.to_string()),
        };
        let same = streamed.failed == whole.failed
            && streamed.blocked == whole.blocked
            && (whole.blocked.is_some()
                || streamed.text == whole.text && streamed.data_json == whole.data_json);
        if !same {
            fail(&how, format!("{streamed:?} is not {whole:?}"));
        }
    }
}
