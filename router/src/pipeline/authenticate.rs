//! Key text → key actor, by the address book.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use tidegate_store::KeyHash;

use crate::actors::key::KeyHandle;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::secret::hash_key;

/// Longest key text that is looked at.
const LONGEST: usize = 512;

/// Finds the key of a request.
///
/// # Errors
/// 401 when the text is missing or nobody knows it, 503 when the store can't be asked.
pub async fn authenticate(gateway: &Gateway, text: Option<&str>) -> Result<Arc<KeyHandle>, GatewayError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Err(GatewayError::new(
            ErrorKind::Key,
            "No API key was sent; send it as `Authorization: Bearer KEY` or `x-portkey-api-key: KEY`",
        ));
    };
    if text.len() > LONGEST {
        return Err(unknown());
    }
    let hash = HASHES.with(|hashes| hashes.of(text));
    gateway.book.key(&hash).await?.ok_or_else(unknown)
}

thread_local! {
    static HASHES: Hashes = Hashes::default();
}

/// So many keys that a worker saw last need no SHA-256; a power of two.
const SEEN: usize = 256;

/// Hashes of keys that were seen lately. A key is known again by 128 bits of two keyed hashes (SipHash with secrets of
/// this thread), which cost a tenth; no key's text stays here.
struct Hashes {
    secrets: [RandomState; 2],
    seen: Box<[Cell<Marked>]>,
}

/// The mark of a text, and its hash.
type Marked = ([u64; 2], KeyHash);

impl Default for Hashes {
    fn default() -> Self {
        // No text leads to the mark of an empty place, but by a chance of one in 2^128.
        let seen = (0..SEEN).map(|_| Cell::new(([0; 2], KeyHash([0; 32])))).collect();
        Self { secrets: [RandomState::new(), RandomState::new()], seen }
    }
}

impl Hashes {
    fn of(&self, text: &str) -> KeyHash {
        let mark = [self.secrets[0].hash_one(text), self.secrets[1].hash_one(text)];
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let place = &self.seen[mark[0] as usize % SEEN];
        let (known, hash) = place.get();
        if known == mark {
            return hash;
        }
        let hash = hash_key(text);
        place.set((mark, hash));
        hash
    }
}

fn unknown() -> GatewayError {
    GatewayError::new(ErrorKind::Key, "Invalid API Key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_same_seen_or_not() {
        let hashes = Hashes::default();
        let texts: Vec<String> = (0..SEEN * 4).map(|number| format!("tg-{number}")).collect();
        for _ in 0..2 {
            for text in &texts {
                assert_eq!((hashes.of(text), hashes.of(text)), (hash_key(text), hash_key(text)));
            }
        }
    }
}
