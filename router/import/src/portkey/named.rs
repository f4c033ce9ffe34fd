//! Providers that configs name: one entry each, with what is known of it.

use serde_json::Value;

use super::input::Row;
use crate::draft::{Draft, Provider};
use crate::host;
use crate::variables::upper;

/// Written where an address is not known.
const FILL_IN: &str = "https://fill-in.example.com/v1";
/// Vendors on the user's own machines, which take no key.
const LOCAL: [&str; 6] = ["ollama", "lm-studio", "llama-cpp", "vllm", "sglang", "localai"];
/// Beginnings of slugs that are no vendor's name.
const WORDS: [(&str, &str); 9] = [
    ("azure", "azure-openai"),
    ("gemini", "google"),
    ("claude", "anthropic"),
    ("gpt", "openai"),
    ("mistral", "mistral-ai"),
    ("together", "together-ai"),
    ("perplexity", "perplexity-ai"),
    ("fireworks", "fireworks-ai"),
    ("grok", "x-ai"),
];
/// How members begin that are a vendor's own.
const BEGINNINGS: [&str; 15] = [
    "anthropic_",
    "api_version",
    "aws_",
    "azure_",
    "cortex_",
    "deployment_id",
    "fireworks_",
    "huggingface_",
    "mistral_",
    "openai_",
    "oracle_",
    "resource_name",
    "snowflake_",
    "vertex_",
    "workers_ai_",
];
/// Portkey's older names of options.
const OLDER: [(&str, &str); 6] = [
    ("resource_name", "azure_resource_name"),
    ("deployment_name", "azure_deployment_id"),
    ("deployment_id", "azure_deployment_id"),
    ("api_version", "azure_api_version"),
    ("workspace", "databricks_workspace"),
    ("account_id", "workers_ai_account_id"),
];

/// Returns a name in snake case.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Returns whether a member, in snake case, is a vendor's own.
pub(super) fn is_option(name: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// Returns whether a member is named like a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = snake(name).replace('-', "_");
    let ends = [
        "api_key",
        "apikey",
        "authorization",
        "password",
        "secret",
        "token",
        "access_key",
        "private_key",
        "credentials",
        "service_account_json",
    ];
    ends.iter().any(|end| name.ends_with(end))
}

/// What an export says of a slug.
#[derive(Clone, Copy, Default)]
pub(super) struct Found<'a> {
    pub(super) row: Option<&'a Row>,
    pub(super) integration: Option<&'a Row>,
    pub(super) vendor: Option<&'a str>,
}

/// Makes a provider of a slug, unless it is there: by its row of the export, else by what the slug sounds like.
pub(super) fn provide(slug: &str, found: &Found<'_>, path: &str, draft: &mut Draft) {
    let Found { row, integration, vendor } = *found;
    if draft.providers.iter().any(|known| known.slug == slug) {
        return;
    }
    if crate::draft::slug(slug) != slug {
        draft.note(
            path,
            format!("\"{slug}\" is no slug here, so there is no provider for it; use letters, digits, - _ ."),
        );
        return;
    }
    let known = row.map_or(path, |row| row.path.as_str()).to_owned();
    let vendor = match vendor {
        Some(vendor) => vendor.to_owned(),
        None => match guess(slug) {
            Some(vendor) => {
                draft.note(
                    known.clone(),
                    format!("@{slug}: vendor \"{vendor}\" is guessed by the name; check it"),
                );
                vendor.to_owned()
            }
            None => {
                draft.note(
                    known.clone(),
                    format!("@{slug}: put its vendor in place of \"openai\", which is guessed"),
                );
                "openai".to_owned()
            }
        },
    };
    if tidegate_providers::registry::find(&vendor).is_none() {
        draft.note(
            known,
            format!("NOT CONVERTED: vendor \"{vendor}\" is not among the gateway's, so requests to @{slug} are refused"),
        );
        return;
    }
    let mut provider = Provider { slug: slug.to_owned(), vendor: vendor.clone(), ..Provider::default() };
    if let Some(row) = row {
        super::rows::limits_of(row, draft, &mut provider.limits, &mut provider.budget);
        read_options(&row.members, &row.path, &mut provider, draft);
    }
    for row in row.into_iter().chain(integration) {
        if let Some(Value::Object(members)) = row.members.get("configurations") {
            read_options(members, &row.at("configurations"), &mut provider, draft);
        }
    }
    if !LOCAL.contains(&vendor.as_str()) {
        let wanted = format!("{}_API_KEY", upper(slug));
        // Exports mask keys with stars.
        let written = row.into_iter().chain(integration).find_map(|row| row.text(&["key"]));
        provider.api_key = Some(match written.filter(|key| !key.contains('*')) {
            Some(key) => draft.variables.of_secret(key, &wanted, &format!("{known}.key")),
            None => draft.variables.fresh(&wanted, &format!("{known}, the key of @{slug}")),
        });
    }
    complete(&mut provider, &known, draft);
    draft.providers.push(provider);
}

