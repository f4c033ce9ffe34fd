//! Personal data: e-mail addresses, phone and card numbers, IBANs, US social security numbers and IP addresses.
//!
//! `detect` fails, `redact` masks. Both look at every text of a request or answer and at streams while they run. What
//! is found is decided by format and check digits alone; names and postal addresses are not found.

mod bank;
mod category;
mod email;
mod finder;
mod network;
mod numbers;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use tidegate_plugin_sdk::patterns::{Action, PatternGuard};
use tidegate_plugin_sdk::{
    CheckError, CheckInfo, Judgement, Manifest, Params, Plugin, Reason, StreamWindow, Subject, WindowAnswer,
    WindowNeeds,
};

use category::Category;
use finder::PersonalData;

const CATEGORIES: &str = r#""categories": {
    "type": "array", "minItems": 1, "description": "What to look for; everything by default",
    "items": {"enum": ["email", "phone", "card", "iban", "ssn", "ip"]}
}"#;

#[derive(Deserialize)]
struct Wanted {
    #[serde(default = "Category::all")]
    categories: Vec<Category>,
    #[serde(default = "brackets")]
    placeholder: String,
}

/// `%` stands for the category.
fn brackets() -> String {
    "[%]".to_owned()
}

/// The plugin.
#[derive(Debug)]
pub struct Pii;

impl Pii {
    fn guard(check: &str, params: &Params) -> Result<PatternGuard<PersonalData>, CheckError> {
        let wanted: Wanted = params.read()?;
        let action = match check {
            "detect" => Action::Fail(Reason::new("pii_found", "The text holds personal data.")),
            "redact" => Action::Mask,
            other => return Err(CheckError::unknown(other)),
        };
        Ok(PatternGuard::new(PersonalData::new(wanted.categories, wanted.placeholder), action))
    }
}

impl Plugin for Pii {
    fn manifest() -> Manifest {
        let detect = format!(r#"{{"type": "object", "properties": {{{CATEGORIES}}}}}"#);
        let redact = format!(
            r#"{{"type": "object", "properties": {{{CATEGORIES}, "placeholder": {{
                "type": "string", "default": "[%]", "description": "Stands for what was masked; % is the category"
            }}}}}}"#
        );
        Manifest::new("pii", env!("CARGO_PKG_VERSION"))
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

tidegate_plugin_sdk::register!(Pii);
