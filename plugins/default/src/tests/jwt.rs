//! Tokens: signatures by other people's hands (OpenSSL), times, keys, claims.

use std::cell::Cell;
use std::rc::Rc;

use serde_json::{Value, json};
use tidegate_plugin_sdk::http::HttpResponse;
use tidegate_plugin_sdk::testing::{FakeHost, check};
use tidegate_plugin_sdk::{Subject, Verdict};

use super::tokens::{CONFUSED, ES256, HS256, JWKS, RS256, RS512};
use crate::Default;

/// A moment at which the tokens are good.
const NOW_MS: u64 = 1_000_000_600_000;

fn host() -> FakeHost {
    let host = FakeHost::install();
    host.set_now_ms(NOW_MS);
    host
}

/// Verdict and data.
fn judge(token: &str, mut params: Value) -> (bool, Value) {
    if params.get("jwksUri").is_none() && params.get("introspectEndpoint").is_none() {
        params["jwks"] = serde_json::from_str(JWKS).unwrap();
    }
    let mut subject = Subject::input("hi");
    subject.call.extra = vec![("header:authorization".to_owned(), format!("Bearer {token}"))];
    let judgement = check::<Default>("jwt", &params.to_string(), &subject).unwrap();
    (judgement.verdict == Verdict::Pass, serde_json::from_str(&judgement.data_json.unwrap()).unwrap())
}

#[test]
fn genuine_tokens_pass() {
    let _host = host();
    for token in [RS256, RS512, ES256, HS256] {
        let (passes, data) = judge(token, json!({}));
        assert!(passes, "{data}");
        assert_eq!(data["explanation"], "JWT token validation succeeded");
    }
}

#[test]
fn tokens_that_were_touched_fail() {
    let _host = host();
    for token in [RS256, RS512, ES256, HS256] {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        for touched in [
            format!("{signed}.{other}{}", &signature[1..]),
            format!("{signed}."),
            format!("{header}.{}.{signature}", payload.replacen("eyJz", "eyJy", 1)),
        ] {
            assert!(!check_passes(&touched), "{touched}");
        }
    }
}

fn check_passes(token: &str) -> bool {
    let mut subject = Subject::input("hi");
    subject.call.extra = vec![("header:authorization".to_owned(), token.to_owned())];
    let params = json!({"jwks": serde_json::from_str::<Value>(JWKS).unwrap()}).to_string();
    check::<Default>("jwt", &params, &subject).is_ok_and(|judgement| judgement.verdict == Verdict::Pass)
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let _host = host();
    let (passes, data) = judge(CONFUSED, json!({}));
    assert!(!passes);
    assert_eq!(data["validations"]["signatureValid"], false);
}

#[test]
fn only_listed_algorithms_count() {
    let _host = host();
    assert!(judge(RS256, json!({"algorithms": ["RS256"]})).0);
    assert!(!judge(HS256, json!({"algorithms": ["RS256"]})).0);
}

#[test]
fn tokens_end_and_grow_old() {
    let host = host();
    host.set_now_ms(1_000_003_604_000);
    assert!(judge(RS256, json!({})).0, "within the tolerance");
    host.set_now_ms(1_000_003_605_000);
    let (passes, data) = judge(RS256, json!({}));
    assert!(!passes);
    assert_eq!(data["explanation"], "JWT signature validation error: \"exp\" claim timestamp check failed");
    host.set_now_ms(NOW_MS);
    assert!(!judge(RS256, json!({"maxTokenAge": "5m"})).0);
    assert!(judge(RS256, json!({"maxTokenAge": "15 minutes"})).0);
    host.set_now_ms(999_999_000_000);
    assert!(!judge(RS256, json!({})).0, "issued in the future");
}

#[test]
fn claims_are_asked_for() {
    let _host = host();
    assert!(judge(RS256, json!({"requiredClaims": ["sub"]})).0);
    let (passes, data) = judge(RS256, json!({"requiredClaims": ["sub", "email"]}));
    assert!(!passes);
    assert_eq!(data["explanation"], "JWT validation failed: Missing required claims: email");
    let values = |rule: Value| judge(RS256, json!({"claimValues": rule})).0;
    assert!(values(json!({"sub": {"values": "bob"}})));
    assert!(!values(json!({"sub": {"values": "bo"}})));
    assert!(values(json!({"scope": {"values": ["write"], "matchType": "contains"}})));
    assert!(values(json!({"roles": {"values": ["admin", "dev"], "matchType": "containsAll"}})));
    assert!(!values(json!({"roles": {"values": ["admin", "root"], "matchType": "containsAll"}})));
    assert!(values(json!({"sub": {"values": "^b.b$", "matchType": "regex"}})));
    assert!(judge(RS256, json!({"headerPayloadMatch": ["tenant"]})).0);
    assert!(!judge(RS512, json!({"headerPayloadMatch": ["tenant"]})).0);
    let (_, data) = judge(RS256, json!({"extractClaims": ["sub", "roles"]}));
    assert_eq!(data["extractedClaims"], json!({"x-jwt-sub": "bob", "x-jwt-roles": "admin,dev"}));
}

#[test]
fn keys_are_fetched_once_and_again_for_a_new_one() {
    let host = host();
    let fetches = Rc::new(Cell::new(0));
    let counted = Rc::clone(&fetches);
    host.on_http(move |_| {
        counted.set(counted.get() + 1);
        Ok(HttpResponse { status: 200, body: JWKS.as_bytes().to_vec(), ..HttpResponse::default() })
    });
    let params = json!({"jwksUri": "https://keys.example/"});
    assert!(judge(RS256, params.clone()).0 && judge(ES256, params.clone()).0);
    assert_eq!(fetches.get(), 1);
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldyJ9";
    let unknown = format!("{header}.{}", RS256.split_once('.').unwrap().1);
    assert_eq!(judge(&unknown, params.clone()).1["explanation"], "No matching key found for kid");
    assert_eq!(fetches.get(), 2);
    host.set_now_ms(NOW_MS + 86_400_000);
    let _ = judge(RS256, params);
    assert_eq!(fetches.get(), 3, "kept for a day only");
}

#[test]
fn somebody_else_may_be_asked() {
    let host = host();
    host.on_http(|request| {
        let active = request.body == b"token=opaque%2Ftoken";
        let body = json!({"active": active, "sub": "bob", "exp": 1_000_003_600}).to_string();
        Ok(HttpResponse { status: 200, body: body.into_bytes(), ..HttpResponse::default() })
    });
    let params = json!({"introspectEndpoint": "https://ask.example/", "requiredClaims": ["sub"], "introspectCacheMaxAge": 60});
    assert!(judge("opaque/token", params.clone()).0);
    assert_eq!(judge("other", params.clone()).1["explanation"], "Token validation failed");
    host.on_http(|_| Err("nobody there".to_owned()));
    assert!(judge("opaque/token", params.clone()).0, "kept");
    assert!(!judge("new", params).0);
}

#[test]
fn no_token_fails_and_no_keys_err() {
    let _host = host();
    let without = check::<Default>("jwt", r#"{"jwks": {"keys": []}}"#, &Subject::input("hi")).unwrap();
    assert!(without.data_json.unwrap().contains("Missing authorization header"));
    assert!(matches!(without.verdict, Verdict::Fail(_)));
    let error = check::<Default>("jwt", "{}", &Subject::input("hi")).unwrap_err();
    assert_eq!(error.message, "Either jwks, jwksUri, or introspectEndpoint must be provided");
    assert!(!check_passes("no token at all"));
}
