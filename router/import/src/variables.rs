//! The environment variables that take the place of secrets.

use std::collections::{BTreeSet, HashMap};

/// Secrets shorter than this are masked whole.
const LEAST_SHOWN: usize = 16;

/// An environment variable that the settings file refers to. The gateway does not start while one is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where in the input its value was named or found.
    pub path: String,
    /// The beginning of the value, where the input held it in clear text.
    pub masked: Option<String>,
}

/// Gives every secret a variable. Deliberately without `Debug`: it holds the secrets it has seen.
#[derive(Default)]
pub(crate) struct Variables {
    taken: BTreeSet<String>,
    by_secret: HashMap<String, String>,
    found: Vec<Variable>,
}

impl Variables {
    /// Keeps a name from being given to a secret found in clear text.
    pub(crate) fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Returns the reference to a variable that the input names.
    pub(crate) fn named(&mut self, name: &str, path: &str) -> String {
        self.reserve(name);
        self.add(name, path, None);
        format!("env:{name}")
    }

    /// Returns the reference to a variable of its own for a secret that the input does not hold: `wanted`, or that with a
    /// number.
    pub(crate) fn fresh(&mut self, wanted: &str, path: &str) -> String {
        let name = self.free(wanted);
        self.named(&name, path)
    }

    /// Returns the reference to a variable for a secret in clear text: `wanted`, or that with a number. Equal secrets
    /// share one.
    pub(crate) fn of_secret(&mut self, secret: &str, wanted: &str, path: &str) -> String {
        if let Some(name) = self.by_secret.get(secret) {
            return format!("env:{name}");
        }
        let name = self.free(wanted);
        self.reserve(&name);
        self.by_secret.insert(secret.to_owned(), name.clone());
        self.add(&name, path, Some(masked(secret)));
        format!("env:{name}")
    }

    /// Returns what must be set, in the order of the input.
    pub(crate) fn into_found(self) -> Vec<Variable> {
        self.found
    }

    fn free(&self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while self.taken.contains(&name) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }

    fn add(&mut self, name: &str, path: &str, masked: Option<String>) {
        if !self.found.iter().any(|known| known.name == name) {
            self.found.push(Variable { name: name.to_owned(), path: path.to_owned(), masked });
        }
    }
}

/// Returns enough of a secret to know which it is, and no more.
pub(crate) fn masked(secret: &str) -> String {
    if secret.chars().count() < LEAST_SHOWN {
        return "…".to_owned();
    }
    let start: String = secret.chars().take(4).filter(|letter| !letter.is_control()).collect();
    format!("{start}…")
}

/// Returns a name as variables have it: `openai-prod` becomes `OPENAI_PROD`.
pub(crate) fn upper(text: &str) -> String {
    let fold = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    text.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_secrets_share_a_variable_and_others_get_a_number() {
        let mut variables = Variables::default();
        variables.reserve("OPENAI_API_KEY");
        let first = variables.of_secret("sk-aaaaaaaaaaaaaaaaaaaa", "OPENAI_API_KEY", "a");
        assert_eq!(first, "env:OPENAI_API_KEY_2");
        assert_eq!(variables.of_secret("sk-aaaaaaaaaaaaaaaaaaaa", "X", "b"), first);
        assert_eq!(variables.of_secret("short", "OPENAI_API_KEY", "c"), "env:OPENAI_API_KEY_3");
        let found = variables.into_found();
        let masks: Vec<_> = found.iter().map(|found| found.masked.as_deref()).collect();
        assert_eq!(masks, [Some("sk-a…"), Some("…")]);
    }

    #[test]
    fn short_secrets_show_nothing() {
        assert_eq!(masked("sk-1234"), "…");
        assert_eq!(upper("openai-prod.v1"), "OPENAI_PROD_V1");
    }
}
