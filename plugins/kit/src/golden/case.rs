//! The format of golden cases. A file holds one case, or a list of them:
//!
//! ```json
//! {
//!   "name": "words are hidden",
//!   "check": "hide",
//!   "params": { "words": ["tulip"] },
//!   "hook": "output",
//!   "pieces": ["a tulip", { "kind": "tool-arguments", "text": "tulip" }],
//!   "expect": { "verdict": "mask", "texts": ["a [hidden]", "[hidden]"] },
//!   "stream": true
//! }
//! ```
//!
//! Instead of `pieces` there may be `request`, the body of a chat completions request (then the hook is `input`), or
//! `answer`, the body of an answer. Their texts become the pieces. `expect` has the verdict (pass, mask, rewrite, fail,
//! block or error), and with it the `texts` after masking, the rewritten `body`, or the `code` of the reason or error.
//! With `condition` in place of `check` it is `match`, `no-match` or `error`.
//!
//! With `stream` each piece is also cut at every character and judged in windows, which must come to the same.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tidegate_plugin_host::Hook;

/// Why there are no cases to run.
#[derive(Debug, Error)]
pub enum CaseError {
    /// The folder or a file can't be read.
    #[error("read {file}: {source}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is not in the format.
    #[error("read {file}: {message}")]
    Format {
        /// Which.
        file: String,
        /// What is wrong in it.
        message: String,
    },
    /// The folder holds no `.json` file.
    #[error("find golden cases: no .json file in {0}")]
    None(String),
}

/// A golden case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence about what it shows.
    pub name: String,
    /// The check, by its name in the manifest.
    #[serde(default)]
    pub check: Option<String>,
    /// Instead of a check, a condition.
    #[serde(default)]
    pub condition: Option<String>,
    /// Parameters of the check.
    #[serde(default = "no_params")]
    pub params: Value,
    /// `input` or `output`. By default what the texts are: input for a request, else output.
    #[serde(default)]
    pub hook: Option<HookName>,
    /// The texts.
    #[serde(default)]
    pub pieces: Option<Vec<PieceOrText>>,
    /// A request to take the texts of.
    #[serde(default)]
    pub request: Option<Value>,
    /// An answer to take the texts of.
    #[serde(default)]
    pub answer: Option<Value>,
    /// What the check must say.
    pub expect: Expected,
    /// Whether windows must come to the same.
    #[serde(default)]
    pub stream: bool,
}

/// A hook in a case.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum HookName {
    /// To the vendor.
    Input,
    /// To the client.
    Output,
}

impl From<HookName> for Hook {
    fn from(name: HookName) -> Self {
        match name {
            HookName::Input => Self::Input,
            HookName::Output => Self::Output,
        }
    }
}

/// A text in a case: alone, or with what else a piece has.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum PieceOrText {
    /// A text of the role that the hook suggests.
    Text(String),
    /// A whole piece.
    Piece(WholePiece),
}

/// A whole piece in a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholePiece {
    /// `text` by default.
    pub kind: Option<String>,
    /// By default user for input and assistant for output.
    pub role: Option<String>,
    /// Index of message or choice.
    #[serde(default)]
    pub index: u32,
    /// The text.
    pub text: String,
}

/// What a check must say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Its kind.
    pub verdict: VerdictKind,
    /// With `mask`: all texts afterwards.
    #[serde(default)]
    pub texts: Option<Vec<String>>,
    /// With `rewrite`: the body afterwards.
    #[serde(default)]
    pub body: Option<Value>,
    /// With `fail`, `block` and `error`: the code of the reason, or the name of the error.
    #[serde(default)]
    pub code: Option<String>,
}

/// The kinds of verdicts, and `error` where there is none.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// Goes on as it is.
    Pass,
    /// Goes on once the spans are replaced.
    Mask,
    /// Goes on as another body.
    Rewrite,
    /// Failed.
    Fail,
    /// Must not go on.
    Block,
    /// The check could not judge.
    Error,
    /// The condition holds.
    Match,
    /// The condition does not hold.
    NoMatch,
}

impl VerdictKind {
    /// Returns its name, as in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Mask => "mask",
            Self::Rewrite => "rewrite",
            Self::Fail => "fail",
            Self::Block => "block",
            Self::Error => "error",
            Self::Match => "match",
            Self::NoMatch => "no-match",
        }
    }
}

