//! Looks at each position of a text once.

use tidegate_plugin_sdk::patterns::{Finder, Hit, Reach};

use crate::{formats, named};

/// Finds secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    entropy: bool,
    placeholder: String,
}

impl Secrets {
    pub(crate) fn new(entropy: bool, placeholder: String) -> Self {
        Self { entropy, placeholder }
    }

    fn found(&self, text: &str, start: usize) -> Option<(&'static str, usize)> {
        let known = formats::end(text, start);
        if known.is_none() && self.entropy {
            return named::end(text.as_bytes(), start).map(|end| ("secret", end));
        }
        known
    }
}

impl Finder for Secrets {
    fn reach(&self) -> Reach {
        Reach { before: named::BEFORE as u32, after: formats::DECIDES.max(named::DECIDES) as u32 }
    }

    fn next(&self, text: &str, from: usize) -> Option<Hit> {
        let bytes = text.as_bytes();
        (from..bytes.len()).find_map(|start| {
            bytes.get(start).filter(|&&byte| named::is_value(byte))?;
            let (name, end) = self.found(text, start)?;
            Some(Hit::new(start, end, name, self.placeholder.replace('%', &name.to_uppercase())))
        })
    }
}
