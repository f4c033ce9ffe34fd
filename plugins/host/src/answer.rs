//! Whether an answer keeps to its question, its manifest and its limits.

use serde::de::IgnoredAny;

use crate::bindings::{Answer, Ask};
use crate::spans::{check_masks, check_spans};
use crate::{
    CallError, CallView, CheckError, CheckInfo, Judgement, Manifest, Reason, Span, StreamWindow, Subject,
    Verdict, WindowAnswer, WindowVerdict,
};

/// What a record in a list takes besides its texts.
const RECORD: usize = 32;

/// Takes a judgement.
pub(crate) fn judgement(
    judged: Result<Judgement, CheckError>,
    info: &CheckInfo,
    subject: &Subject,
) -> Result<Judgement, CallError> {
    let judgement = judged.map_err(CallError::Check)?;
    match &judgement.verdict {
        Verdict::Mask(_) if !info.mutates => return Err(CallError::NotDeclared("mask")),
        Verdict::Rewrite(_) if !info.mutates => return Err(CallError::NotDeclared("rewrite")),
        Verdict::Mask(masks) => check_masks(&subject.pieces, masks).map_err(CallError::BadSpans)?,
        Verdict::Rewrite(body) if !is_object(body) => {
            return Err(CallError::BadData("the rewritten body is no JSON object"));
        }
        Verdict::Pass | Verdict::Rewrite(_) | Verdict::Fail(_) | Verdict::Block(_) => {}
    }
    check_data(judgement.data_json.as_deref())?;
    Ok(judgement)
}

/// Takes the answer to a window.
pub(crate) fn window(
    judged: Result<WindowAnswer, CheckError>,
    info: &CheckInfo,
    window: &StreamWindow,
) -> Result<WindowAnswer, CallError> {
    let answer = judged.map_err(CallError::Check)?;
    if let WindowVerdict::Mask(spans) = &answer.verdict {
        if !info.mutates {
            return Err(CallError::NotDeclared("mask"));
        }
        check_spans(&window.text, spans).map_err(CallError::BadSpans)?;
    }
    check_data(answer.data_json.as_deref())?;
    Ok(answer)
}

fn check_data(data: Option<&str>) -> Result<(), CallError> {
    if data.is_none_or(is_object) { Ok(()) } else { Err(CallError::BadData("data-json is no JSON object")) }
}

fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok()
}

/// Returns about how many bytes a question takes in the guest's memory.
pub(crate) fn input_size(ask: &Ask) -> usize {
    match ask {
        Ask::Describe => 0,
        Ask::Check { check, params, subject } => check.len() + params.len() + subject_size(subject),
        Ask::Needs { check, params } => check.len() + params.len(),
        Ask::Window { check, params, window } => {
            check.len() + params.len() + window.text.len() + window.kind.len() + window.state.len()
        }
        Ask::Matches { condition, params, call } => condition.len() + params.len() + call_size(call),
    }
}

/// Returns about how many bytes an answer takes.
pub(crate) fn output_size(answer: &Answer) -> usize {
    match answer {
        Answer::Manifest(manifest) => manifest_size(manifest),
        Answer::Judgement(Ok(judgement)) => {
            option_size(judgement.data_json.as_ref()) + verdict_size(&judgement.verdict)
        }
        Answer::Window(Ok(answer)) => {
            option_size(answer.data_json.as_ref()) + answer.state.len() + window_verdict_size(&answer.verdict)
        }
        Answer::Needs(Ok(_)) | Answer::Matches(Ok(_)) => RECORD,
        Answer::Judgement(Err(error))
        | Answer::Window(Err(error))
        | Answer::Needs(Err(error))
        | Answer::Matches(Err(error)) => {
            error.name.len() + error.message.len() + option_size(error.data_json.as_ref())
        }
    }
}

fn verdict_size(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Mask(masks) => masks.iter().map(|mask| RECORD + spans_size(&mask.spans)).sum(),
        Verdict::Rewrite(body) => body.len(),
        Verdict::Fail(reason) | Verdict::Block(reason) => reason_size(reason),
    }
}

fn window_verdict_size(verdict: &WindowVerdict) -> usize {
    match verdict {
        WindowVerdict::Pass => 0,
        WindowVerdict::Mask(spans) => spans_size(spans),
        WindowVerdict::Fail(reason) | WindowVerdict::Block(reason) => reason_size(reason),
    }
}

fn subject_size(subject: &Subject) -> usize {
    let pieces: usize = subject
        .pieces
        .iter()
        .map(|piece| RECORD + piece.text.len() + piece.kind.len() + piece.role.len())
        .sum();
    pieces + call_size(&subject.call) + option_size(subject.body_json.as_ref()) + pairs_size(&subject.extra)
}

fn call_size(call: &CallView) -> usize {
    let messages: usize = call
        .messages
        .iter()
        .map(|message| {
            let tool_calls: usize = message
                .tool_calls
                .iter()
                .map(|call| RECORD + call.id.len() + call.name.len() + call.arguments_json.len())
                .sum();
            RECORD
                + message.role.len()
                + option_size(message.text.as_ref())
                + tool_calls
                + option_size(message.tool_call_id.as_ref())
                + option_size(message.parts_json.as_ref())
                + pairs_size(&message.extra)
        })
        .sum();
    messages
        + call.endpoint.len()
        + call.model.len()
        + option_size(call.provider.as_ref())
        + option_size(call.params_json.as_ref())
        + pairs_size(&call.metadata)
        + option_size(call.user.as_ref())
        + pairs_size(&call.extra)
}

fn manifest_size(manifest: &Manifest) -> usize {
    let checks: usize = manifest
        .checks
        .iter()
        .map(|info| RECORD + info.name.len() + info.params_schema_json.len() + pairs_size(&info.extra))
        .sum();
    let conditions: usize = manifest
        .conditions
        .iter()
        .map(|info| RECORD + info.name.len() + info.params_schema_json.len() + pairs_size(&info.extra))
        .sum();
    let wants: usize = manifest.wants.iter().map(|want| RECORD + want.len()).sum();
    manifest.id.len() + manifest.version.len() + checks + conditions + wants + pairs_size(&manifest.extra)
}

fn spans_size(spans: &[Span]) -> usize {
    spans.iter().map(|span| RECORD + span.replacement.len()).sum()
}

fn reason_size(reason: &Reason) -> usize {
    reason.code.len() + reason.message.len()
}

fn option_size(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

fn pairs_size(pairs: &[(String, String)]) -> usize {
    pairs.iter().map(|(name, value)| RECORD + name.len() + value.len()).sum()
}
