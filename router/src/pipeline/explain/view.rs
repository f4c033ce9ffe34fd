//! What an explanation holds. The same values are told as JSON and, by `text`, to people.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidegate_store::ChoiceRow;

use crate::error::GatewayError;

/// Why a request would go where it would go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// Path asked for.
    pub endpoint: String,
    /// Name of the key.
    pub key: String,
    /// Where the config comes from: `header`, `key`, with the id of a saved one; nothing without one.
    pub config: Option<String>,
    /// The target that would be asked first; nothing when the request would be refused.
    pub asked_first: Option<String>,
    /// Why the request would be refused.
    pub refused: Option<Refusal>,
    /// Members of the config without effect, or with another one than with Portkey.
    pub notes: Vec<NoteView>,
    /// The plan.
    pub plan: Option<NodeView>,
    /// Choices of this walk, in order. Chance may choose otherwise next time.
    pub choices: Vec<ChoiceRow>,
    /// Every target, in the order of the config.
    pub targets: Vec<TargetView>,
    /// Targets that were not looked at, because there are so many.
    pub left_out: usize,
}

/// Why something would be refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The sentence.
    pub message: String,
    /// Member or header at fault.
    pub at: Option<String>,
}

impl Refusal {
    pub(super) fn of(error: &GatewayError) -> Self {
        Self { status: error.status(), message: error.message.clone(), at: error.param.clone() }
    }
}

/// A note about the config.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NoteView {
    /// JSON path.
    pub path: String,
    /// What to know.
    pub message: String,
}

/// A node of the plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NodeView {
    /// Place in the config.
    pub path: String,
    /// Its label.
    pub name: Option<String>,
    /// `target`, or how it chooses.
    pub how: String,
    /// What it chooses by: weights, statuses, settings of a breaker.
    pub by: Vec<String>,
    /// Conditions, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<ConditionView>,
    /// What it chooses from.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub children: Vec<NodeView>,
}

/// A condition, looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConditionView {
    /// The child that it chooses.
    pub then: String,
    /// Whether it holds; nothing when a plugin would have to be asked and an earlier condition made that needless.
    pub holds: Option<bool>,
    /// Its tests.
    pub seen: Vec<SeenView>,
}

/// One test.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeenView {
    /// What was looked at.
    pub path: String,
    /// What was asked of it.
    pub test: String,
    /// What was there.
    pub value: Option<Value>,
    /// Whether it holds.
    pub holds: Option<bool>,
}

/// A target, looked at.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TargetView {
    /// Place in the config.
    pub target: String,
    /// Its turn in this walk, if all before it fail; nothing when the walk does not come to it.
    pub turn: Option<usize>,
    /// Why it can't be asked.
    pub refused: Option<Refusal>,
    /// Provider's slug.
    pub provider: Option<String>,
    /// Vendor.
    pub vendor: Option<String>,
    /// Vendor's model.
    pub model: Option<String>,
    /// Where it would be sent, without query.
    pub url: Option<String>,
    /// Names of the headers that would be sent.
    pub headers: Vec<String>,
    /// What the target changes in the body.
    pub parameters: Vec<ParameterView>,
    /// Guardrails and mutators around it.
    pub guards: Vec<GuardView>,
    /// US dollars for a million tokens.
    pub price: Option<PriceView>,
    /// What budgets would hold for it.
    pub holds: Vec<HoldView>,
    /// Input tokens, roughly.
    pub likely_input_tokens: Option<u64>,
    /// Output limit that would be sent because budgets afford no more.
    pub output_cap: Option<u64>,
    /// Limits of the key and what is left of them.
    pub limits: Vec<String>,
    /// What the provider's last attempts were like, and what stands against it.
    pub health: Vec<String>,
    /// Time limits.
    pub timeouts: Vec<String>,
    /// Retries.
    pub retry: String,
    /// Cache.
    pub cache: String,
    /// What else is set: strictness, headers that are passed on.
    pub settings: Vec<String>,
}

/// What a target changes in the body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterView {
    /// Member.
    pub name: String,
    /// `default`, `override` or `drop`.
    pub by: String,
    /// What it is then; nothing when it is gone.
    pub value: Option<Value>,
}

/// A guardrail or mutator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GuardView {
    /// Its id.
    pub id: String,
    /// `input` or `output`.
    pub side: String,
    /// `guardrail` or `mutator`.
    pub kind: String,
    /// Whether it denies, informs only, runs in sequence, judges while the vendor is asked.
    pub ways: Vec<String>,
    /// Where it is written.
    pub path: String,
    /// Its checks.
    pub checks: Vec<CheckView>,
}

/// A check of a guardrail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckView {
    /// `plugin.check`
    pub id: String,
    /// Version of the plugin in force; nothing when none has this check.
    pub version: Option<String>,
    /// Digest of the plugin in force.
    pub digest: Option<String>,
}

/// US dollars for a million tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PriceView {
    /// Read.
    pub input: String,
    /// Written.
    pub output: String,
}

/// What a budget would hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoldView {
    /// The budget.
    pub budget: String,
    /// US dollars.
    pub usd: String,
}
