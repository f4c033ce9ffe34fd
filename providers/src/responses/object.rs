//! The `response` object: what both a whole answer and the first and last events of a stream hold.

use serde::Serialize;

use crate::codec::EncodeOptions;
use crate::event::FinishKind;
use crate::usage::Usage;

use super::item::{Item, Status};

/// Names of the answer: the vendor's where it gave some, else the gateway's.
#[derive(Debug)]
pub(super) struct Head {
    id: String,
    created: u64,
    model: String,
}

const ID_PREFIX: &str = "resp_";

impl Head {
    pub(super) fn new(id: &str, model: &str, created: u64, options: &EncodeOptions) -> Self {
        let id = if id.is_empty() { options.id.as_str() } else { id };
        // Other wires' prefixes would read oddly behind ours.
        let stem = [ID_PREFIX, "chatcmpl-", "msg_"].iter().find_map(|prefix| id.strip_prefix(prefix));
        let stem = stem.unwrap_or(id);
        let stem = if stem.is_empty() { "0" } else { stem };
        Self {
            id: format!("{ID_PREFIX}{stem}"),
            created: if created == 0 { options.created } else { created },
            model: if model.is_empty() { options.model.clone() } else { model.to_owned() },
        }
    }

    /// Returns the id without its prefix; item ids are made from it.
    pub(super) fn stem(&self) -> &str {
        self.id.strip_prefix(ID_PREFIX).unwrap_or(&self.id)
    }
}

/// A response as the official SDKs read it. The encoder never sees the request, so members that echo it hold
/// OpenAI's defaults.
#[derive(Serialize)]
pub(super) struct ResponseObject<'a> {
    id: &'a str,
    object: &'static str,
    created_at: u64,
    status: Status,
    background: bool,
    error: (),
    incomplete_details: Option<IncompleteDetails>,
    instructions: (),
    max_output_tokens: (),
    metadata: Empty,
    model: &'a str,
    output: &'a [Item],
    parallel_tool_calls: bool,
    previous_response_id: (),
    reasoning: ReasoningConfig,
    store: bool,
    temperature: (),
    text: TextConfig,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: (),
    truncation: &'static str,
    usage: Option<UsageObject>,
    user: (),
}

#[derive(Serialize)]
struct IncompleteDetails {
    reason: &'static str,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct ReasoningConfig {
    effort: (),
    summary: (),
}

#[derive(Serialize)]
struct TextConfig {
    format: TextFormat,
}

#[derive(Serialize)]
struct TextFormat {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct UsageObject {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl<'a> ResponseObject<'a> {
    /// Makes the object of a response that has only begun.
    pub(super) fn begun(head: &'a Head) -> Self {
        Self::new(head, Status::InProgress, &[])
    }

    /// Makes the object of a response that has ended.
    pub(super) fn ended(
        head: &'a Head,
        output: &'a [Item],
        finish: Option<FinishKind>,
        usage: Option<&Usage>,
    ) -> Self {
        let reason = incomplete_reason(finish);
        let mut response = Self::new(head, status_of(finish), output);
        response.incomplete_details = reason.map(|reason| IncompleteDetails { reason });
        response.usage = usage.map(UsageObject::from);
        response
    }

    fn new(head: &'a Head, status: Status, output: &'a [Item]) -> Self {
        Self {
            id: &head.id,
            object: "response",
            created_at: head.created,
            status,
            background: false,
            error: (),
            incomplete_details: None,
            instructions: (),
            max_output_tokens: (),
            metadata: Empty {},
            model: &head.model,
            output,
            parallel_tool_calls: true,
            previous_response_id: (),
            reasoning: ReasoningConfig { effort: (), summary: () },
            store: false,
            temperature: (),
            text: TextConfig { format: TextFormat { kind: "text" } },
            tool_choice: "auto",
            tools: [],
            top_p: (),
            truncation: "disabled",
            usage: None,
            user: (),
        }
    }
}

impl From<&Usage> for UsageObject {
    fn from(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cached_input,
                cache_write_tokens: usage.cache_write,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
            total_tokens: usage.total(),
        }
    }
}

/// Returns how an answer that ended for this reason stands. A refusal is a complete answer.
pub(super) fn status_of(finish: Option<FinishKind>) -> Status {
    if incomplete_reason(finish).is_some() { Status::Incomplete } else { Status::Completed }
}

fn incomplete_reason(finish: Option<FinishKind>) -> Option<&'static str> {
    match finish? {
        FinishKind::Length => Some("max_output_tokens"),
        FinishKind::ContentFilter => Some("content_filter"),
        FinishKind::Stop | FinishKind::StopSequence | FinishKind::ToolCalls | FinishKind::Refusal => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_names_win_over_the_gateways() {
        let options =
            EncodeOptions { id: "g1".into(), model: "gm".into(), created: 5, ..EncodeOptions::default() };
        let own = Head::new("", "", 0, &options);
        assert_eq!((own.id.as_str(), own.model.as_str(), own.created), ("resp_g1", "gm", 5));
        let vendors = Head::new("chatcmpl-7", "vm", 9, &options);
        assert_eq!((vendors.id.as_str(), vendors.stem(), vendors.created), ("resp_7", "7", 9));
        assert_eq!(Head::new("resp_a", "", 0, &options).id, "resp_a");
    }

    #[test]
    fn only_length_and_filters_leave_an_answer_incomplete() {
        assert_eq!(status_of(Some(FinishKind::Length)), Status::Incomplete);
        assert_eq!(status_of(Some(FinishKind::ContentFilter)), Status::Incomplete);
        assert_eq!(status_of(Some(FinishKind::Refusal)), Status::Completed);
        assert_eq!(status_of(None), Status::Completed);
    }
}
