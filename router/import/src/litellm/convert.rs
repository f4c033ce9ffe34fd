//! The conversion as a whole: what is read in which order.

use std::collections::HashMap;

use super::deployments::Group;
use super::router_settings::Routing;
use super::{advice, cache, deployments, general, guardrails, router_settings, routing};
use crate::draft::{Document, Draft, Key, Line};
use crate::error::ImportError;
use crate::note::Converted;
use crate::place::Place;
use crate::yaml::{self, Data, Node};

/// The id of the config that sends names to deployments.
pub(super) const CONFIG: &str = "litellm";
/// How LiteLLM names environment variables.
const REFERENCE: &str = "os.environ/";

/// Returns the variable that a text names: LiteLLM's way, or `${NAME}`, which people replace before it reads the file.
fn variable(text: &str) -> Option<&str> {
    if let Some(name) = text.strip_prefix(REFERENCE) {
        return Some(name);
    }
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(name)
}
/// Sections that are read.
const SECTIONS: [&str; 7] = [
    "model_list",
    "router_settings",
    "litellm_settings",
    "general_settings",
    "guardrails",
    "environment_variables",
    "credential_list",
];

/// What all parts of the conversion share.
pub(super) struct Reader<'a> {
    pub(super) draft: Draft,
    /// `environment_variables`, for addresses that are given by name.
    environment: HashMap<&'a str, String>,
    /// `credential_list` by name.
    pub(super) credentials: HashMap<String, Place<'a>>,
}

/// Turns a LiteLLM proxy's `config.yaml` into a settings file.
///
/// # Errors
/// [`ImportError`] with line and path of what can't be understood.
pub fn litellm(yaml_text: &str) -> Result<Converted, ImportError> {
    let node = yaml::parse(yaml_text)?;
    let root = Place::root(&node);
    root.members()?;
    let mut reader = Reader {
        draft: Draft { source: "LiteLLM's config.yaml", ..Draft::default() },
        environment: HashMap::new(),
        credentials: HashMap::new(),
    };
    reserve(&node, &mut reader.draft);
    reader.read_environment(&root)?;
    reader.read_credentials(&root)?;
    let groups = match root.get("model_list") {
        Some(list) => deployments::read(&list, &mut reader)?,
        None => {
            reader.draft.note("model_list", "is missing, so there is no provider and no config");
            Vec::new()
        }
    };
    let mut routing = Routing::default();
    if let Some(section) = root.get("litellm_settings") {
        router_settings::read_litellm(&section, &mut routing, &mut reader.draft)?;
    }
    if let Some(section) = root.get("router_settings") {
        router_settings::read_router(&section, &mut routing, &mut reader)?;
    }
    if let Some(section) = root.get("litellm_settings") {
        cache::read(&section, &groups, &mut routing, &mut reader)?;
    }
    if let Some(section) = root.get("guardrails") {
        routing.input_guardrails = guardrails::read(&section, &mut reader.draft)?;
    }
    let mut key = Key { name: CONFIG.to_owned(), ..Key::default() };
    general::read(root.get("general_settings"), &mut key, &mut reader)?;
    if let Some(section) = root.get("litellm_settings") {
        general::read_budget(&section, &mut key, &mut reader.draft)?;
    }
    for (name, place) in root.members()? {
        if !SECTIONS.contains(&name) {
            advice::note(&mut reader.draft, &place, name, &advice::TOP);
        }
    }
    finish(reader, &groups, &routing, key)
}

fn finish(
    mut reader: Reader<'_>,
    groups: &[Group],
    routing: &Routing,
    mut key: Key,
) -> Result<Converted, ImportError> {
    let draft = &mut reader.draft;
    if !groups.is_empty() {
        let json = routing::config(groups, routing, draft);
        tidegate_config::Plan::parse(&json.to_string()).map_err(|error| {
            ImportError::at("model_list", format!("the config made of it is refused: {error}"))
        })?;
        draft.configs.push(Document {
            id: CONFIG.to_owned(),
            json,
            comment:
                "Sends each model_name to its deployments. What is asked for as @provider/model goes there \
                      directly."
                    .to_owned(),
        });
        key.config = Some(CONFIG.to_owned());
        key.models = allowed(draft);
        draft.note(
            "model_list",
            "GET /v1/models lists @provider/model, not the model_names; requests may use either",
        );
    }
    for provider in &mut draft.providers {
        if provider.models.iter().any(|model| model.contains('*')) {
            provider.models.clear();
        }
    }
    draft.keys.push(key);
    draft.top.insert(
        0,
        Line { name: "listen", value: "\"127.0.0.1:8787\"".to_owned(), comment: "LiteLLM's port is 4000" },
    );
    Ok(reader.draft.render())
}

/// The key may use what LiteLLM offered, and nothing else of these providers. A provider that it may use whole takes
/// one pattern, because that also opens paths that are not modelled.
fn allowed(draft: &Draft) -> Vec<String> {
    let mut patterns = Vec::new();
    for provider in &draft.providers {
        if provider.models.iter().any(|model| model == "*") {
            patterns.push(format!("@{}/*", provider.slug));
            continue;
        }
        for model in &provider.models {
            // Patterns have one star, at their end.
            let start = model.split('*').next().unwrap_or_default();
            let star = if model.contains('*') { "*" } else { "" };
            patterns.push(format!("@{}/{start}{star}", provider.slug));
        }
    }
    patterns
}

/// Keeps names that the input refers to from being given to other secrets.
fn reserve(node: &Node, draft: &mut Draft) {
    match &node.data {
        Data::Text(text) => {
            if let Some(name) = variable(text) {
                draft.variables.reserve(name);
            }
        }
        Data::List(items) => items.iter().for_each(|item| reserve(item, draft)),
        Data::Map(members) => members.iter().for_each(|(_, member)| reserve(member, draft)),
        Data::Null | Data::Bool(_) | Data::Number(_) => {}
    }
}

impl<'a> Reader<'a> {
    fn read_environment(&mut self, root: &Place<'a>) -> Result<(), ImportError> {
        let Some(section) = root.get("environment_variables") else { return Ok(()) };
        for (name, place) in section.members()? {
            let value = place.text()?;
            self.draft.variables.reserve(name);
            self.draft.note(
                place.path,
                "is not set by the file; set it in the gateway's environment if something refers to it",
            );
            self.environment.insert(name, value);
        }
        Ok(())
    }

    fn read_credentials(&mut self, root: &Place<'a>) -> Result<(), ImportError> {
        let Some(list) = root.get("credential_list") else { return Ok(()) };
        for entry in list.items()? {
            let Some(name) = entry.get("credential_name") else {
                return Err(entry.wrong("credential_name is missing"));
            };
            if let Some(values) = entry.get("credential_values") {
                values.members()?;
                self.credentials.insert(name.text()?, values);
            }
        }
        Ok(())
    }

    /// Returns the reference that takes a secret's place.
    pub(super) fn secret(&mut self, place: &Place<'_>, wanted: &str) -> Result<String, ImportError> {
        let text = place.text()?;
        Ok(match variable(&text) {
            Some(name) => self.draft.variables.named(name, &place.path),
            None => self.draft.variables.of_secret(&text, wanted, &place.path),
        })
    }

    /// Returns a text that is no secret, looked up in `environment_variables` where it is a reference; the variable's
    /// name where it is not there.
    pub(super) fn plain(&self, place: &Place<'_>) -> Result<Result<String, String>, ImportError> {
        let text = place.text()?;
        Ok(match variable(&text) {
            Some(name) => self.environment.get(name).cloned().ok_or_else(|| name.to_owned()),
            None => Ok(text),
        })
    }
}
