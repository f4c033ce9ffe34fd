//! Looks at each position of a text once, and asks the wanted categories whether something starts there.

use tidegate_plugin_sdk::patterns::{Finder, Hit, Reach};

use crate::category::Category;
use crate::{bank, email, network, numbers};

/// Finds personal data of some categories.
#[derive(Debug)]
pub(crate) struct PersonalData {
    /// In the order in which they are asked: an address of digits is an address, an IBAN is no phone number.
    categories: Vec<Category>,
    placeholder: String,
}

impl PersonalData {
    pub(crate) fn new(categories: Vec<Category>, placeholder: String) -> Self {
        let categories = Category::all().into_iter().filter(|known| categories.contains(known)).collect();
        Self { categories, placeholder }
    }

    fn end_of(category: Category, text: &str, start: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        match category {
            Category::Email => email::end(text, start),
            Category::Phone => numbers::phone_end(bytes, start),
            Category::Card => numbers::card_end(bytes, start),
            Category::Iban => bank::end(bytes, start),
            Category::Ssn => numbers::ssn_end(bytes, start),
            Category::Ip => network::end(text, start),
        }
    }
}

impl Finder for PersonalData {
    fn reach(&self) -> Reach {
        let after = self.categories.iter().map(|category| category.reach()).max().unwrap_or_default();
        Reach { before: 4, after }
    }

    fn next(&self, text: &str, from: usize) -> Option<Hit> {
        let rest = text.get(from..)?;
        for (at, letter) in rest.char_indices() {
            // Everything here starts with a letter, a digit, a sign of an address or a bracket.
            if letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"+(:._%-".contains(letter) {
                continue;
            }
            let start = from + at;
            for &category in &self.categories {
                if let Some(end) = Self::end_of(category, text, start) {
                    let replacement = self.placeholder.replace('%', &category.name().to_uppercase());
                    return Some(Hit::new(start, end, category.name(), replacement));
                }
            }
        }
        None
    }
}

/// Returns whether the byte before a position is one of these, as a letter of any script counts.
pub(crate) fn follows(bytes: &[u8], start: usize, is: impl Fn(u8) -> bool) -> bool {
    start.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|&byte| is(byte))
}

/// Returns whether a byte is a letter or digit. Letters beyond ASCII count.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}
