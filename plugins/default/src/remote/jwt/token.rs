//! A token: its parts, its signature, its times.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::{EncodedPoint, FieldBytes};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tidegate_plugin_sdk::{CheckError, Params};

use super::{now, rsa, tolerance};

/// A token that was taken apart.
pub(super) struct Token {
    pub(super) header: Value,
    pub(super) payload: Value,
    /// What is signed.
    signed: String,
    signature: Vec<u8>,
}

fn wrong(name: &str, message: &str) -> CheckError {
    CheckError::new(name, message)
}

/// Returns the bytes of base64url text.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

impl Token {
    /// Takes a token apart.
    pub(super) fn read(text: &str) -> Result<Self, CheckError> {
        let invalid = || wrong("JWTInvalid", "Invalid JWT");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(invalid)?;
        let (header, payload) = signed.split_once('.').ok_or_else(invalid)?;
        let object = |part: &str| {
            let value = decoded(part).and_then(|json| serde_json::from_slice::<Value>(&json).ok());
            value.filter(Value::is_object).ok_or_else(invalid)
        };
        Ok(Self {
            header: object(header)?,
            payload: object(payload)?,
            signed: signed.to_owned(),
            signature: decoded(signature).ok_or_else(invalid)?,
        })
    }

    /// Checks signature and times.
    pub(super) fn verify(&self, key: &Value, params: &Params) -> Result<(), CheckError> {
        let named = |value: &Value| value.get("alg").and_then(Value::as_str).map(str::to_owned);
        let algorithm =
            named(&self.header).ok_or_else(|| wrong("JWSInvalid", "missing \"alg\" in the header"))?;
        let allowed = params.get("algorithms").and_then(Value::as_array).filter(|names| !names.is_empty());
        let is_allowed = allowed.is_none_or(|names| names.iter().any(|name| name == algorithm.as_str()));
        if !is_allowed || named(key).is_some_and(|expected| expected != algorithm) {
            return Err(wrong("JOSEAlgNotAllowed", "\"alg\" (Algorithm) Header Parameter value not allowed"));
        }
        // The key says what it is for, so that nobody signs with a public key as a shared secret.
        let kind = key.get("kty").and_then(Value::as_str).unwrap_or_default();
        let is_genuine = match (kind, algorithm.as_str()) {
            ("RSA", "RS256" | "RS384" | "RS512") => self.is_rsa(key, &algorithm),
            ("EC", "ES256") => self.is_p256(key),
            ("oct", "HS256" | "HS384" | "HS512") => self.is_hmac(key, &algorithm),
            _ => return Err(wrong("JOSENotSupported", "the key does not fit the token's algorithm")),
        };
        if is_genuine != Some(true) {
            return Err(wrong("JWSSignatureVerificationFailed", "signature verification failed"));
        }
        self.in_time(params)
    }

    fn digest(&self, algorithm: &str, more: &[&[u8]]) -> Vec<u8> {
        fn of<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut digest = D::new();
            parts.iter().for_each(|part| digest.update(part));
            digest.finalize().to_vec()
        }
        let signed = self.signed.as_bytes();
        let parts: Vec<&[u8]> = if more.is_empty() { vec![signed] } else { more.to_vec() };
        match algorithm.get(2..) {
            Some("384") => of::<Sha384>(&parts),
            Some("512") => of::<Sha512>(&parts),
            _ => of::<Sha256>(&parts),
        }
    }

    fn is_rsa(&self, key: &Value, algorithm: &str) -> Option<bool> {
        let number = |name: &str| decoded(key.get(name)?.as_str()?);
        let digest = self.digest(algorithm, &[]);
        Some(rsa::is_signature(&number("n")?, &number("e")?, &digest, &self.signature))
    }

    fn is_p256(&self, key: &Value) -> Option<bool> {
        if key.get("crv").and_then(Value::as_str) != Some("P-256") {
            return None;
        }
        let number = |name: &str| decoded(key.get(name)?.as_str()?).filter(|bytes| bytes.len() == 32);
        let (x, y) = (number("x")?, number("y")?);
        let point = EncodedPoint::from_affine_coordinates(
            FieldBytes::from_slice(&x),
            FieldBytes::from_slice(&y),
            false,
        );
        let key = VerifyingKey::from_encoded_point(&point).ok()?;
        let signature = Signature::from_slice(&self.signature).ok()?;
        Some(key.verify(self.signed.as_bytes(), &signature).is_ok())
    }

    /// RFC 2104.
    fn is_hmac(&self, key: &Value, algorithm: &str) -> Option<bool> {
        let block = if algorithm == "HS256" { 64 } else { 128 };
        let mut secret = decoded(key.get("k")?.as_str()?)?;
        if secret.is_empty() {
            return None;
        }
        if secret.len() > block {
            secret = self.digest(algorithm, &[&secret]);
        }
        secret.resize(block, 0);
        let padded = |pad: u8| secret.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
        let inner = self.digest(algorithm, &[&padded(0x36), self.signed.as_bytes()]);
        let expected = self.digest(algorithm, &[&padded(0x5c), &inner]);
        // As long for a wrong first byte as for a wrong last one.
        let differences =
            expected.iter().zip(&self.signature).fold(0, |sum, (one, other)| sum | (one ^ other));
        Some(expected.len() == self.signature.len() && differences == 0)
    }

    fn in_time(&self, params: &Params) -> Result<(), CheckError> {
        let (now, tolerance) = (now(), tolerance(params));
        let claim = |name: &str| match self.payload.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| {
                wrong("JWTClaimValidationFailed", &format!("\"{name}\" claim must be a number"))
            }),
        };
        if claim("nbf")?.is_some_and(|from| from > now + tolerance) {
            return Err(wrong("JWTClaimValidationFailed", "\"nbf\" claim timestamp check failed"));
        }
        if claim("exp")?.is_some_and(|until| until <= now - tolerance) {
            return Err(wrong("JWTExpired", "\"exp\" claim timestamp check failed"));
        }
        let text = params.text("maxTokenAge").unwrap_or("1d");
        let most = seconds(text).ok_or_else(|| wrong("TypeError", "Invalid time period format"))?;
        if let Some(issued) = claim("iat")? {
            if now - issued - tolerance > most {
                let message = "\"iat\" claim timestamp check failed (too far in the past)";
                return Err(wrong("JWTExpired", message));
            }
            if now - issued < -tolerance {
                let message = "\"iat\" claim timestamp check failed (it should be in the past)";
                return Err(wrong("JWTClaimValidationFailed", message));
            }
        }
        Ok(())
    }
}

/// Returns the seconds of a time like 90s, 30m, 12h, 1d, 2 weeks.
fn seconds(text: &str) -> Option<f64> {
    let digits = text.find(|letter: char| letter != '.' && !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "y" | "yr" | "yrs" | "year" | "years" => 31_557_600.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}
