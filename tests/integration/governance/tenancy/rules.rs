//! What each place of the Admin API may name. A place that is not listed here fails the test: whoever adds one says
//! whether it can name what another workspace owns.

use serde_json::Value;

use super::forms;
use super::names::Kind;

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Body,
}

/// How a name stands in a place: `%` is the name.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) kind: Kind,
    text: String,
    is_json: bool,
}

impl Form {
    /// The text itself, with something around the name.
    pub(super) fn text(kind: Kind, text: &str) -> Self {
        Self { kind, text: text.to_owned(), is_json: false }
    }

    /// A JSON value with the name somewhere in it.
    pub(super) fn json(kind: Kind, text: &str) -> Self {
        Self { kind, text: text.to_owned(), is_json: true }
    }

    pub(super) fn with(&self, name: &str) -> Value {
        let text = self.text.replace('%', name);
        if self.is_json {
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        } else {
            text.into()
        }
    }
}

/// Members that name nothing of anybody's: they say what something is, is called, costs or may do.
const NOTHING: &[&str] = &[
    "actions",
    "ai_provider_id",
    "alert_emails",
    "alert_threshold",
    "allow_all_models",
    "allow_all_workspaces",
    "allow_config_override",
    "apiVersion",
    "auth_config",
    "checks",
    "configurations",
    "create_default_provider",
    "credit_limit",
    "deploymentConfig",
    "deploymentName",
    "description",
    "expires_at",
    "first_name",
    "force",
    "force_delete",
    "global_workspace_access",
    "group_by",
    "header_credentials",
    "icon",
    "isDefault",
    "is_default",
    "key",
    "key_transition_period_ms",
    "last_name",
    "manager_type",
    "metadata_schemas",
    "name",
    "next_usage_reset_at",
    "on_store_loss",
    "note",
    "organisation_id",
    "override_existing",
    "override_existing_workspace_access",
    "override_existing_workspaces_access",
    "periodic_reset",
    "periodic_reset_days",
    "pricing_adjustments",
    "rate_limits",
    "reset_usage",
    "resourceName",
    "role",
    "rotation_policy",
    "scopes",
    "secret_key",
    "secret_path",
    "security_settings",
    "settings",
    "status",
    "tags",
    "target",
    "type",
    "unit",
    "unmeasured",
    "usage_limits",
    "value",
    "workspace_api_key_details",
];

/// Parameters of queries that name nothing.
const NOTHING_ASKED: &[&str] = &[
    "action",
    "end_time",
    "force",
    "include_organisation",
    "include_usage",
    "include_workspace",
    "manager_type",
    "method",
    "name_format",
    "organisation_id",
    "resource_type",
    "response_status_code",
    "role",
    "slugs",
    "start_time",
    "status",
    "tags",
    "type",
];

/// Returns what a place of a route may name; `None` where nobody said.
pub(super) fn of(path: &str, place: Place, name: &str) -> Option<Vec<Form>> {
    match place {
        Place::Path => in_path(path, name),
        Place::Query if NOTHING_ASKED.contains(&name) => Some(Vec::new()),
        Place::Query => in_query(path, name),
        Place::Body => in_body(path, name).or_else(|| NOTHING.contains(&name).then(Vec::new)),
    }
}

fn one(kind: Kind) -> Option<Vec<Form>> {
    Some(vec![Form::text(kind, "%")])
}

/// The kind of object whose routes begin so.
pub(super) fn kind_of(path: &str) -> Option<Kind> {
    let begin = [
        ("/v1/admin/logs", Kind::Request),
        ("/v1/admin/workspaces", Kind::Workspace),
        ("/v1/admin/users/invites", Kind::Invite),
        ("/v1/admin/users", Kind::Person),
        ("/v1/api-keys", Kind::Key),
        ("/v1/configs", Kind::Config),
        ("/v1/guardrails", Kind::Guardrail),
        ("/v1/integrations", Kind::Integration),
        ("/v1/invites", Kind::Invite),
        ("/v1/policies/rate-limits", Kind::Rate),
        ("/v1/policies/usage-limits", Kind::Usage),
        ("/v1/providers", Kind::Provider),
        ("/v1/secret-references", Kind::Reference),
        ("/v1/virtual-keys", Kind::Provider),
    ];
    begin.into_iter().find(|(start, _)| path.starts_with(start)).map(|(_, kind)| kind)
}

