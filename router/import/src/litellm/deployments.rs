//! `model_list`: names, and the deployments behind each.

use serde_json::{Map, Value, json};

use super::convert::Reader;
use super::providers::{self, Params};
use super::{advice, prices, vendors};
use crate::error::ImportError;
use crate::place::Place;

/// Parameters of a model: what the client does not send is taken from here.
const DEFAULTS: [&str; 29] = [
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "thinking",
    "verbosity",
    "service_tier",
    "user",
    "dimensions",
    "encoding_format",
    "stream_options",
    "voice",
    "store",
];
/// Read elsewhere.
const READ: [&str; 25] = [
    "model",
    "custom_llm_provider",
    "api_key",
    "api_base",
    "base_url",
    "api_version",
    "litellm_credential_name",
    "rpm",
    "tpm",
    "max_parallel_requests",
    "weight",
    "order",
    "timeout",
    "request_timeout",
    "stream_timeout",
    "max_retries",
    "num_retries",
    "additional_drop_params",
    "extra_body",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_reasoning_token",
    "input_cost_per_audio_token",
];
/// Retries of a config.
const MOST_RETRIES: u32 = 5;

/// A `model_name` and what stands behind it.
#[derive(Clone)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) deployments: Vec<Deployment>,
}

/// Where a name may go.
#[derive(Clone)]
pub(super) struct Deployment {
    pub(super) slug: String,
    /// The vendor's name of the model; may hold a star.
    pub(super) model: String,
    /// Other members of its target.
    pub(super) target: Map<String, Value>,
    pub(super) weight: Option<f64>,
    pub(super) rpm: Option<f64>,
    pub(super) tpm: Option<f64>,
    pub(super) order: Option<u32>,
}

/// Reads the list. Deployments of vendors that are not here are left out, and noted.
pub(super) fn read<'a>(list: &Place<'a>, reader: &mut Reader<'a>) -> Result<Vec<Group>, ImportError> {
    let mut groups: Vec<Group> = Vec::new();
    reserve_defaults(list, reader)?;
    for entry in list.items()? {
        let Some(name) = entry.get("model_name") else { return Err(entry.wrong("model_name is missing")) };
        let name = name.text()?;
        let Some(own) = entry.get("litellm_params") else {
            return Err(entry.wrong("litellm_params is missing"));
        };
        own.members()?;
        let Some(deployment) = deployment(&entry, own, reader)? else { continue };
        for (member, place) in entry.members()? {
            if !matches!(member, "model_name" | "litellm_params" | "model_info") {
                advice::note(&mut reader.draft, &place, member, &[]);
            }
        }
        match groups.iter_mut().find(|group| group.name == name) {
            Some(group) => group.deployments.push(deployment),
            None => groups.push(Group { name, path: entry.path.clone(), deployments: vec![deployment] }),
        }
    }
    Ok(groups)
}

/// Keeps the variables of deployments without a key from being given to keys in clear text.
fn reserve_defaults<'a>(list: &Place<'a>, reader: &mut Reader<'a>) -> Result<(), ImportError> {
    for entry in list.items()? {
        let Some(params) = entry.get("litellm_params") else { continue };
        if params.get("api_key").is_some() || params.get("litellm_credential_name").is_some() {
            continue;
        }
        let model = params.get("model").and_then(|place| place.text().ok()).unwrap_or_default();
        let named = params.get("custom_llm_provider").and_then(|place| place.text().ok());
        if let Ok((vendor, _)) = vendors::of(&model, named.as_deref())
            && !vendor.variable.is_empty()
        {
            reader.draft.variables.reserve(vendor.variable);
        }
    }
    Ok(())
}

