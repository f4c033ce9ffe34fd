//! Secrets: API keys and tokens by their format, private keys, and random-looking values after words like "password".
//!
//! `detect` fails, `redact` masks. Both look at every text of a request or answer and at streams while they run. A
//! secret is known by its first bytes, so little of a stream is held back; once one has begun, all of it is, however
//! long it is. Private keys end at their last line, or after [`formats::LONGEST_PEM`] bytes where that does not come.

mod finder;
mod formats;
mod named;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use tidegate_plugin_sdk::patterns::{Action, PatternGuard};
use tidegate_plugin_sdk::{
    CheckError, CheckInfo, Judgement, Manifest, Params, Plugin, Reason, StreamWindow, Subject, WindowAnswer,
    WindowNeeds,
};

use finder::Secrets as Finder;

const ENTROPY: &str = r#""entropy": {
    "type": "boolean", "default": true,
    "description": "Also random-looking values after words like key, token, secret and password"
}"#;

#[derive(Deserialize)]
struct Wanted {
    #[serde(default = "yes")]
    entropy: bool,
    #[serde(default = "brackets")]
    placeholder: String,
}

fn yes() -> bool {
    true
}

/// `%` stands for the kind of secret.
fn brackets() -> String {
    "[%]".to_owned()
}

/// The plugin.
#[derive(Debug)]
pub struct Secrets;

impl Secrets {
    fn guard(check: &str, params: &Params) -> Result<PatternGuard<Finder>, CheckError> {
        let wanted: Wanted = params.read()?;
        let action = match check {
            "detect" => Action::Fail(Reason::new("secret_found", "The text holds a key, token or password.")),
            "redact" => Action::Mask,
            other => return Err(CheckError::unknown(other)),
        };
        Ok(PatternGuard::new(Finder::new(wanted.entropy, wanted.placeholder), action))
    }
}

impl Plugin for Secrets {
    fn manifest() -> Manifest {
        let detect = format!(r#"{{"type": "object", "properties": {{{ENTROPY}}}}}"#);
        let redact = format!(
            r#"{{"type": "object", "properties": {{{ENTROPY}, "placeholder": {{
                "type": "string", "default": "[%]", "description": "Stands for what was masked; % is its kind"
            }}}}}}"#
        );
        Manifest::new("secrets", env!("CARGO_PKG_VERSION"))
            .check(CheckInfo::new("detect").streams().params(&detect))
            .check(CheckInfo::new("redact").streams().mutates().params(&redact))
    }

    fn check(check: &str, params: &Params, subject: &Subject) -> Result<Judgement, CheckError> {
        Ok(Self::guard(check, params)?.check(subject))
    }

    fn needs(check: &str, params: &Params) -> Result<WindowNeeds, CheckError> {
        Ok(Self::guard(check, params)?.needs())
    }

    fn window(check: &str, params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
        Ok(Self::guard(check, params)?.window(window))
    }
}

tidegate_plugin_sdk::register!(Secrets);
