//! What to do instead, for members of LiteLLM's configuration that have no counterpart.

use crate::draft::Draft;
use crate::place::Place;

/// Names and what to do instead.
pub(super) type Advice = [(&'static str, &'static str)];

const CALLBACKS: &str = "callbacks are not taken over; `tidegate logs --json` has every request";
const LOGGING: &str = "has no counterpart: prompts and answers are never kept, and nothing is sent elsewhere";
const DATABASE: &str = "is not taken over: the gateway keeps its own store in `data`. Keys, teams, users and their \
                        budgets in LiteLLM's database must be made anew, as [[key]] or with `tidegate key create`";
const ALERTS: &str = "alerts are not taken over; watch the log and `GET /v1/admin/state`";
const PRICED: &str = "prices by second are not taken over; see `prices` in the settings' reference";
const CLIENT_SIDE: &str =
    "clients' own credentials are allowed with `header_credentials = true` on a [[key]]";
const PLUGIN: &str = "code is not taken over; write a plugin (`tidegate plugin new`)";

/// At the top of the file.
pub(super) const TOP: [(&str, &str); 7] = [
    ("include", "other files are not read; paste them here and convert again"),
    ("callback_settings", CALLBACKS),
    ("mcp_servers", "is not taken over; the gateway serves no MCP"),
    ("mcp_tools", "is not taken over; the gateway serves no MCP"),
    ("files_settings", "is not needed: /v1/files goes to the provider that x-portkey-provider names"),
    (
        "finetune_settings",
        "is not needed: /v1/fine_tuning goes to the provider that x-portkey-provider names",
    ),
    ("vector_store_registry", "is not taken over"),
];

/// In `litellm_params`.
pub(super) const PARAMS: [(&str, &str); 17] = [
    ("organization", "is not set by the gateway; clients send the header openai-organization, which passes"),
    ("headers", "fixed headers are not sent; a config's forward_headers passes clients' headers on"),
    ("extra_headers", "fixed headers are not sent; a config's forward_headers passes clients' headers on"),
    ("tags", "routing by tags: make a config with a condition on metadata.*"),
    ("mock_response", "is not taken over; point a provider at a server of your own"),
    (
        "drop_params",
        "is not needed: members that a vendor refuses are left out as far as they are known; others \
                     are named in drop_params of a config",
    ),
    ("region_name", "is not taken over; the address says the region"),
    ("input_cost_per_second", PRICED),
    ("output_cost_per_second", PRICED),
    ("max_budget", "budgets of deployments are set on the provider: budget = { usd = …, period = … }"),
    ("budget_duration", "budgets of deployments are set on the provider: budget = { usd = …, period = … }"),
    ("configurable_clientside_auth_params", CLIENT_SIDE),
    ("use_in_pass_through", "is not needed: /v1/proxy/… reaches every provider"),
    ("cache_control_injection_points", "is not taken over; clients set cache_control themselves"),
    (
        "azure_ad_token",
        "is not written, because options hold no references; give the provider an api_key, or set \
                        options.azure_ad_token yourself",
    ),
    ("tenant_id", "sign-in with Entra is not there; use an API key"),
    ("client_secret", "sign-in with Entra is not there; use an API key"),
];

/// In `router_settings`.
pub(super) const ROUTER: [(&str, &str); 16] = [
    (
        "retry_policy",
        "retries by kind of error are not there; a config's retry.on_status_codes lists statuses",
    ),
    (
        "model_group_retry_policy",
        "retries by kind of error are not there; a config's retry.on_status_codes lists \
                                  statuses",
    ),
    ("allowed_fails_policy", "is not taken over; cb_config.failure_status_codes says what counts"),
    (
        "content_policy_fallbacks",
        "is not taken over: vendors say it with status 400 like other mistakes; a fallback \
                                  with on_status_codes [400] comes near",
    ),
    (
        "enable_pre_call_checks",
        "is not needed for limits, which are always asked first; lengths are not checked",
    ),
    ("enable_tag_filtering", "routing by tags: make a config with a condition on metadata.*"),
    ("tag_filtering_match_any", "routing by tags: make a config with a condition on metadata.*"),
    ("retry_after", "is not taken over; waits grow from 1 s, or follow retry.use_retry_after_header"),
    ("routing_strategy_args", "is not taken over"),
    ("max_fallbacks", "is not taken over; every fallback that is listed is tried"),
    ("redis_url", "routing needs no Redis: gateways don't share what they measured"),
    ("redis_host", "routing needs no Redis: gateways don't share what they measured"),
    ("redis_port", "routing needs no Redis: gateways don't share what they measured"),
    ("redis_password", "routing needs no Redis: gateways don't share what they measured"),
    ("provider_budget_config", "is set on providers: budget = { usd = …, period = … }"),
    ("assistants_config", "is not taken over"),
];

