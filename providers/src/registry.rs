//! The list of vendors and wires: one line each.

use crate::anthropic::{Anthropic, MessagesCodec};
use crate::azure::Azure;
use crate::codec::{Inbound, Outbound};
use crate::compatible::VENDORS;
use crate::gemini::{Gemini, GeminiCodec};
use crate::openai::{ChatCodec, CompletionsCodec};
use crate::provider::{Provider, Wire};
use crate::responses::ResponsesCodec;

/// Vendors with a dialect of their own.
static OWN: &[&dyn Provider] = &[&Anthropic, &Azure, &Gemini];

/// Returns every vendor, those of the compatible table first.
pub fn all() -> impl Iterator<Item = &'static dyn Provider> {
    VENDORS.iter().map(|vendor| vendor as &dyn Provider).chain(OWN.iter().copied())
}

/// Returns the vendor with this Portkey name.
#[must_use]
pub fn find(slug: &str) -> Option<&'static dyn Provider> {
    all().find(|provider| provider.slug() == slug)
}

/// Returns the client's face of a wire; `None` for wires that no client endpoint speaks.
#[must_use]
pub fn inbound(wire: Wire) -> Option<&'static dyn Inbound> {
    match wire {
        Wire::Chat => Some(&ChatCodec),
        Wire::Completions => Some(&CompletionsCodec),
        Wire::Responses => Some(&ResponsesCodec),
        Wire::Messages => Some(&MessagesCodec),
        Wire::Gemini => None,
    }
}

/// Returns the vendor's face of a wire. No lane translates to legacy completions and responses; their answers and
/// streams are read, their `write_call` writes a chat body.
#[must_use]
pub fn outbound(wire: Wire) -> &'static dyn Outbound {
    match wire {
        Wire::Chat => &ChatCodec,
        Wire::Completions => &CompletionsCodec,
        Wire::Responses => &ResponsesCodec,
        Wire::Messages => &MessagesCodec,
        Wire::Gemini => &GeminiCodec,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slug_is_unique() {
        let mut slugs: Vec<_> = all().map(Provider::slug).collect();
        let count = slugs.len();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), count);
        assert!(count > 60, "{count}");
    }
}
