//! Where keys come from: the parameters, an address of them that is kept for a while, or somebody who is asked.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate_plugin_sdk::http::{self, HttpRequest};
use tidegate_plugin_sdk::{CheckError, Params, kv};

use super::token::Token;
use super::{Stop, errs, fails, fails_signature, now, tolerance};

const CACHE_SECONDS: u64 = 86_400;

/// Returns the key that a token names.
pub(super) fn matching(params: &Params, token: &Token) -> Result<Value, Stop> {
    let kid = token.header.get("kid").and_then(Value::as_str);
    let find = |set: &Value| {
        let keys = set.get("keys").and_then(Value::as_array)?;
        keys.iter().find(|key| kid.is_some() && key.get("kid").and_then(Value::as_str) == kid).cloned()
    };
    if let Some(set) = params.get("jwks").filter(|set| set.is_object()) {
        return find(set).ok_or_else(|| fails("No matching key found for kid"));
    }
    let uri = params.text("jwksUri").unwrap_or_default();
    let name = format!("jwks:{uri}");
    // Without a store, or with an unreadable one, keys are asked for each time.
    let kept = kv::get(&name).ok().flatten().and_then(|kept| serde_json::from_slice::<Value>(&kept).ok());
    if let Some(key) = kept.as_ref().and_then(find) {
        return Ok(key);
    }
    // A key that is not there may be new.
    let answer = http::send(&HttpRequest::new("GET", uri)).map_err(errs)?;
    if !answer.is_success() {
        return Err(errs(CheckError::new("Error", format!("Failed to fetch JWKS from {uri}"))));
    }
    let set = answer.json().map_err(errs)?;
    let seconds = params.get("cacheMaxAge").and_then(Value::as_u64).unwrap_or(CACHE_SECONDS);
    let _ = kv::set(&name, set.to_string().as_bytes(), seconds.saturating_mul(1000));
    find(&set).ok_or_else(|| fails("No matching key found for kid"))
}

/// Asks whether a token is good (RFC 7662), and returns what it says.
pub(super) fn introspected(params: &Params, endpoint: &str, token: &str) -> Result<Value, Stop> {
    let most = params.get("introspectCacheMaxAge").and_then(Value::as_f64).filter(|seconds| *seconds > 0.0);
    // The store must not become a list of tokens.
    let name = format!(
        "jwt:{}",
        Sha256::digest(format!("{endpoint} {token}"))
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    );
    let kept = most.and_then(|_| kv::get(&name).ok().flatten());
    let kept = kept.and_then(|kept| serde_json::from_slice::<Value>(&kept).ok());
    if let Some(payload) = kept.filter(|payload| in_time(params, payload).is_ok()) {
        return Ok(payload);
    }
    let kind = params.text("introspectContentType").unwrap_or("application/x-www-form-urlencoded");
    let body = if kind.starts_with("application/json") {
        json!({ "token": token }).to_string()
    } else {
        format!("token={}", percent_encoded(token))
    };
    let mut request = HttpRequest::new("POST", endpoint).header("content-type", kind);
    request.body = body.into_bytes();
    let answer = http::send(&request)
        .map_err(|error| fails_signature(&format!("Endpoint validation error: {}", error.message)))?;
    if !answer.is_success() {
        return Err(fails_signature(&format!("Endpoint validation failed with status {}", answer.status)));
    }
    let payload = answer
        .json()
        .map_err(|error| fails_signature(&format!("Endpoint validation error: {}", error.message)))?;
    let is = |name: &str| payload.get(name) == Some(&Value::Bool(true));
    let has_subject = payload.get("sub").is_some_and(|subject| !subject.is_null());
    let is_good = if payload.get("active").is_some() { is("active") } else { is("valid") || has_subject };
    if !is_good {
        return Err(fails_signature("Token validation failed"));
    }
    in_time(params, &payload)?;
    if let Some(most) = most {
        let left = payload
            .get("exp")
            .and_then(Value::as_f64)
            .map_or(most, |until| until + tolerance(params) - now());
        let _ = kv::set(&name, payload.to_string().as_bytes(), (most.min(left) * 1000.0) as u64);
    }
    Ok(payload)
}

fn in_time(params: &Params, payload: &Value) -> Result<(), Stop> {
    let claim = |name: &str| payload.get(name).and_then(Value::as_f64);
    if claim("exp").is_some_and(|until| until + tolerance(params) <= now()) {
        return Err(fails_signature("Token has expired"));
    }
    if claim("nbf").is_some_and(|from| from - tolerance(params) > now()) {
        return Err(fails_signature("Token not yet valid"));
    }
    Ok(())
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
