//! Signatures after the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// The keys of one receiver: one, or two while a secret is being changed.
#[derive(Clone)]
pub(crate) struct Signer {
    keys: Vec<hmac::Key>,
}

/// Shows how many keys there are.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("keys", &self.keys.len()).finish()
    }
}

impl Signer {
    /// Reads secrets with spaces between them.
    ///
    /// # Errors
    /// A sentence that says what is accepted and shows nothing of the secret.
    pub(crate) fn new(secrets: &str) -> Result<Self, String> {
        let keys: Vec<hmac::Key> = secrets.split_whitespace().filter_map(key).collect();
        if keys.is_empty() || keys.len() != secrets.split_whitespace().count() {
            return Err("`secret`: `whsec_` and base64 of 24 to 64 bytes are accepted".into());
        }
        Ok(Self { keys })
    }

    /// Returns the value of `webhook-signature`.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        let signatures = self.keys.iter().map(|key| {
            let tag = hmac::sign(key, &signed);
            format!("v1,{}", STANDARD.encode(tag.as_ref()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

fn key(secret: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (24..=64).contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_specifications_own_example_comes_out() {
        let signer = Signer::new(SECRET).expect("a secret");
        let signature =
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_give_two_signatures() {
        let other = format!("{PREFIX}{}", STANDARD.encode([7; 32]));
        let both = Signer::new(&format!("{SECRET} {other}")).expect("secrets").sign("a", 1, b"x");
        let first = Signer::new(SECRET).expect("a secret").sign("a", 1, b"x");
        let second = Signer::new(&other).expect("a secret").sign("a", 1, b"x");
        assert_eq!(both, format!("{first} {second}"));
    }

    #[test]
    fn short_foreign_and_broken_secrets_are_refused() {
        let short = format!("{PREFIX}{}", STANDARD.encode([7; 23]));
        let one_broken = format!("{SECRET} whsec_!");
        for secret in ["", "whsec_", "whsec_????", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &short, &one_broken] {
            assert!(Signer::new(secret).is_err(), "{secret}");
        }
    }
}
