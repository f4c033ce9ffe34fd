//! Runs cases against a plugin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_plugin_host::{
    CallError, Mask, Piece, Reason, Span, Subject, Verdict, WindowAnswer, WindowNeeds, WindowVerdict,
};
use tidegate_plugin_host::{Judgement, Plugin};

use super::case::{Case, VerdictKind};
use super::subject::{only, subject};
use super::window::{WindowRule, masked};

/// Instances may be kept for a tenant; cases are one.
const TENANT: &str = "golden";

/// How a case went.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// What the plugin said, like `fail word_found`.
    pub said: String,
    /// How often a text was cut into windows.
    pub streams: usize,
    /// How long judging took, of the whole and of all windows.
    pub took: Duration,
    /// What is not as it should be.
    pub problem: Option<String>,
}

/// What a plugin said, in a form that can be compared.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    kind: VerdictKind,
    /// All texts, masked.
    texts: Vec<String>,
    body: Option<Value>,
    code: Option<String>,
}

impl Said {
    fn new(kind: VerdictKind) -> Self {
        Self { kind, texts: Vec::new(), body: None, code: None }
    }

    fn reason(kind: VerdictKind, reason: &Reason) -> Self {
        Self { code: Some(reason.code.clone()), ..Self::new(kind) }
    }

    fn error(error: &CallError) -> Self {
        let code = match error {
            CallError::Check(error) => error.name.clone(),
            other => other.name().to_owned(),
        };
        Self { code: Some(code), ..Self::new(VerdictKind::Error) }
    }

    fn shown(&self) -> String {
        match (self.kind, &self.code, &self.body) {
            (VerdictKind::Mask, ..) => format!("mask {:?}", self.texts),
            (kind, Some(code), _) => format!("{} {code}", kind.name()),
            (kind, _, Some(body)) => format!("{} {body}", kind.name()),
            (kind, ..) => kind.name().to_owned(),
        }
    }
}

/// Runs a case: the whole, and with `stream` every cut of every piece.
pub async fn run(plugin: &Arc<Plugin>, case: &Case) -> CaseReport {
    let started = Instant::now();
    let subject = subject(case);
    let whole = judge(plugin, case, &subject).await;
    let mut report = CaseReport {
        name: case.name.clone(),
        said: whole.as_ref().map_or_else(Clone::clone, Said::shown),
        streams: 0,
        took: Duration::ZERO,
        problem: whole.and_then(|said| compare(case, &said)).err(),
    };
    if case.stream && report.problem.is_none() {
        for piece in &subject.pieces {
            if let Err(problem) = stream(plugin, case, &subject, piece, &mut report.streams).await {
                report.problem = Some(problem);
                break;
            }
        }
    }
    report.took = started.elapsed();
    report
}

/// A case as one call of the plugin.
pub(crate) struct Call {
    check: Option<String>,
    condition: Option<String>,
    params: String,
    subject: Subject,
}

impl Case {
    /// Returns the call that judges the whole.
    pub(crate) fn call(&self) -> Call {
        let (check, condition) = (self.check.clone(), self.condition.clone());
        Call { check, condition, params: self.params.to_string(), subject: subject(self) }
    }
}

impl Call {
    /// Makes the call, and says whether it was answered.
    pub(crate) async fn make(&self, plugin: &Arc<Plugin>) -> Result<(), CallError> {
        match (&self.condition, &self.check) {
            (Some(condition), _) => plugin
                .matches(TENANT, condition.as_str(), self.params.as_str(), &self.subject.call, None)
                .await
                .map(|_| ()),
            (None, check) => {
                let check = check.as_deref().unwrap_or_default();
                plugin
                    .check(TENANT, check, self.params.as_str(), self.subject.clone(), None)
                    .await
                    .map(|_| ())
            }
        }
    }
}

/// Says how what was said differs from what was expected.
fn compare(case: &Case, said: &Said) -> Result<(), String> {
    let expected = &case.expect;
    let same = said.kind == expected.verdict
        && expected.texts.as_ref().is_none_or(|texts| *texts == said.texts)
        && expected.body.as_ref().is_none_or(|body| Some(body) == said.body.as_ref())
        && expected.code.as_ref().is_none_or(|code| Some(code) == said.code.as_ref());
    if same {
        return Ok(());
    }
    let wanted = Said {
        kind: expected.verdict,
        texts: expected.texts.clone().unwrap_or_default(),
        body: expected.body.clone(),
        code: expected.code.clone(),
    };
    Err(format!("expected {}, got {}", wanted.shown(), said.shown()))
}

