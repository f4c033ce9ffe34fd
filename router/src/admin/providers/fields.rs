//! Members of providers' and virtual keys' bodies.

use crate::admin::field::{Field, Kind};

const NAME: Field = Field::new("name", Kind::Text(255), "name for people");
const NOTE: Field = Field::new("note", Kind::Any, "more words, a text of at most 1,024 bytes");
const USAGE: Field = Field::new("usage_limits", Kind::OneOrMany, "what it may cost: one limit; null clears");
const RATES: Field = Field::new("rate_limits", Kind::OneOrMany, "how often it may be used; null clears");
const EXPIRES: Field =
    Field::new("expires_at", Kind::Text(64), "an RFC 3339 moment from which on it is refused");
const RESET: Field = Field::new("reset_usage", Kind::Flag, "sets what it has cost to zero");
const SLUG: Field =
    Field::new("slug", Kind::Text(255), "its name after the @; made of the name where absent");
pub(super) const WORKSPACE: Field =
    Field::new("workspace_id", Kind::Text(255), "id or slug of its workspace");
const KEY: Field = Field::new("key", Kind::Any, "the vendor's API key; it is never shown again");
const DEPLOYMENTS: Field = Field::new(
    "deploymentConfig",
    Kind::Objects,
    "deployments of Azure: apiVersion, alias, is_default, deploymentName",
);
const MAPPINGS: Field = Field::new(
    "secret_mappings",
    Kind::Objects,
    "secrets that lie elsewhere: target_field, secret_reference_id, secret_key, value_format",
);
const CONFIGURATIONS: Field = Field::new(
    "configurations",
    Kind::Object,
    "what the vendor needs beside the key, as integrations have it",
);

pub(super) const NEW: &[Field] = &[
    NAME.required(),
    Field::new("integration_id", Kind::Text(255), "id or slug of the integration").required(),
    SLUG,
    NOTE,
    WORKSPACE,
    USAGE,
    RATES,
    EXPIRES,
];

pub(super) const CHANGED: &[Field] = &[NAME, NOTE, WORKSPACE, USAGE, RATES, EXPIRES, RESET];

pub(super) const NEW_KEY: &[Field] = &[
    NAME.required(),
    Field::new("provider", Kind::Text(64), "Portkey's name of the vendor").required(),
    KEY,
    SLUG,
    NOTE,
    WORKSPACE,
    USAGE,
    RATES,
    EXPIRES,
    Field::new("apiVersion", Kind::Text(64), "of Azure"),
    Field::new("resourceName", Kind::Text(255), "of Azure"),
    Field::new("deploymentName", Kind::Text(255), "of Azure"),
    DEPLOYMENTS,
    CONFIGURATIONS,
    MAPPINGS,
];

pub(super) const CHANGED_KEY: &[Field] =
    &[NAME, KEY, NOTE, WORKSPACE, USAGE, RATES, EXPIRES, RESET, DEPLOYMENTS, CONFIGURATIONS, MAPPINGS];

pub(super) const OF_WORKSPACE: &[Field] = &[WORKSPACE];
