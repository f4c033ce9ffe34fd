//! Where a request's config comes from, whether what it names is there, and what is said when nobody is named.

use tidegate_config::Plan;
use tidegate_store::KeyRecord;

use super::request::Request;
use super::resolve::{header, invalid};
use crate::error::{FailureWords, GatewayError};
use crate::gateway::Gateway;

/// Returns where a request's config comes from: `header`, `key` or `workspace`, with the id of a saved one; nothing without one.
#[must_use]
pub(super) fn whence(gateway: &Gateway, key: &KeyRecord, request: &Request) -> Option<String> {
    let header = header(request, "x-portkey-config");
    let of_workspace = gateway.default_config(key);
    let wanted = header.or(key.config.as_deref()).or(of_workspace.as_deref())?;
    let place = match (header, &key.config) {
        (Some(_), _) => "header",
        (None, Some(_)) => "key",
        (None, None) => "workspace",
    };
    let is_saved = gateway.settings().configs.contains_key(wanted);
    Some(if is_saved { format!("{place} {wanted}") } else { place.to_owned() })
}

/// Checks that every saved guardrail that is named exists.
pub(super) fn check_guardrails(gateway: &Gateway, key: &KeyRecord, plan: &Plan) -> Result<(), GatewayError> {
    if plan.guardrails().is_empty() {
        return Ok(());
    }
    let (settings, rules) = (gateway.settings(), gateway.objects.rules());
    let workspace = rules.workspace_id(key);
    let is_unknown =
        |id: &str| !settings.guardrails.contains_key(id) && rules.guardrail(id, workspace).is_none();
    let unknown: Vec<_> = plan.guardrails().iter().filter(|named| is_unknown(&named.id)).collect();
    let Some(first) = unknown.first() else { return Ok(()) };
    let ids: Vec<&str> = unknown.iter().map(|named| named.id.as_str()).collect();
    let message = format!("Following guardrails are not valid: {}", ids.join(", "));
    let mut error =
        invalid(&first.path, &format!("{message} ({}: the id of a saved guardrail is expected)", first.path));
    error.failure = Some(Box::new(FailureWords { message, errors: Vec::new() }));
    Err(error)
}

/// Says beside our own what Portkey says when a request names no provider.
pub(super) fn in_portkeys_words(mut error: GatewayError, request: &Request) -> GatewayError {
    let message = if header(request, "x-portkey-config").is_some() {
        "Either x-portkey-provider needs to be passed. Or the x-portkey-config header should have a valid config with \
         provider details in it."
    } else {
        "Either x-portkey-config or x-portkey-provider header is required"
    };
    error.failure = Some(Box::new(FailureWords { message: message.to_owned(), errors: Vec::new() }));
    error
}