/// Judges a whole. The error is a problem of the plugin's answer, not one that it reported.
async fn judge(plugin: &Arc<Plugin>, case: &Case, subject: &Subject) -> Result<Said, String> {
    let params = case.params.to_string();
    if let Some(condition) = &case.condition {
        return Ok(
            match plugin.matches(TENANT, condition.as_str(), params.as_str(), &subject.call, None).await {
                Ok(true) => Said::new(VerdictKind::Match),
                Ok(false) => Said::new(VerdictKind::NoMatch),
                Err(error) => Said::error(&error),
            },
        );
    }
    let check = case.check.as_deref().unwrap_or_default();
    match plugin.check(TENANT, check, params.as_str(), subject.clone(), None).await {
        Ok(Judgement { verdict, .. }) => said(verdict, subject),
        // The guest's own errors may be expected; of the others the name says too little.
        Err(error) if case.expect.verdict != VerdictKind::Error => Err(error.to_string()),
        Err(error) => Ok(Said::error(&error)),
    }
}

fn said(verdict: Verdict, subject: &Subject) -> Result<Said, String> {
    Ok(match verdict {
        Verdict::Pass => Said::new(VerdictKind::Pass),
        Verdict::Fail(reason) => Said::reason(VerdictKind::Fail, &reason),
        Verdict::Block(reason) => Said::reason(VerdictKind::Block, &reason),
        Verdict::Mask(masks) => Said { texts: all_masked(&masks, subject)?, ..Said::new(VerdictKind::Mask) },
        Verdict::Rewrite(body) => {
            let body = serde_json::from_str(&body)
                .map_err(|error| format!("the rewritten body is no JSON: {error}"))?;
            Said { body: Some(body), ..Said::new(VerdictKind::Rewrite) }
        }
    })
}

fn all_masked(masks: &[Mask], subject: &Subject) -> Result<Vec<String>, String> {
    let mut texts: Vec<String> = subject.pieces.iter().map(|piece| piece.text.clone()).collect();
    for mask in masks {
        let text =
            texts.get_mut(mask.piece as usize).ok_or_else(|| format!("there is no piece {}", mask.piece))?;
        *text = masked(text, &mask.spans).map_err(|error| error.to_string())?;
    }
    Ok(texts)
}

/// Cuts one piece in two at every character, and into single characters. Each cut must come to what the check says of
/// the piece as a whole.
async fn stream(
    plugin: &Arc<Plugin>,
    case: &Case,
    subject: &Subject,
    piece: &Piece,
    streams: &mut usize,
) -> Result<(), String> {
    let check = case.check.as_deref().unwrap_or_default();
    if plugin.check_info(check).is_some_and(|info| !info.streams) {
        return Err(format!("the manifest says that {check} knows no streams"));
    }
    let whole = judge(plugin, case, &only(subject, piece)).await?;
    let params = case.params.to_string();
    let needs = match plugin.needs(TENANT, check, params.as_str(), None).await {
        Ok(needs) => needs,
        Err(error) if Said::error(&error) == whole => return Ok(()),
        Err(error) => return Err(format!("asked for its needs, it said: {error}")),
    };
    let text = piece.text.as_str();
    let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let halves = boundaries.iter().filter_map(|at| text.split_at_checked(*at)).map(|(a, b)| vec![a, b]);
    let letters = boundaries.windows(2).filter_map(|ends| text.get(*ends.first()?..*ends.last()?)).collect();
    for parts in halves.chain([letters]) {
        let got = windows(plugin, check, &params, piece, needs, &parts).await?;
        *streams += 1;
        // A stream that masked nothing and one that masks nothing are the same.
        let same = match whole.kind {
            VerdictKind::Pass | VerdictKind::Mask => {
                let text = whole.texts.first().map_or(text, String::as_str);
                matches!(got.kind, VerdictKind::Pass | VerdictKind::Mask) && got.texts == [text]
            }
            _ => got.kind == whole.kind && got.code == whole.code,
        };
        if !same {
            return Err(format!("cut into {parts:?} it came to {}, whole to {}", got.shown(), whole.shown()));
        }
    }
    Ok(())
}

/// Feeds the parts of a text, and returns what came out.
async fn windows(
    plugin: &Arc<Plugin>,
    check: &str,
    params: &str,
    piece: &Piece,
    needs: WindowNeeds,
    parts: &[&str],
) -> Result<Said, String> {
    let mut rule = WindowRule::new(needs, &piece.kind, piece.index);
    let mut out = String::new();
    let ends = parts.len().saturating_sub(1);
    let parts = parts.iter().copied().enumerate().map(|(at, part)| (part, at == ends));
    let parts = if ends == 0 && piece.text.is_empty() { vec![("", true)] } else { parts.collect() };
    for (part, last) in parts {
        let Some(window) = rule.push(part, last) else { continue };
        let WindowAnswer { verdict, state, .. } =
            match plugin.window(TENANT, check, params, window.clone(), None).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Said::error(&error)),
            };
        let spans: Vec<Span> = match verdict {
            WindowVerdict::Pass => Vec::new(),
            WindowVerdict::Mask(spans) => spans,
            WindowVerdict::Fail(reason) => return Ok(Said::reason(VerdictKind::Fail, &reason)),
            WindowVerdict::Block(reason) => return Ok(Said::reason(VerdictKind::Block, &reason)),
        };
        out.push_str(&rule.release(&window, &spans, state).map_err(|error| error.to_string())?);
    }
    Ok(Said { texts: vec![out], ..Said::new(VerdictKind::Mask) })
}