fn no_params() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Reads the cases of a folder, in the order of file names.
///
/// # Errors
/// See [`CaseError`]. A folder without cases is an error: it would pass every plugin.
pub fn read(folder: &Path) -> Result<Vec<Case>, CaseError> {
    let failed = |file: &Path| {
        let file = file.display().to_string();
        move |source| CaseError::Read { file, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let file = entry.map_err(failed(folder))?.path();
        if file.extension().is_some_and(|ending| ending == "json") {
            files.push(file);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(failed(&file))?;
        let wrong = |message| CaseError::Format { file: file.display().to_string(), message };
        cases.extend(parse(&text).map_err(wrong)?);
    }
    if cases.is_empty() {
        return Err(CaseError::None(folder.display().to_string()));
    }
    Ok(cases)
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    // Not an untagged enum: its errors don't say what is wrong.
    let cases: Vec<Case> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        vec![serde_json::from_str(text).map_err(|error| error.to_string())?]
    };
    for case in &cases {
        check(case).map_err(|what| format!("case {:?}: {what}", case.name))?;
    }
    Ok(cases)
}

/// Refuses cases that would pass without showing anything.
fn check(case: &Case) -> Result<(), String> {
    let subjects = [case.pieces.is_some(), case.request.is_some(), case.answer.is_some()];
    if subjects.iter().filter(|given| **given).count() != 1 {
        return Err("give one of pieces, request and answer".to_owned());
    }
    let kind = case.expect.verdict;
    match (&case.check, &case.condition) {
        (Some(_), None) if matches!(kind, VerdictKind::Match | VerdictKind::NoMatch) => {
            return Err(format!("only conditions say {}", kind.name()));
        }
        (Some(_), None) => {}
        (None, Some(_)) if case.stream => return Err("conditions judge no streams".to_owned()),
        (None, Some(_)) => {}
        _ => return Err("give one of check and condition".to_owned()),
    }
    let wanted = match kind {
        VerdictKind::Pass | VerdictKind::Match | VerdictKind::NoMatch => None,
        VerdictKind::Mask => Some(("texts", case.expect.texts.is_some())),
        VerdictKind::Rewrite => Some(("body", case.expect.body.is_some())),
        VerdictKind::Fail | VerdictKind::Block | VerdictKind::Error => {
            Some(("code", case.expect.code.is_some()))
        }
    };
    match wanted {
        Some((what, false)) => Err(format!("expecting {} needs {what} beside it", kind.name())),
        _ if case.stream && kind == VerdictKind::Rewrite => Err("streams are never rewritten".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_case_or_a_list() {
        let case = r#"{"name": "n", "check": "c", "pieces": ["a"], "expect": {"verdict": "pass"}}"#;
        assert_eq!(parse(case).unwrap().len(), 1);
        assert_eq!(parse(&format!("[{case}, {case}]")).unwrap().len(), 2);
    }

    #[test]
    fn cases_that_show_nothing_are_refused() {
        for (case, about) in [
            (
                r#"{"name": "n", "check": "c", "expect": {"verdict": "pass"}}"#,
                "one of pieces, request and answer",
            ),
            (
                r#"{"name": "n", "check": "c", "pieces": [], "answer": {}, "expect": {"verdict": "pass"}}"#,
                "one of",
            ),
            (r#"{"name": "n", "check": "c", "pieces": ["a"], "expect": {"verdict": "mask"}}"#, "needs texts"),
            (r#"{"name": "n", "check": "c", "pieces": ["a"], "expect": {"verdict": "error"}}"#, "needs code"),
            (r#"{"name": "n", "check": "c", "pieces": ["a"], "expect": {"verdict": "deny"}}"#, "deny"),
            (r#"{"name": "n", "pieces": ["a"], "expect": {"verdict": "pass"}}"#, "check and condition"),
            (
                r#"{"name": "n", "check": "c", "pieces": ["a"], "expect": {"verdict": "match"}}"#,
                "only conditions",
            ),
            (r#"{"name": "n", "chek": "c", "pieces": ["a"], "expect": {"verdict": "pass"}}"#, "chek"),
        ] {
            let error = parse(case).unwrap_err();
            assert!(error.contains(about), "{case}: {error}");
        }
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(CaseError::None(_))));
    }
}
