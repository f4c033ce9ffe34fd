//! Output items, as they stand in `output` and in the item events.

use serde::Serialize;
use serde_json::{Value, json};

/// Reasoning items carry the vendor's signature in `encrypted_content`, the member that clients send back
/// untouched. The mark tells our own from another vendor's when it returns.
const SIGNATURE_MARK: &str = "tidegate.signature:";
const REDACTED_MARK: &str = "tidegate.redacted:";
/// What a vendor of this wire encrypted itself carries this mark as a canonical signature, so that it goes out on
/// this wire as it came: the vendor takes nothing else back.
const OWN_MARK: &str = "responses.encrypted:";

/// How far an item or a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

/// One output item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning {
        id: String,
        summary: Vec<Summary>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Content>,
    },
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        arguments: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<Value>,
    },
}

/// The one summary of a reasoning item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Summary {
    SummaryText { text: String },
}

/// A content part of a message item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    OutputText { annotations: [(); 0], logprobs: [(); 0], text: String },
    Refusal { refusal: String },
}

impl Item {
    /// Makes an empty reasoning item; `index` is its place in `output`.
    pub(super) fn reasoning(stem: &str, index: usize) -> Self {
        Item::Reasoning { id: format!("rs_{stem}_{index}"), summary: Vec::new(), encrypted_content: None }
    }

    /// Makes an empty message item.
    pub(super) fn message(stem: &str, index: usize) -> Self {
        Item::Message {
            id: format!("msg_{stem}_{index}"),
            status: Status::InProgress,
            role: "assistant",
            content: Vec::new(),
        }
    }

    /// Makes a function call without arguments. A vendor that gives calls no id gets one of ours, because the
    /// client must name the call in its result.
    pub(super) fn function_call(
        stem: &str,
        index: usize,
        call_id: &str,
        name: &str,
        signature: Option<&str>,
    ) -> Self {
        let call_id = if call_id.is_empty() { format!("call_{stem}_{index}") } else { call_id.to_owned() };
        Item::FunctionCall {
            id: format!("fc_{stem}_{index}"),
            status: Status::InProgress,
            call_id,
            name: name.to_owned(),
            arguments: String::new(),
            extra_content: signature.map(|signature| json!({"google": {"thought_signature": signature}})),
        }
    }

    /// Sets how far the item is; reasoning items don't say.
    pub(super) fn set_status(&mut self, to: Status) {
        match self {
            Item::Reasoning { .. } => {}
            Item::Message { status, .. } | Item::FunctionCall { status, .. } => *status = to,
        }
    }
}

impl Content {
    pub(super) fn empty(is_refusal: bool) -> Self {
        if is_refusal {
            Content::Refusal { refusal: String::new() }
        } else {
            Content::OutputText { annotations: [], logprobs: [], text: String::new() }
        }
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Content::Refusal { .. })
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Content::OutputText { text, .. } | Content::Refusal { refusal: text } => text,
        }
    }

    pub(super) fn push(&mut self, piece: &str) {
        match self {
            Content::OutputText { text, .. } | Content::Refusal { refusal: text } => text.push_str(piece),
        }
    }
}

/// What one of our own `encrypted_content` holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed<'a> {
    Signature(&'a str),
    Redacted(&'a str),
}

pub(super) fn seal_signature(signature: &str) -> String {
    match signature.strip_prefix(OWN_MARK) {
        Some(own) => own.to_owned(),
        None => format!("{SIGNATURE_MARK}{signature}"),
    }
}

pub(super) fn seal_redacted(data: &str) -> String {
    format!("{REDACTED_MARK}{data}")
}

/// Opens `encrypted_content` that this gateway wrote.
pub(super) fn unseal(content: &str) -> Option<Sealed<'_>> {
    let signature = content.strip_prefix(SIGNATURE_MARK).map(Sealed::Signature);
    signature.or_else(|| content.strip_prefix(REDACTED_MARK).map(Sealed::Redacted))
}

/// What a vendor's `encrypted_content` is to the canonical model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Signature(String),
    Redacted(String),
}

/// Opens a vendor's `encrypted_content`, whoever wrote it; another gateway of this kind may be the vendor.
pub(super) fn open_vendors(content: &str) -> Option<Opened> {
    match unseal(content) {
        _ if content.is_empty() => None,
        Some(Sealed::Signature(signature)) => Some(Opened::Signature(signature.to_owned())),
        Some(Sealed::Redacted(data)) => Some(Opened::Redacted(data.to_owned())),
        None => Some(Opened::Signature(format!("{OWN_MARK}{content}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vendor_encrypted_goes_out_as_it_came() {
        let Some(Opened::Signature(signature)) = open_vendors("gAAAAAB:x") else { panic!("no signature") };
        assert_eq!(seal_signature(&signature), "gAAAAAB:x");
        assert_eq!(open_vendors(&seal_signature("s")), Some(Opened::Signature("s".into())));
        assert_eq!(open_vendors(&seal_redacted("d")), Some(Opened::Redacted("d".into())));
        assert_eq!(open_vendors(""), None);
    }

    #[test]
    fn what_is_sealed_can_be_opened() {
        assert_eq!(unseal(&seal_signature("s")), Some(Sealed::Signature("s")));
        assert_eq!(unseal(&seal_redacted("d")), Some(Sealed::Redacted("d")));
        assert_eq!(unseal("gAAAAAB"), None);
    }

    #[test]
    fn a_call_without_an_id_gets_one() {
        let item = Item::function_call("x", 2, "", "f", None);
        let written = serde_json::to_value(&item).unwrap();
        assert_eq!(written["call_id"], "call_x_2");
        assert_eq!(written["type"], "function_call");
        assert!(written.get("extra_content").is_none());
    }

    #[test]
    fn content_serializes_with_empty_annotations() {
        let written = serde_json::to_value(Content::empty(false)).unwrap();
        let wanted =
            serde_json::json!({"type": "output_text", "annotations": [], "logprobs": [], "text": ""});
        assert_eq!(written, wanted);
    }
}
