//! Guardrails that judge whatever a config says.

use serde_json::Value;

/// Ids of guardrails that judge every request and every answer, whatever its config says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Of requests.
    pub input: Vec<String>,
    /// Of answers.
    pub output: Vec<String>,
}

impl Defaults {
    /// Reads them out of an object's body.
    pub(super) fn of(body: &Value) -> Self {
        let side = |name: &str| {
            let ids = body["defaults"][name].as_array().into_iter().flatten();
            ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
        };
        Self { input: side("input_guardrails"), output: side("output_guardrails") }
    }

    /// Puts the organisation's in front, where the workspace is not exempt.
    pub(super) fn behind(&mut self, organisation: &Value, workspace: &str) {
        let everyone = Self::of(organisation);
        let exempt = |side: &str| {
            let excluded = organisation["exclusions"][side].as_array().into_iter().flatten();
            excluded.into_iter().any(|id| id == workspace)
        };
        for (own, mut ids, side) in [
            (&mut self.input, everyone.input, "input_guardrails"),
            (&mut self.output, everyone.output, "output_guardrails"),
        ] {
            if !exempt(side) {
                own.retain(|id| !ids.contains(id));
                ids.append(own);
                *own = ids;
            }
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }
}
