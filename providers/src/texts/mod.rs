//! Where the texts of a request or an answer are, and how to put other texts in their places.
//!
//! Guardrails judge and mask texts; this module spares them the shape of every dialect. Requests are edited in
//! place on their JSON, so that members this gateway doesn't know survive; answers on the canonical [`Answer`].
//!
//! It is generous in what it takes for text: an unknown part with a `text` member is text, a member of a wrong type
//! is none. It never fails on a body, however odd. Pictures, sound, files, token ids, tool definitions and what
//! vendors encrypted have no texts here. Empty texts are left out.
//!
//! Thoughts that carry a vendor's signature can't be changed: the vendor refuses a signature over another text. A
//! changed one is removed from a request, and loses its signature in an answer.
//!
//! ```
//! use serde_json::json;
//! use tidegate_providers::{Endpoint, texts};
//!
//! let mut body = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "I am Ada"}]}]});
//! let slots = texts::of_request(Endpoint::Chat, &body);
//! assert_eq!(slots[0].text, "I am Ada");
//! texts::replace(&mut body, &slots[0], "I am [NAME]".to_owned()).unwrap();
//! assert_eq!(body["messages"][0]["content"][0]["text"], "I am [NAME]");
//! ```
//!
//! [`Answer`]: crate::Answer

mod answer;
mod content;
mod finder;
mod items;
mod names;
mod plain;
mod replace;
mod request;
mod slot;
mod units;
mod view;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod view_tests;

pub use answer::{AnswerSlot, of_answer, replace_in_answer};
pub use names::{odd_name, odd_name_in_messages};
pub use plain::{PlainText, PlainTexts, of_plain_fields, of_plain_request};
pub use replace::{ReplaceError, replace, replace_all};
pub use request::of_request;
pub use slot::{Slot, TextKind};
pub use view::{MessageView, ToolCallView, message_count, messages_view, params_json};
