//! Conditions that plugins decide (`$plugin` in a conditional strategy).
//!
//! Fails closed: a condition that can't be decided ends the request. Either branch could be the wrong one, and a rule
//! like "stay in the EU" is worth nothing if an error goes around it.

use serde_json::Value;
use tidegate_config::PluginCondition;

use super::guard::{Scene, tenant};
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;

/// Asks a plugin whether a condition holds. `body`: the JSON request, if it is one.
///
/// # Errors
/// 400 when no plugin knows the condition, 503 when it could not be decided.
pub(super) async fn matches(
    gateway: &Gateway,
    condition: &PluginCondition,
    scene: &Scene,
    body: Option<&Value>,
) -> Result<bool, GatewayError> {
    let (id, name) = condition.id.split_once('.').unwrap_or((&condition.id, ""));
    let set = gateway.plugins.ready(&[id]).await;
    let Some(plugin) = set.get(id).filter(|plugin| plugin.condition_info(name).is_some()) else {
        let message = format!("No plugin has a condition {}", condition.id);
        return Err(GatewayError::new(ErrorKind::Invalid, message).at(condition.path.clone()));
    };
    let call = scene.view(body, &|what| plugin.wants(what));
    let params = Value::Object(condition.params.clone()).to_string();
    plugin.matches(&tenant(), name, &params, &call, None).await.map_err(|error| {
        tracing::warn!(condition = condition.id, %error, "a condition could not be decided");
        let message = format!("Condition {} could not be decided: {error}", condition.id);
        GatewayError::new(ErrorKind::Unavailable, message).at(condition.path.clone())
    })
}
