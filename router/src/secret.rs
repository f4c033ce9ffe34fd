//! Making and hashing API keys, and sealing vendor credentials at rest.

mod shown;

pub use shown::shown;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tidegate_store::KeyHash;

use crate::settings::Secret;

/// What API keys begin with, so that people and scanners recognise them.
const PREFIX: &str = "tg-";
/// Name of a master key that is not in force yet.
const NEXT: &str = "master.key.new";
/// What sealed values begin with: format version 1.
pub const SEALED: &str = "sealed:1:";

/// Why a secret can't be made or opened.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The machine has no random numbers.
    #[error("no random numbers to be had")]
    Random,
    /// The master key file can't be used.
    #[error("master key: {0}")]
    MasterKey(String),
    /// A sealed value was made with another master key, or damaged.
    #[error("the master key does not open this secret")]
    Opening,
}

/// Makes a new API key: 256 random bits.
///
/// # Errors
/// [`SecretError::Random`]
pub fn new_api_key() -> Result<Secret, SecretError> {
    Ok(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?))))
}

/// Makes a short random id with a prefix, like `key_3fJ…`.
///
/// # Errors
/// [`SecretError::Random`]
pub fn new_id(prefix: &str) -> Result<String, SecretError> {
    Ok(format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(random::<12>()?)))
}

fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
    Ok(bytes)
}

/// Returns the hash by which a key is found.
#[must_use]
pub fn hash_key(text: &str) -> KeyHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    KeyHash(hash)
}

/// Returns a key's first and last characters for lists; short keys show nothing.
#[must_use]
pub fn mask(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() < 16 {
        return "*****".to_owned();
    }
    let head: String = characters[..5].iter().collect();
    let tail: String = characters[characters.len() - 3..].iter().collect();
    format!("{head}*****{tail}")
}

/// The key that seals credentials in the store.
pub struct MasterKey {
    key: LessSafeKey,
}

impl MasterKey {
    /// Takes `TIDEGATE_MASTER_KEY`'s value (any text), else reads or makes `master.key` in the data folder
    /// (mode 0600).
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn load(data: &Path, from_environment: Option<&str>) -> Result<Self, SecretError> {
        match Self::known(data, from_environment)? {
            Some(known) => Ok(known),
            None => Self::make(&data.join("master.key")),
        }
    }

    /// Takes `TIDEGATE_MASTER_KEY`'s value, else reads `master.key` in the data folder; `None` where neither is.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn known(data: &Path, from_environment: Option<&str>) -> Result<Option<Self>, SecretError> {
        match from_environment {
            Some(text) => Self::from_bytes(&hash_key(text).0).map(Some),
            None => Self::read(&data.join("master.key")),
        }
    }

    /// Reads a key file; `None` where there is none.
    ///
    /// # Errors
    /// [`SecretError::MasterKey`]
    pub fn read(path: &Path) -> Result<Option<Self>, SecretError> {
        let broken = |reason: String| SecretError::MasterKey(format!("{}: {reason}", path.display()));
        match fs::read(path) {
            Ok(bytes) => {
                let bytes = bytes.try_into().map_err(|_| broken("is not 32 bytes long".into()))?;
                Self::from_bytes(&bytes).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    /// Makes a new key aside, as `master.key.new`; [`Self::put_in_place`] makes it the key.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn prepare(data: &Path) -> Result<Self, SecretError> {
        let path = data.join(NEXT);
        // One that was left behind sealed nothing: what it should have sealed was written together or not at all.
        let _gone = fs::remove_file(&path);
        Self::make(&path)
    }

    /// Puts the key in place that was made aside; the one before is kept as `master.key.old`.
    ///
    /// # Errors
    /// [`SecretError::MasterKey`]
    pub fn put_in_place(data: &Path) -> Result<(), SecretError> {
        let place = data.join("master.key");
        let moved = fs::rename(&place, data.join("master.key.old"));
        let moved = moved.and_then(|()| fs::rename(data.join(NEXT), &place));
        moved.map_err(|error| SecretError::MasterKey(error.to_string()))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SecretError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes)
            .map_err(|_| SecretError::MasterKey("has the wrong length".into()))?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    fn make(path: &Path) -> Result<Self, SecretError> {
        let bytes = random::<32>()?;
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|error| SecretError::MasterKey(format!("{}: {error}", path.display())))?;
        Self::from_bytes(&bytes)
    }

    /// Seals a secret for the store.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn seal(&self, secret: &str) -> Result<String, SecretError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = secret.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| SecretError::Opening)?;
        let mut bytes = nonce.to_vec();
        bytes.append(&mut sealed);
        Ok(format!("{SEALED}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Opens a sealed secret.
    ///
    /// # Errors
    /// [`SecretError::Opening`]
    pub fn open(&self, sealed: &str) -> Result<String, SecretError> {
        let text = sealed.strip_prefix(SEALED).ok_or(SecretError::Opening)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SecretError::Opening)?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(SecretError::Opening)?;
        let mut body = body.to_vec();
        let clear = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut body)
            .map_err(|_| SecretError::Opening)?;
        String::from_utf8(clear.to_vec()).map_err(|_| SecretError::Opening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only() {
        let folder = tempfile::tempdir().unwrap();
        let key = MasterKey::load(folder.path(), None).unwrap();
        let sealed = key.seal("sk-secret").unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(MasterKey::load(folder.path(), None).unwrap().open(&sealed).unwrap(), "sk-secret");
        assert!(MasterKey::load(folder.path(), Some("other")).unwrap().open(&sealed).is_err());
        let mode = fs::metadata(folder.path().join("master.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn keys_are_long_and_masked() {
        let key = new_api_key().unwrap();
        assert_eq!(key.reveal().len(), 46);
        assert_eq!(mask(key.reveal()).len(), 13);
        assert_eq!(mask("short"), "*****");
    }
}
