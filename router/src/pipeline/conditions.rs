//! Decides conditional strategies, asking plugins where conditions need them (`$plugin`).
//!
//! Fails closed: a condition that can't be decided ends the request. Either branch could be the wrong one, and a rule
//! like "stay in the EU" is worth nothing if an error goes around it.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_config::{Condition, Facts, PluginCondition};
use tidegate_providers::surrogates;
use tidegate_store::KeyRecord;

use super::guard::{Scene, tenant};
use super::route::{Asked, Trip};
use super::shape;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::routing::conditional::{self, Choice};
use crate::routing::reasons;

/// Asks a plugin whether a condition holds. `body`: the JSON request, if it is one.
///
/// # Errors
/// 400 when no plugin knows the condition, 503 when it could not be decided.
async fn matches(
    (gateway, key): (&Gateway, &KeyRecord),
    condition: &PluginCondition,
    scene: &Scene,
    body: Option<&Value>,
) -> Result<bool, GatewayError> {
    let (id, name) = condition.id.split_once('.').unwrap_or((&condition.id, ""));
    let set = gateway.plugins.ready(|| std::iter::once(id)).await;
    let Some(plugin) = set.get(id).filter(|plugin| plugin.condition_info(name).is_some()) else {
        let message = format!("No plugin has a condition {}", condition.id);
        return Err(GatewayError::new(ErrorKind::Invalid, message).at(condition.path.clone()));
    };
    let call = scene.view(body, &|what| plugin.wants(what));
    let params = Value::Object(condition.params.clone()).to_string();
    plugin.matches(tenant(gateway, key), name, params, &call, None).await.map_err(|error| {
        tracing::warn!(condition = condition.id, %error, "a condition could not be decided");
        let message = format!("Condition {} could not be decided: {error}", condition.id);
        GatewayError::new(ErrorKind::Unavailable, message).at(condition.path.clone())
    })
}

/// What a conditional chose.
pub(super) struct Decided {
    /// The child.
    pub child: usize,
    /// The condition that holds; `None` is the default.
    pub by: Option<usize>,
    /// What plugins said, by condition, where they were asked.
    pub answers: BTreeMap<usize, Vec<bool>>,
}

impl Decided {
    /// Returns what plugins said to a condition.
    pub(super) fn answers(&self, condition: usize) -> &[bool] {
        self.answers.get(&condition).map_or(&[], Vec::as_slice)
    }

    /// Says why.
    pub(super) fn why(&self, conditions: &[Condition], facts: &dyn Facts) -> String {
        let answers = self.by.map_or(&[][..], |at| self.answers(at));
        reasons::decided(conditions, self.by, facts, answers)
    }
}

impl Trip<'_> {
    /// Decides a conditional, asking plugins only where the rest leaves it open.
    pub(super) async fn decide(
        &self,
        conditions: &[Condition],
        default: Option<usize>,
    ) -> Result<Decided, GatewayError> {
        let mut answers: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
        let mut from = 0;
        loop {
            let at = match conditional::choose(conditions, default, from, self) {
                Choice::Child { child, by } => return Ok(Decided { child, by, answers }),
                Choice::Nothing => {
                    let message = "Query router did not resolve to any valid target";
                    return Err(GatewayError::new(ErrorKind::Invalid, message).at("x-portkey-config"));
                }
                Choice::Ask(at) => at,
            };
            let Some(condition) = conditions.get(at) else { continue };
            let mut told = Vec::new();
            for plugin in condition.query.plugin_conditions() {
                told.push(self.plugin_decides(plugin).await?);
            }
            let holds = condition.query.evaluate(self, &told);
            answers.insert(at, told);
            if holds {
                return Ok(Decided { child: condition.then, by: Some(at), answers });
            }
            from = at + 1;
        }
    }

    async fn plugin_decides(&self, condition: &PluginCondition) -> Result<bool, GatewayError> {
        let (body, shape) = match self.asked {
            Asked::Json(fields) => {
                let shape = shape::of_json(self.request.endpoint, fields)?;
                (surrogates::from_slice::<Value>(&fields.to_vec()).ok(), shape)
            }
            Asked::Form(form) => (None, shape::of_form(self.request.endpoint, form)?),
            Asked::Raw(_) => (None, shape::unmodelled(None)),
        };
        let model = shape.model.clone().unwrap_or_default();
        let scene = self.scene(&shape, model, None);
        matches((self.gateway, &self.caller.record), condition, &scene, body.as_ref()).await
    }
}