/// Marks what is missing of an address.
pub(super) fn complete(provider: &mut Provider, path: &str, draft: &mut Draft) {
    let vendor = tidegate_providers::registry::find(&provider.vendor);
    let has_own = vendor.is_some_and(|vendor| vendor.default_base().is_some());
    if !has_own && provider.base_url.is_none() && provider.options.is_empty() {
        draft.note(path, format!("@{}: put its address in place of {FILL_IN}", provider.slug));
        provider.base_url = Some(FILL_IN.to_owned());
    }
}

/// Takes address and options; secrets among them are left out, because options hold no references.
pub(super) fn read_options(
    members: &serde_json::Map<String, Value>,
    path: &str,
    provider: &mut Provider,
    draft: &mut Draft,
) {
    for (written, value) in members {
        let name = snake(written);
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { continue };
        let at = crate::place::joined(path, written);
        if name == "custom_host" {
            set_base(provider, text, &at, draft);
            continue;
        }
        let older = OLDER.iter().find(|(older, _)| *older == name).map(|(_, newer)| *newer);
        if older.is_none() && !is_option(&name) {
            continue;
        }
        if is_secret(&name) {
            draft.note(
                at,
                format!("a secret; not written. Set options.{name} of @{} yourself", provider.slug),
            );
            continue;
        }
        let name = older.map_or(name, str::to_owned);
        let vendor = tidegate_providers::registry::find(&provider.vendor);
        if vendor.is_some_and(|vendor| !vendor.options().iter().any(|known| *known == name)) {
            draft.note(at, "has no effect with this vendor");
            continue;
        }
        if !provider.options.iter().any(|(known, _)| *known == name) {
            provider.options.push((name, text.to_owned()));
        }
    }
}

/// Sets the address, or notes why not.
pub(super) fn set_base(provider: &mut Provider, url: &str, path: &str, draft: &mut Draft) {
    match host::base_url(url) {
        Ok(url) => {
            provider.trusted = host::host_of(&url).is_some_and(host::is_private);
            if provider.trusted {
                draft.note(
                    path,
                    "is on a private network, so `trusted = true` was written; check that it is meant",
                );
            }
            provider.base_url = Some(url);
        }
        Err(reason) => {
            draft.note(path, format!("{reason}; {FILL_IN} stands in its place"));
            provider.base_url = Some(FILL_IN.to_owned());
        }
    }
}

fn guess(slug: &str) -> Option<&'static str> {
    let own = tidegate_providers::registry::all().map(|vendor| vendor.slug());
    let exact = own.filter(|vendor| slug.starts_with(vendor)).max_by_key(|vendor| vendor.len());
    exact.or_else(|| WORDS.iter().find(|(word, _)| slug.starts_with(word)).map(|(_, vendor)| *vendor))
}
