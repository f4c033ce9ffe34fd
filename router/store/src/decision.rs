//! Why a request went where it went: kept with its row, where there was something to decide.
//!
//! What callers wrote never stands in it, but for metadata, model names and numbers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The decisions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionRow {
    /// Where its config came from: `header`, `key`, with the id of a saved one: `key support`.
    pub config: String,
    /// Choices among targets, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<ChoiceRow>,
    /// What the cache said, where it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// What guardrails said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<GuardRow>,
}

impl DecisionRow {
    /// Returns whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty() && self.cache.is_none() && self.guards.is_empty()
    }
}

/// One choice among the targets of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChoiceRow {
    /// The node that chose, as Portkey shows places: `config.targets[1]`.
    pub at: String,
    /// How: `conditional`, `loadbalance`, `fallback`, …
    pub how: String,
    /// The child it chose; `None` where the last answer stays.
    pub chose: Option<String>,
    /// Why.
    pub why: String,
}

/// What one guardrail said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuardRow {
    /// Its id.
    pub id: String,
    /// `input` or `output`.
    pub side: Cow<'static, str>,
    /// Whether it passed.
    pub verdict: bool,
    /// Whether it stopped the request or its answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// Whether it changed what it judged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub transformed: bool,
    /// Checks that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Checks that broke down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub erred: Vec<String>,
}
