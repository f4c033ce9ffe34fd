//! JSON text as it streams in, shown with the escapes inside of its strings resolved.
//!
//! A guardrail that looks for `secret` in a tool call's arguments must also find `\u0073ecret`, in pieces that were cut
//! anywhere. [`JsonText`] shows it the decoded text and turns what it masks there back into JSON text: valid JSON stays
//! valid, and what is not masked keeps its spelling.
//!
//! It reads tokens, not grammar, so it needs no memory for nesting. Where something stands outside of strings that no
//! JSON has, the rest is plain text to be masked freely; strings in it are still shown decoded. A bad escape is shown
//! as it stands. Nothing is ever refused or lost.
//!
//! ```
//! use tidegate_providers::json_text::JsonText;
//!
//! let mut text = JsonText::new();
//! text.push(r#"{"to": "ad\u0"#);
//! assert_eq!(text.decoded(), r#"{"to": "ad"#);
//! text.push(r#"061@x.test"}"#);
//! text.finish();
//! assert_eq!(text.decoded(), r#"{"to": "ada@x.test"}"#);
//! let masks = [(8..18, "[\"mail\"]".to_owned())];
//! assert_eq!(text.release(20, &masks), r#"{"to": "[\"mail\"]"}"#);
//! ```

mod escape;
mod mask;
mod run;
mod view;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use view::JsonText;
