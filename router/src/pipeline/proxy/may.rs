//! Who may use paths that can't be measured or guarded.

use tidegate_config::Target;
use tidegate_store::{KeyRecord, Unmeasured};

use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::limits::model_allowed;
use crate::pipeline::request::Request;

/// A name that no model has: who may use it may use all models of the provider.
const NO_MODEL: &str = "\u{0}";

/// Refuses keys whose limits such a path would go around, unless their owner says so.
///
/// # Errors
/// 403 with what the owner can say.
pub(in crate::pipeline) fn may_use(
    key: &KeyRecord,
    slug: &str,
    provider_has_budget: bool,
) -> Result<(), GatewayError> {
    let why = if key.unmeasured == Some(Unmeasured::Allow) {
        return Ok(());
    } else if key.unmeasured == Some(Unmeasured::Deny) {
        "may not use them".to_owned()
    } else if key.budget.is_some() {
        "has a budget".to_owned()
    } else if provider_has_budget {
        format!("uses provider {slug}, which has a budget")
    } else if !model_allowed(&key.models, slug, NO_MODEL) {
        format!("may use some models of provider {slug} only")
    } else {
        return Ok(());
    };
    Err(GatewayError::new(
        ErrorKind::Scope,
        format!(
            "What a path that the gateway does not model costs and which model it uses can't be measured, and API key {} {why}; its owner may allow it with unmeasured = \"allow\"",
            key.name
        ),
    ))
}

/// Refuses to go silently past guardrails. A config may say that its own may be passed by, not those of its workspace.
///
/// # Errors
/// 400 with what the config can say.
pub(in crate::pipeline) fn may_pass_guards(
    gateway: &Gateway,
    key: &KeyRecord,
    request: &Request,
    target: &Target,
) -> Result<(), GatewayError> {
    if request.proxy.is_none() {
        return Ok(());
    }
    if gateway.objects.rules().defaults(key).is_some() {
        let message = "the workspace has guardrails for every request, and they can't read a path that the gateway \
                       does not model";
        return Err(GatewayError::new(ErrorKind::Invalid, message));
    }
    if target.hooks.is_empty() || target.unguarded_passthrough {
        return Ok(());
    }
    let message = "the config has guardrails, and they can't read a path that the gateway does not model; \
                   \"unguarded_passthrough\": true in the config lets such requests pass without them";
    Err(GatewayError::new(ErrorKind::Invalid, message).at("x-portkey-config"))
}
