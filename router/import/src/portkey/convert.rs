//! The conversion as a whole.

use std::collections::HashMap;

use tidegate_config::Plan;

use super::input::{self, Config, Row};
use super::targets::Known;
use super::{named, rows, targets};
use crate::draft::{Document, Draft, Key};
use crate::error::ImportError;
use crate::note::Converted;
use crate::place::joined;

/// What a config is called that has no name.
const UNNAMED: &str = "imported";

/// Turns Portkey configs into a settings file: one config, a list of them, or an export of several lists (`configs`,
/// `virtual_keys`, `providers`, `integrations`, `api_keys`, `guardrails`).
///
/// # Errors
/// [`ImportError`] with the line or path of what can't be understood.
pub fn portkey(json_text: &str) -> Result<Converted, ImportError> {
    let input = input::read(json_text)?;
    let mut draft = Draft { source: "Portkey's configs", ..Draft::default() };
    let known = Known { credentials: &input.credentials, integrations: &input.integrations };
    for row in &input.credentials {
        let Some(slug) = row.text(&["slug", "id"]) else {
            return Err(ImportError::at(row.path.clone(), "slug is missing"));
        };
        if row.text(&["status"]).is_some_and(|status| status == "expired" || status == "archived") {
            draft.note(row.path.clone(), format!("@{slug} is not active and left out"));
            continue;
        }
        named::provide(slug, &known.find(slug), &row.path, &mut draft);
    }
    for row in &input.guardrails {
        rows::guardrail(row, &mut draft)?;
    }
    let mut ids = HashMap::new();
    for config in input.configs {
        let other = config.other_id.clone();
        convert(config, &known, &input.guardrails, &mut draft)?;
        if let (Some(other), Some(made)) = (other, draft.configs.last()) {
            ids.insert(other, made.id.clone());
        }
    }
    for (number, row) in input.api_keys.iter().enumerate() {
        rows::key(row, number + 1, &ids, &mut draft);
    }
    if draft.keys.is_empty() {
        let config = match draft.configs.as_slice() {
            [only] => Some(only.id.clone()),
            _ => None,
        };
        let comment = "Made at the first start and printed once.".to_owned();
        draft.keys.push(Key { name: "default".to_owned(), config, comment, ..Key::default() });
    }
    for name in input.others {
        draft.note(name, "is not taken over");
    }
    Ok(draft.render())
}

fn convert(
    config: Config,
    known: &Known<'_>,
    guardrails: &[Row],
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let Config { path, id, name, mut json, .. } = config;
    let plan = parse(&json.to_string(), &path)?;
    let base = if path.is_empty() { "config" } else { &path };
    for note in plan.notes() {
        draft.note(joined(base, &note.path), note.message.clone());
    }
    for named in plan.guardrails() {
        rows::named_guardrail(&named.id, &joined(base, &named.path), guardrails, draft)?;
    }
    targets::walk(&mut json, base, None, known, draft);
    parse(&json.to_string(), &path)?;
    let wanted = id.or_else(|| name.as_deref().map(crate::draft::slug)).unwrap_or_else(|| UNNAMED.to_owned());
    let mut id = wanted.clone();
    let mut number = 2;
    while draft.configs.iter().any(|known| known.id == id) {
        id = format!("{wanted}-{number}");
        number += 1;
    }
    if id != wanted && wanted != UNNAMED {
        draft.note(base, format!("\"{wanted}\" is there twice; this one is called {id}"));
    }
    draft.configs.push(Document { id, json, comment: name.unwrap_or_default() });
    Ok(())
}

fn parse(json: &str, path: &str) -> Result<Plan, ImportError> {
    Plan::parse(json).map_err(|error| {
        let at = match (path.is_empty(), error.path.is_empty()) {
            (true, _) => error.path,
            (false, true) => path.to_owned(),
            (false, false) => format!("{path}.{}", error.path),
        };
        ImportError::at(at, error.message)
    })
}
