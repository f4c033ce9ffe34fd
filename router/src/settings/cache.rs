//! `[cache]` and `shared`: where kept answers are, how much room they have, and who shares them.

use serde::Deserialize;

use super::values::{Secret, resolve_secret};

/// `[cache]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// MiB of answers in memory.
    pub memory_mb: usize,
    /// KiB of the largest answer that is kept.
    pub entry_kb: usize,
    /// MiB of vectors of the semantic cache.
    pub index_mb: usize,
    /// No answer is used for longer than so many seconds, whatever a config says.
    pub max_age: u64,
    /// Who shares answers.
    pub scope: CacheScope,
    /// Model that makes vectors where a config names none, like `@openai/text-embedding-3-small`.
    pub embedding_model: Option<String>,
    /// What names in a shared Redis begin with.
    pub prefix: String,
}

/// Who shares answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheScope {
    /// Requests of one key.
    #[default]
    Key,
    /// All keys of the gateway: they belong to one tenant.
    Gateway,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            memory_mb: 64,
            entry_kb: 1_024,
            index_mb: 64,
            max_age: 7_776_000,
            scope: CacheScope::Key,
            embedding_model: None,
            prefix: "tidegate".to_owned(),
        }
    }
}

impl CacheSettings {
    /// Returns the bound of answers in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.memory_mb.saturating_mul(1 << 20)
    }

    /// Returns the bound of one answer.
    #[must_use]
    pub fn entry_bytes(&self) -> usize {
        self.entry_kb.saturating_mul(1 << 10)
    }

    /// Returns the bound of vectors.
    #[must_use]
    pub fn index_bytes(&self) -> usize {
        self.index_mb.saturating_mul(1 << 20)
    }

    /// Checks what types can't say.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.memory_mb == 0 || self.memory_mb > 1 << 20 {
            return Err("cache.memory_mb: 1 to 1048576 is expected".to_owned());
        }
        if self.entry_kb == 0 {
            return Err("cache.entry_kb: a positive number is expected".to_owned());
        }
        if self.max_age == 0 {
            return Err("cache.max_age: a positive number of seconds is expected".to_owned());
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if self.prefix.is_empty() || !self.prefix.bytes().all(plain) {
            return Err("cache.prefix: letters, digits, `-`, `_`, `.` and `:` are expected".to_owned());
        }
        Ok(())
    }
}

/// Resolves the URL of the Redis that gateways share.
pub(super) fn shared(
    reference: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, String> {
    let url = resolve_secret(reference, environment).map_err(|message| format!("shared: {message}"))?;
    // The error of the client may quote the URL, and with it a password.
    let fine = url.reveal().starts_with("redis://") && redis::Client::open(url.reveal()).is_ok();
    if fine {
        Ok(url)
    } else {
        Err("shared: a URL like redis://:PASSWORD@HOST:6379/0 is expected".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;

    #[test]
    fn what_is_not_meant_is_refused() {
        for (text, part) in [
            ("[cache]\nmemory_mb = 0", "cache.memory_mb: 1 to"),
            ("[cache]\nmax_age = 0", "cache.max_age"),
            ("[cache]\nentry_kb = 0", "cache.entry_kb"),
            ("[cache]\nprefix = \"a*\"", "cache.prefix"),
            ("[cache]\nscope = \"world\"", "unknown variant"),
            ("[cache]\nmemory = 1", "did you mean `memory_mb`"),
            ("shared = \"http://x\"", "shared: a URL like redis://"),
            ("shared = \"env:NOT_SET\"", "NOT_SET is not set"),
        ] {
            let error = Settings::parse(text, "tidegate.toml", &|_| None).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = Settings::parse("shared = \"redis://:secret@\"", "t", &|_| None).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(Settings::parse("shared = \"redis://:secret@127.0.0.1:6379/1\"", "t", &|_| None).is_ok());
    }
}