fn in_path(path: &str, name: &str) -> Option<Vec<Form>> {
    match name {
        "id" | "slug" | "token" => one(kind_of(path)?),
        "user" => one(Kind::Person),
        "entity" => one(Kind::Bucket),
        // Words: organisation, workspace; service, user.
        "type" | "sub_type" if path.starts_with("/v1/api-keys/") => Some(Vec::new()),
        _ => None,
    }
}

fn in_query(path: &str, name: &str) -> Option<Vec<Form>> {
    match name {
        "workspace_id" => one(Kind::Workspace),
        "ids" => one(kind_of(path)?),
        "name" | "exact_name" if path == "/v1/admin/workspaces" => one(Kind::WorkspaceName),
        "email" | "user_id" => one(Kind::Person),
        "resource_id" => one(Kind::Key),
        "search" if path.starts_with("/v1/policies") => one(Kind::Bucket),
        "search" if path.starts_with("/v1/secret-references") => one(Kind::Reference),
        _ => None,
    }
}

fn in_body(path: &str, name: &str) -> Option<Vec<Form>> {
    let json = |all: &[(Kind, &str)]| Some(all.iter().map(|(kind, form)| Form::json(*kind, form)).collect());
    let is_of_keys = path.starts_with("/v1/api-keys");
    match name {
        "workspace_id" => one(Kind::Workspace),
        "integration_id" => one(Kind::Integration),
        "user_id" | "email" => one(Kind::Person),
        "reset_usage_for_value" => one(Kind::Bucket),
        "slug" | "default_provider_slug" => one(Kind::Taken),
        "version" | "version_id" => one(Kind::Version),
        // A vendor, or what a provider is named by.
        "provider" => Some(vec![Form::text(Kind::Provider, "%"), Form::text(Kind::Provider, "@%")]),
        "models" if is_of_keys => {
            json(&[(Kind::Provider, r#"["@%/*"]"#), (Kind::Provider, r#"["@%/mock"]"#)])
        }
        "models" => json(&[]),
        "defaults" if is_of_keys => json(&[(Kind::Config, r#"{"config_id":"%"}"#)]),
        "defaults" => json(&[
            (Kind::Config, r#"{"config_id":"%"}"#),
            (Kind::Config, r#"{"user_api_key_config":"%"}"#),
            (Kind::Guardrail, r#"{"input_guardrails":["%"]}"#),
            (Kind::Guardrail, r#"{"output_guardrails":["%"]}"#),
            (Kind::Guardrail, r#"{"input_guardrails":[{"id":"%"}]}"#),
            (Kind::Guardrail, r#"{"input_guardrails":[{"slug":"%"}]}"#),
        ]),
        "input_guardrails" | "output_guardrails" => json(&[(Kind::Guardrail, r#"["%"]"#)]),
        "config" => Some(forms::of_config()),
        "conditions" => Some(forms::of_conditions()),
        "secret_mappings" => {
            json(&[(Kind::Reference, r#"[{"target_field":"key","secret_reference_id":"%"}]"#)])
        }
        "users" => json(&[
            (Kind::Person, r#"[{"id":"%","role":"member"}]"#),
            (Kind::Person, r#"[{"email":"%","role":"member"}]"#),
        ]),
        "workspaces" => json(&[
            (Kind::Workspace, r#"[{"id":"%","role":"member"}]"#),
            (Kind::Workspace, r#"[{"id":"%","enabled":true,"create_default_provider":true}]"#),
            (Kind::Workspace, r#"[{"workspace_id":"%","excluded":true}]"#),
        ]),
        "allowed_workspaces" => json(&[(Kind::Workspace, r#"["%"]"#)]),
        _ => None,
    }
}
