//! Decides `thinking` and `output_config.effort` of an outgoing call.

use serde_json::{Value, json};

use super::model::{Model, Thinking, ThinkingOff};
use crate::call::{ChatCall, Message, Part, ReasoningRequest, Role, ToolChoice};
use crate::error::InvalidCall;

/// The smallest budget that the vendor accepts.
const MIN_BUDGET: u64 = 1024;

/// What to send.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// `thinking`.
    pub(super) thinking: Option<Value>,
    /// `output_config.effort`.
    pub(super) effort: Option<&'static str>,
}

impl Plan {
    /// Returns whether the model will think on account of this request, which restricts sampling.
    pub(super) fn thinks(&self) -> bool {
        let kind = self.thinking.as_ref().and_then(|thinking| thinking.get("type")).and_then(Value::as_str);
        kind.is_some_and(|kind| kind != "disabled")
    }
}

/// Plans a call that may have `max_tokens` output tokens.
pub(super) fn plan(call: &ChatCall, model: Model, max_tokens: u64) -> Result<Plan, InvalidCall> {
    let Some(request) = &call.reasoning else { return Ok(Plan::default()) };
    let off = request.effort.as_deref() == Some("none");
    let effort = match request.effort.as_deref() {
        None | Some("none") => None,
        Some(word) => Some(model.effort(word).ok_or_else(|| {
            let message = format!(
                "unknown effort `{word}`; accepted are `none`, `minimal`, `low`, `medium`, `high` and `xhigh`"
            );
            InvalidCall::at("reasoning_effort", message)
        })?),
    };
    let taken_effort = effort.filter(|_| model.takes_effort());
    if let Some(raw) = &request.raw {
        return Ok(Plan { thinking: Some(raw.clone()), effort: taken_effort });
    }
    if off {
        return Ok(switched_off(model));
    }
    if effort.is_none() && request.budget_tokens.is_none() {
        return Ok(Plan::default());
    }
    // Thinking and a forced tool exclude each other; the tool is what the caller's program depends on.
    let forced = matches!(call.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let thinking = match model.thinking() {
        Thinking::Never => None,
        _ if forced => None,
        Thinking::Adaptive => Some(json!({"type": "adaptive"})),
        Thinking::Budget if lost_thoughts(&call.messages) => None,
        Thinking::Budget => budget(request, effort, max_tokens)
            .map(|budget| json!({"type": "enabled", "budget_tokens": budget})),
    };
    let thinking = thinking.map(|mut thinking| {
        if let Some(shown) = request.include_thoughts {
            thinking["display"] = if shown { "summarized" } else { "omitted" }.into();
        }
        thinking
    });
    Ok(Plan { thinking, effort: taken_effort })
}

/// Returns whether the conversation stands in the middle of a tool call whose thoughts the client didn't send back.
/// With a budget the vendor refuses to go on thinking there; OpenAI's clients have no place to keep thoughts.
fn lost_thoughts(messages: &[Message]) -> bool {
    let last = messages.iter().rfind(|message| message.role == Role::Assistant);
    last.is_some_and(|last| {
        let calls = last.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        let thoughts = last.parts.iter().any(|part| {
            matches!(part, Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking { .. })
        });
        calls && !thoughts
    })
}

fn switched_off(model: Model) -> Plan {
    let thinking = match model.thinking_off() {
        ThinkingOff::Omit => None,
        ThinkingOff::Disabled => Some(json!({"type": "disabled"})),
        ThinkingOff::BetweenTools => Some(json!({"type": "between_tools"})),
        ThinkingOff::LowEffort => return Plan { thinking: None, effort: Some("low") },
    };
    Plan { thinking, effort: None }
}

/// Returns a budget that leaves room for the answer, or `None` when even the smallest doesn't fit.
fn budget(request: &ReasoningRequest, effort: Option<&str>, max_tokens: u64) -> Option<u64> {
    if max_tokens <= MIN_BUDGET {
        return None;
    }
    // The words have no official budgets; these are the ones Google documents for its own models, so that a
    // fallback between vendors thinks about as hard.
    let wanted = request.budget_tokens.unwrap_or(match effort {
        Some("low") => 1024,
        Some("medium") => 8192,
        _ => 24_576,
    });
    let room =
        if request.budget_tokens.is_some() { max_tokens - 1 } else { (max_tokens / 2).max(MIN_BUDGET) };
    Some(wanted.clamp(MIN_BUDGET, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(model: &str, effort: &str, max_tokens: u64) -> Plan {
        let reasoning = ReasoningRequest { effort: Some(effort.to_owned()), ..ReasoningRequest::default() };
        let call = ChatCall { reasoning: Some(reasoning), ..ChatCall::default() };
        plan(&call, Model::parse(model), max_tokens).unwrap()
    }

    #[test]
    fn newer_models_get_effort_and_adaptive_thinking() {
        let expected = Plan { thinking: Some(json!({"type": "adaptive"})), effort: Some("low") };
        assert_eq!(planned("claude-opus-4-6", "minimal", 5), expected);
    }

    #[test]
    fn older_models_get_a_budget_below_the_output_limit() {
        let enabled = |budget: u64| Some(json!({"type": "enabled", "budget_tokens": budget}));
        assert_eq!(planned("claude-sonnet-4-5", "high", 64_000).thinking, enabled(24_576));
        assert_eq!(planned("claude-sonnet-4-5", "high", 4096).thinking, enabled(2048));
        assert_eq!(planned("claude-sonnet-4-5", "high", 1025).thinking, enabled(1024));
        assert_eq!(planned("claude-sonnet-4-5", "low", 5), Plan::default());
        assert_eq!(planned("claude-opus-4-5", "low", 5).effort, Some("low"));
        assert_eq!(planned("claude-3-5-haiku", "low", 5000), Plan::default());
    }

    #[test]
    fn no_effort_turns_thinking_off_where_it_is_on_by_default() {
        assert_eq!(planned("claude-opus-4-8", "none", 5), Plan::default());
        assert_eq!(planned("claude-opus-5", "none", 5).thinking, Some(json!({"type": "disabled"})));
        assert_eq!(planned("claude-fable-5-1", "none", 5).effort, Some("low"));
    }

    #[test]
    fn unknown_words_are_refused() {
        let reasoning = ReasoningRequest { effort: Some("heroic".into()), ..ReasoningRequest::default() };
        let call = ChatCall { reasoning: Some(reasoning), ..ChatCall::default() };
        assert!(plan(&call, Model::parse("claude-opus-5"), 5).is_err());
    }

    #[test]
    fn a_tool_call_without_its_thoughts_goes_on_without_a_budget() {
        let reasoning = ReasoningRequest { effort: Some("high".into()), ..ReasoningRequest::default() };
        let tool =
            Part::ToolCall { id: "t".into(), name: "f".into(), arguments: String::new(), signature: None };
        let messages = vec![Message { role: Role::Assistant, name: None, parts: vec![tool] }];
        let mut call = ChatCall { reasoning: Some(reasoning), messages, ..ChatCall::default() };
        let thinking = |call: &ChatCall, model| plan(call, Model::parse(model), 64_000).unwrap().thinking;
        assert_eq!(thinking(&call, "claude-sonnet-4-5"), None);
        assert!(thinking(&call, "claude-sonnet-4-6").is_some());
        let thought = Part::Thinking { text: "t".into(), signature: Some("s".into()) };
        call.messages[0].parts.insert(0, thought);
        assert!(thinking(&call, "claude-sonnet-4-5").is_some());
    }

    #[test]
    fn a_forced_tool_wins_over_thinking() {
        let reasoning = ReasoningRequest { effort: Some("high".into()), ..ReasoningRequest::default() };
        let tool_choice = Some(ToolChoice::Required);
        let call = ChatCall { reasoning: Some(reasoning), tool_choice, ..ChatCall::default() };
        assert_eq!(plan(&call, Model::parse("claude-opus-4-6"), 5).unwrap().thinking, None);
    }
}