fn deployment<'a>(
    entry: &Place<'a>,
    own: Place<'a>,
    reader: &mut Reader<'a>,
) -> Result<Option<Deployment>, ImportError> {
    let credential = match own.get("litellm_credential_name") {
        None => None,
        Some(place) => {
            let found = reader.credentials.get(&place.text()?).cloned();
            if found.is_none() {
                reader.draft.note(place.path, "is not in credential_list; LiteLLM has it in its database");
            }
            found
        }
    };
    let params = Params { own, credential };
    let Some(model_place) = params.own.get("model") else { return Err(params.own.wrong("model is missing")) };
    let model = model_place.text()?;
    let named = params.own.get("custom_llm_provider").map(|place| place.text()).transpose()?;
    let (vendor, native) = match vendors::of(&model, named.as_deref()) {
        Ok((_, "")) => return Err(model_place.wrong("names no model")),
        Ok(found) => found,
        Err(unknown) => {
            let what =
                if unknown.is_empty() { "the model's vendor".to_owned() } else { format!("\"{unknown}\"") };
            reader.draft.note(
                model_place.path,
                format!(
                    "{what} is not among the gateway's vendors; this deployment is left out. A server that speaks \
                     OpenAI's format works as vendor \"openai\" with a base_url"
                ),
            );
            return Ok(None);
        }
    };
    let info = entry.get("model_info");
    let prices = prices::read(&[Some(&params.own), info.as_ref()], &mut reader.draft)?;
    if vendor.slug == "azure-openai"
        && prices.is_empty()
        && let Some(base) = info.as_ref().and_then(|info| info.get("base_model"))
    {
        reader.draft.note(
            base.path,
            format!(
                "the deployment {native} has the price of that name, if there is one; else give it `prices`"
            ),
        );
    }
    note_info(info.as_ref(), reader)?;
    let slug = providers::provide(&params, vendor, native, prices, reader)?;
    let target = target(&params, reader)?;
    let number = |name: &str| params.get(&[name]).map(|place| place.number()).transpose();
    Ok(Some(Deployment {
        slug,
        model: native.to_owned(),
        target,
        weight: number("weight")?,
        rpm: number("rpm")?,
        tpm: number("tpm")?,
        order: params.get(&["order"]).map(|place| place.whole()).transpose()?,
    }))
}

/// `model_info` describes; only its prices have an effect.
fn note_info(info: Option<&Place<'_>>, reader: &mut Reader<'_>) -> Result<(), ImportError> {
    let Some(info) = info else { return Ok(()) };
    let mut idle = Vec::new();
    for (name, _) in info.members()? {
        if name != "base_model" && !prices::NAMES.iter().any(|(priced, _)| *priced == name) {
            idle.push(name);
        }
    }
    if !idle.is_empty() {
        reader.draft.note(info.path.clone(), format!("describes only; left out: {}", idle.join(", ")));
    }
    Ok(())
}

fn target(params: &Params<'_>, reader: &mut Reader<'_>) -> Result<Map<String, Value>, ImportError> {
    let mut target = Map::new();
    if let Some(place) = params.get(&["timeout", "request_timeout"]) {
        target.insert("request_timeout".to_owned(), json!(place.milliseconds()?));
    }
    if let Some(place) = params.get(&["stream_timeout"]) {
        target.insert("timeouts".to_owned(), json!({"first_token_ms": place.milliseconds()?}));
    }
    if let Some(place) = params.get(&["num_retries", "max_retries"]) {
        target.insert("retry".to_owned(), json!({"attempts": retries(&place, reader)?}));
    }
    if let Some(place) = params.get(&["additional_drop_params"]) {
        target.insert("drop_params".to_owned(), json!(place.texts()?));
    }
    let mut defaults = Map::new();
    for (name, place) in params.own.members()? {
        if DEFAULTS.contains(&name) {
            defaults.insert(name.to_owned(), place.json());
        } else if !READ.contains(&name) {
            advice::note(&mut reader.draft, &place, name, &advice::PARAMS);
        }
    }
    if let Some(credential) = &params.credential {
        for (name, place) in credential.members()? {
            if !READ.contains(&name) {
                advice::note(&mut reader.draft, &place, name, &advice::PARAMS);
            }
        }
    }
    if !defaults.is_empty() {
        target.insert("default_params".to_owned(), Value::Object(defaults));
    }
    if let Some(place) = params.get(&["extra_body"]) {
        place.members()?;
        let body = place.json();
        if holds_secret(&body) {
            reader.draft.note(place.path, "seems to hold a secret and is left out; clients must send it");
        } else {
            target.insert("override_params".to_owned(), body);
        }
    }
    Ok(target)
}

/// Reads a number of retries.
pub(super) fn retries(place: &Place<'_>, reader: &mut Reader<'_>) -> Result<u32, ImportError> {
    let retries = place.whole()?;
    if retries > MOST_RETRIES {
        reader.draft.note(place.path.clone(), format!("is cut to {MOST_RETRIES}"));
    }
    Ok(retries.min(MOST_RETRIES))
}

/// Returns whether a member is named like a secret.
fn holds_secret(value: &Value) -> bool {
    let secret = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["key", "token", "secret", "password", "authorization"].iter().any(|word| name.ends_with(word))
    };
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| secret(name) || holds_secret(value)),
        Value::Array(items) => items.iter().any(holds_secret),
        _ => false,
    }
}
