//! The table of `/api-keys`.

use super::super::field::{Field, Kind};
use super::super::route::{Route, route};
use super::rotate::{new_secret, rotate};
use super::serve::{change, create, create_organisation, create_workspace, list, one, own_details, remove};

const DESCRIPTION: Field = Field::new("description", Kind::Text(1_024), "more words");
const SCOPES: Field = Field::new("scopes", Kind::Texts, "what it may do, like completions.write");
const LIMITS: Field = Field::new("rate_limits", Kind::OneOrMany, "how often: type, unit, value");
const USAGE: Field = Field::new(
    "usage_limits",
    Kind::Object,
    "for how much: type, credit_limit, alert_threshold, periodic_reset or periodic_reset_days, next_usage_reset_at",
);
const DEFAULTS: Field = Field::new(
    "defaults",
    Kind::Object,
    "metadata, config_id, allow_config_override of requests that say nothing",
);
const OVERRIDE: Field =
    Field::new("allow_config_override", Kind::Flag, "whether a request may name another config");
const EMAILS: Field = Field::new("alert_emails", Kind::Texts, "who is told about its budget and its end");
const EXPIRES: Field =
    Field::new("expires_at", Kind::Text(64), "from this moment on it is refused (RFC 3339)");
const ROTATION: Field = Field::new(
    "rotation_policy",
    Kind::Object,
    "rotation_period (weekly, monthly) or rotation_period_days, next_rotation_at, key_transition_period_ms",
);
const MODELS: Field = Field::new("models", Kind::Texts, "models it may use, like @openai/*; all without");
const UNMEASURED: Field = Field::new(
    "unmeasured",
    Kind::Word(&["allow", "deny"]),
    "whether it may use paths whose cost can't be measured",
);
const CREDENTIALS: Field =
    Field::new("header_credentials", Kind::Flag, "whether requests may bring vendors' keys of their own");

const NEW: &[Field] = &[
    Field::new("name", Kind::Text(255), "name for people").required(),
    SCOPES.required(),
    DESCRIPTION,
    Field::new("organisation_id", Kind::Any, "there is one organisation"),
    Field::new(
        "workspace_id",
        Kind::Text(255),
        "id or slug of its workspace; the caller's, or the default one",
    ),
    Field::new("user_id", Kind::Text(255), "id or address of the user whose key it is; for sub-type user"),
    LIMITS,
    USAGE,
    DEFAULTS,
    OVERRIDE,
    EMAILS,
    EXPIRES,
    ROTATION,
    MODELS,
    UNMEASURED,
    CREDENTIALS,
];

const CHANGED: &[Field] = &[
    Field::new("name", Kind::Text(255), "name for people"),
    SCOPES,
    DESCRIPTION,
    LIMITS,
    USAGE,
    DEFAULTS,
    OVERRIDE,
    EMAILS,
    EXPIRES,
    ROTATION,
    Field::new("reset_usage", Kind::Flag, "sets what its budget spent to zero"),
    MODELS,
    UNMEASURED,
    CREDENTIALS,
];

const LISTED: &[Field] = &[
    Field::new("workspace_id", Kind::Text(255), "only of this workspace"),
    Field::new("ids", Kind::Text(65_536), "only these, separated by commas"),
];

const DETAILS: &[Field] = &[
    Field::new("include_organisation", Kind::Flag, "adds the organisation"),
    Field::new("include_workspace", Kind::Flag, "adds the workspace"),
];

const ROTATED: &[Field] = &[Field::new(
    "key_transition_period_ms",
    Kind::Whole,
    "how long the old secret works beside the new one; 1,800,000 at least and without a word",
)];

pub(in crate::admin) const ROUTES: &[Route] = &[
    route!(POST "/api-keys/{type}/{sub_type}" ["organisation_service_api_keys.create", "workspace_service_api_keys.create", "workspace_user_api_keys.create"]
        "Make an API key; type organisation or workspace, sub-type service or user", NEW, &[] => create),
    route!(POST "/api-keys/organisation" ["organisation_service_api_keys.create"] "Make an API key of the organisation", NEW, &[] => create_organisation),
    route!(POST "/api-keys/organization" ["organisation_service_api_keys.create"] "Make an API key of the organisation", NEW, &[] => create_organisation),
    route!(POST "/api-keys/workspace" ["workspace_service_api_keys.create"] "Make an API key of a workspace", NEW, &[] => create_workspace),
    route!(GET "/api-keys" ["organisation_service_api_keys.list", "workspace_service_api_keys.list", "workspace_user_api_keys.list"]
        "List API keys", &[], LISTED => list),
    route!(GET "/api-keys/self/details" [] "Show the key that asks", &[], DETAILS => own_details),
    route!(GET "/api-keys/{id}" ["organisation_service_api_keys.read", "workspace_service_api_keys.read", "workspace_user_api_keys.read"]
        "Show an API key", &[], &[] => one),
    route!(PUT "/api-keys/{id}" ["organisation_service_api_keys.update", "workspace_service_api_keys.update", "workspace_user_api_keys.update"]
        "Change an API key; its type and user stay", CHANGED, &[] => change),
    route!(DELETE "/api-keys/{id}" ["organisation_service_api_keys.delete", "workspace_service_api_keys.delete", "workspace_user_api_keys.delete"]
        "Delete an API key", &[], &[] => remove),
    route!(POST "/api-keys/{id}/rotate" ["organisation_service_api_keys.rotate", "workspace_service_api_keys.rotate", "workspace_user_api_keys.rotate",
            "organisation_service_api_keys.update", "workspace_service_api_keys.update", "workspace_user_api_keys.update"]
        "Give an API key a new secret; the old one works for a while", ROTATED, &[] => rotate),
    route!(GET "/api-keys/{id}/secret" ["organisation_service_api_keys.rotate", "workspace_service_api_keys.rotate", "workspace_user_api_keys.rotate"]
        "Fetch a secret that the rotation policy made; once", &[], &[] => new_secret),
];
