//! Kinds of personal data.

use serde::Deserialize;

/// A kind of personal data.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Category {
    Email,
    Phone,
    Card,
    Iban,
    Ssn,
    Ip,
}

impl Category {
    pub(crate) fn all() -> Vec<Self> {
        vec![Self::Email, Self::Iban, Self::Card, Self::Ssn, Self::Ip, Self::Phone]
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::Ip => "ip",
        }
    }

    /// Returns how many bytes from its start, and behind its end, decide over a hit: the longest one and the
    /// character behind it, with the bytes that a number of the same kind would go on with.
    pub(crate) fn reach(self) -> u32 {
        let longest = match self {
            Self::Email => super::email::LONGEST,
            Self::Phone => super::numbers::LONGEST_PHONE,
            Self::Card => super::numbers::LONGEST_CARD,
            Self::Iban => super::bank::LONGEST,
            Self::Ssn => 11,
            Self::Ip => super::network::LONGEST,
        };
        longest as u32 + 4
    }
}
