//! Who Open WebUI says is asking: plain headers, or one that it signs (`X-OpenWebUI-User-Jwt`, JWT with HS256, RFC 7519).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;

use crate::clock;
use crate::settings::Secret;

/// A token that is longer is not read.
const LONGEST: usize = 8_192;
/// Clocks of two machines may differ by so many seconds.
const LEEWAY: i64 = 60;

/// Returns the user: their mail address, or else their id. With a secret only the signed header counts.
pub(super) fn user<'a>(header: &dyn Fn(&str) -> Option<&'a str>, secret: Option<&Secret>) -> Option<String> {
    let Some(secret) = secret else {
        let user = header("x-openwebui-user-email").or_else(|| header("x-openwebui-user-id"))?;
        let decoded = percent_encoding::percent_decode_str(user).decode_utf8_lossy().into_owned();
        return Some(decoded).filter(|user| !user.is_empty());
    };
    signed(header("x-openwebui-user-jwt")?, secret.reveal().as_bytes(), clock::unix())
}

fn signed(token: &str, secret: &[u8], now: i64) -> Option<String> {
    if token.len() > LONGEST {
        return None;
    }
    let (claimed, signature) = token.rsplit_once('.')?;
    let (head, claims) = claimed.split_once('.')?;
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    // The algorithm is ours to say: a token that names another is not one of Open WebUI's.
    if read(head)?["alg"] != "HS256" {
        return None;
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, claimed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let claims = read(claims)?;
    if claims["exp"].as_i64()? + LEEWAY < now || claims["iss"] != "open-webui" {
        return None;
    }
    let text = |name: &str| claims[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text("email").or_else(|| text("sub"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &[u8] = b"a secret of the tests";

    fn token(head: &Value, claims: &Value, secret: &[u8]) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let claimed = format!("{}.{}", part(head), part(claims));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), claimed.as_bytes());
        format!("{claimed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    #[test]
    fn only_what_open_webui_signed_and_what_is_fresh_counts() {
        let head = json!({"alg": "HS256", "typ": "JWT"});
        let claims = json!({"sub": "u1", "email": "ada@example.test", "iss": "open-webui", "exp": 1_000});
        let good = token(&head, &claims, SECRET);
        assert_eq!(signed(&good, SECRET, 900).as_deref(), Some("ada@example.test"));
        let without_mail = json!({"sub": "u1", "iss": "open-webui", "exp": 1_000});
        assert_eq!(signed(&token(&head, &without_mail, SECRET), SECRET, 900).as_deref(), Some("u1"));
        for (token, now) in [
            (token(&head, &claims, b"another"), 900),
            (token(&json!({"alg": "none"}), &claims, SECRET), 900),
            (good.clone(), 1_061),
            (good.replace('.', ""), 900),
            (format!("{good}x"), 900),
            (token(&head, &json!({"sub": "u1", "iss": "other", "exp": 1_000}), SECRET), 900),
            (String::new(), 900),
        ] {
            assert_eq!(signed(&token, SECRET, now), None, "{token}");
        }
    }

    #[test]
    fn with_a_secret_plain_headers_say_nothing() {
        let header = |name: &str| (name == "x-openwebui-user-email").then_some("eve%40example.test");
        assert_eq!(user(&header, None).as_deref(), Some("eve@example.test"));
        assert_eq!(user(&header, Some(&Secret::new("s".to_owned()))), None);
    }
}
