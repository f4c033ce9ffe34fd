//! `block_inline_config`: what requests may not bring along themselves where the operator or the organisation says so.
//!
//! What is saved or declared goes on working: a config by its name, a provider by `@slug`. Closed: who switches it on
//! decides alone where requests go.

use tidegate_config::Target;
use tidegate_store::KeyRecord;

use super::request::Request;
use super::resolve::header;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;

/// Returns whether it is on for a key: by the settings file or the environment, else by the switch of its workspace.
fn is_on(gateway: &Gateway, key: &KeyRecord) -> bool {
    let rules = gateway.objects.rules();
    gateway.settings().block_inline_config
        || rules.workspace(rules.workspace_id(key)).is_some_and(|own| own.blocks_inline)
}

/// Refuses a config that stands in the header itself.
///
/// # Errors
/// 400
pub(super) fn check_config(gateway: &Gateway, key: &KeyRecord) -> Result<(), GatewayError> {
    if !is_on(gateway, key) {
        return Ok(());
    }
    let message = "Inline configs are not allowed when block_inline_config is enabled. Use a saved config by its slug \
                   (pc-…) instead.";
    Err(GatewayError::new(ErrorKind::InlineConfig, message).at("x-portkey-config"))
}

/// Refuses another host than the provider's own, where the header asks for it.
///
/// # Errors
/// 400
pub(super) fn check_host(gateway: &Gateway, key: &KeyRecord, request: &Request) -> Result<(), GatewayError> {
    const HEADER: &str = "x-portkey-custom-host";
    if header(request, HEADER).is_none() || !is_on(gateway, key) {
        return Ok(());
    }
    let message = "Custom hosts in headers are not allowed when block_inline_config is enabled. Use a saved \
                   integration via '@slug' instead.";
    Err(GatewayError::new(ErrorKind::InlineHost, message).at(HEADER))
}

/// Refuses a vendor that the header names, for which the request brings its own credentials.
///
/// # Errors
/// 400
pub(super) fn check_vendor(gateway: &Gateway, key: &KeyRecord, target: &Target) -> Result<(), GatewayError> {
    if target.provider.is_some() || !is_on(gateway, key) {
        return Ok(());
    }
    let message = "Inline provider names are not allowed when block_inline_config is enabled. Use a saved integration \
                   via '@slug' instead.";
    Err(GatewayError::new(ErrorKind::InlineProvider, message).at("x-portkey-provider"))
}