/// In `litellm_settings`.
pub(super) const LITELLM: [(&str, &str); 22] = [
    ("callbacks", CALLBACKS),
    ("success_callback", CALLBACKS),
    ("failure_callback", CALLBACKS),
    ("service_callback", CALLBACKS),
    ("service_callbacks", CALLBACKS),
    ("callback_settings", CALLBACKS),
    ("turn_off_message_logging", "is always so: prompts and answers are not kept"),
    ("redact_user_api_key_info", "is always so: keys are shown by name"),
    ("langfuse_default_tags", CALLBACKS),
    (
        "drop_params",
        "is not needed: members that a vendor refuses are left out as far as they are known; others \
                     are named in drop_params of a config",
    ),
    ("modify_params", "is not taken over"),
    ("set_verbose", "is not taken over; log.filter = \"info,tidegate=debug\" says more"),
    (
        "guardrails",
        "this older form is not taken over; see the gateway's plugins default, pii, secrets, topics",
    ),
    (
        "content_policy_fallbacks",
        "is not taken over: vendors say it with status 400 like other mistakes; a fallback \
                                  with on_status_codes [400] comes near",
    ),
    ("force_ipv4", "is not taken over"),
    ("ssl_verify", "is not taken over: certificates are always checked"),
    ("mcp_aliases", "is not taken over; the gateway serves no MCP"),
    ("key_generation_settings", "is not taken over; only admins make keys"),
    ("default_team_settings", "is not taken over; there are no teams"),
    ("default_internal_user_params", "is not taken over; there are no users, only keys"),
    ("upperbound_key_generate_params", "is not taken over; only admins make keys"),
    ("enable_json_schema_validation", "is not taken over; the plugin default has the check jsonSchema"),
];

/// In `general_settings`.
pub(super) const GENERAL: [(&str, &str); 26] = [
    ("database_url", DATABASE),
    ("database_type", DATABASE),
    ("store_model_in_db", DATABASE),
    ("database_connection_pool_limit", "is not needed: the store is SQLite"),
    ("database_connection_timeout", "is not needed: the store is SQLite"),
    (
        "allow_requests_on_db_unavailable",
        "is not needed; a key with a budget is refused when its spend can't be \
                                          recorded",
    ),
    ("alerting", ALERTS),
    ("alerting_threshold", ALERTS),
    ("alert_types", ALERTS),
    ("alert_to_webhook_url", ALERTS),
    ("alerting_args", ALERTS),
    ("custom_auth", PLUGIN),
    ("custom_key_generate", PLUGIN),
    ("custom_sso", PLUGIN),
    ("enable_jwt_auth", "is not there; clients use keys"),
    ("litellm_jwtauth", "is not there; clients use keys"),
    ("ui_access_mode", "is not there; the command line and the Admin API do what the UI did"),
    ("enforce_user_param", "is not taken over; a guardrail of your own may refuse requests without user"),
    ("allowed_routes", "is not taken over; `unmeasured = \"deny\"` on a [[key]] leaves the modelled paths"),
    ("key_management_system", "is not taken over; secrets are read with env:NAME or file:PATH"),
    ("key_management_settings", "is not taken over; secrets are read with env:NAME or file:PATH"),
    ("pass_through_endpoints", "is not taken over; /v1/proxy/… passes any path to a provider as it is"),
    ("store_prompts_in_spend_logs", LOGGING),
    (
        "forward_client_headers_to_llm_api",
        "is not taken over; name the headers in forward_headers of a config",
    ),
    ("background_health_checks", "is not there; a provider's breaker learns from real requests"),
    ("health_check_interval", "is not there; a provider's breaker learns from real requests"),
];

/// Notes a member that has no counterpart.
pub(super) fn note(draft: &mut Draft, place: &Place<'_>, name: &str, advice: &Advice) {
    let known = advice.iter().find(|(known, _)| *known == name);
    let message = known.map_or("has no counterpart; nothing was made of it", |(_, message)| *message);
    draft.note(place.path.clone(), message);
}
