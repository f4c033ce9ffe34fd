//! `guardrails`: those that the gateway's own plugins stand in for, the rest as notes.

use serde_json::{Value, json};

use crate::draft::{Document, Draft};
use crate::error::ImportError;
use crate::place::Place;

/// Reads the list. Returns the names that every request goes through.
pub(super) fn read(list: &Place<'_>, draft: &mut Draft) -> Result<Vec<Value>, ImportError> {
    let mut always = Vec::new();
    for entry in list.items()? {
        let Some(name) = entry.get("guardrail_name") else {
            return Err(entry.wrong("guardrail_name is missing"));
        };
        let name = name.text()?;
        let Some(params) = entry.get("litellm_params") else {
            return Err(entry.wrong("litellm_params is missing"));
        };
        let kind = params.get("guardrail").map(|place| place.text()).transpose()?.unwrap_or_default();
        let (check, stands_for) = match kind.as_str() {
            "presidio" => (
                "pii.redact",
                "the plugin pii masks e-mail, phone, card, IBAN, SSN and IP; names, places \
                                          and other entities of Presidio are not found",
            ),
            "hide-secrets" | "hide_secrets" => ("secrets.redact", "the plugin secrets masks keys and tokens"),
            _ => {
                draft.note(
                    entry.path,
                    format!(
                        "NOT CONVERTED: {name} ({kind}) guards nothing here. Use one of the plugins default, pii, \
                         secrets, topics, or write one that calls it (`tidegate plugin new`)"
                    ),
                );
                continue;
            }
        };
        if draft.guardrails.iter().any(|known| known.id == name) {
            draft.note(entry.path, "is there twice; the first one counts");
            continue;
        }
        draft.note(entry.path.clone(), stands_for);
        draft.guardrails.push(Document {
            id: name.clone(),
            json: json!({"checks": [{"id": check}], "deny": false}),
            comment: format!("In place of {kind}."),
        });
        for (member, place) in params.members()? {
            if !matches!(member, "guardrail" | "mode" | "default_on") {
                draft.note(place.path, "is not taken over; see the plugin's own parameters");
            }
        }
        let modes = params.get("mode").map(|place| place.texts()).transpose();
        if !modes.is_ok_and(|modes| modes.unwrap_or_default().iter().all(|mode| mode == "pre_call")) {
            draft.note(
                format!("{}.mode", params.path),
                "it runs before the call only; output_guardrails of a config runs it on answers",
            );
        }
        match params.get("default_on").map(|place| place.flag()).transpose()? {
            Some(true) => always.push(Value::String(name)),
            _ => draft.note(
                entry.path,
                "is used where a config names it (input_guardrails); requests can't choose it with `guardrails`",
            ),
        }
    }
    Ok(always)
}
