//! What plugin authors build against: the WIT package `tidegate:plugin` (folder `wit`) and the same types in Rust.
//!
//! A plugin is a WebAssembly component that exports one of the worlds of `wit/since_v0_1/world.wit`. This version
//! has the interface and its types, so that checks can be written and tested as plain Rust functions. It has no
//! bindings generator yet, and the gateway has no plugin host yet: components are not loaded.
//!
//! The types refuse nothing; [`masked`] does, because a span that cuts a character must never reach a client.
//!
//! ```
//! use tidegate_plugin_sdk::{Mask, Span, Subject, Verdict};
//!
//! /// Hides every "secret", in any text.
//! fn hide_secrets(subject: &Subject) -> Verdict {
//!     let masks: Vec<Mask> = subject
//!         .pieces
//!         .iter()
//!         .zip(0..)
//!         .map(|(piece, at)| Mask {
//!             piece: at,
//!             spans: piece.text.match_indices("secret").filter_map(|(at, hit)| Span::new(at, hit.len(), "***")).collect(),
//!         })
//!         .filter(|mask| !mask.spans.is_empty())
//!         .collect();
//!     if masks.is_empty() { Verdict::Pass } else { Verdict::Mask(masks) }
//! }
//!
//! let answer = Subject::output("the secret is out");
//! let Verdict::Mask(masks) = hide_secrets(&answer) else { panic!("nothing was found") };
//! assert_eq!(tidegate_plugin_sdk::masked(&answer.pieces[0].text, &masks[0].spans)?, "the *** is out");
//! # Ok::<(), tidegate_plugin_sdk::SpanError>(())
//! ```

mod call;
mod manifest;
mod verdict;
#[cfg(test)]
mod wit;

pub use call::{CallView, Hook, Message, Piece, Subject, ToolCall};
pub use manifest::{CheckInfo, ConditionInfo, Manifest, WindowNeeds};
pub use verdict::{
    Mask, Reason, Span, SpanError, StreamWindow, Verdict, WindowAnswer, WindowVerdict, masked,
};
