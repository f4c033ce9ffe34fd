//! `jwt`: the client's token is genuine, in time, and says what it must.

mod claims;
mod keys;
mod rsa;
mod token;

use serde_json::{Value, json};
use tidegate_plugin_sdk::{CheckError, Params, Subject, host};

use crate::judged::{Judged, judged, with};

pub(crate) const SCHEMA: &str = r#"{"type": "object", "properties": {
    "jwksUri": {"type": "string", "format": "uri"},
    "jwks": {"type": "object", "description": "Keys, instead of an address of them"},
    "introspectEndpoint": {"type": "string", "format": "uri", "description": "Asked instead of checking a signature"},
    "introspectContentType": {"type": "string", "default": "application/x-www-form-urlencoded"},
    "introspectCacheMaxAge": {"type": "number", "description": "Seconds; not kept by default"},
    "headerKey": {"type": "string", "default": "Authorization"},
    "cacheMaxAge": {"type": "number", "default": 86400},
    "clockTolerance": {"type": "number", "default": 5},
    "maxTokenAge": {"type": "string", "default": "1d", "description": "Like 30m, 12h, 1d; counts where the token has an age"},
    "algorithms": {"type": "array", "items": {"enum": ["RS256", "RS384", "RS512", "ES256", "HS256", "HS384", "HS512"]}},
    "requiredClaims": {"type": "array", "items": {"type": "string"}},
    "claimValues": {"type": "object", "additionalProperties": {"type": "object", "required": ["values"], "properties": {
        "values": {"type": ["string", "array"]},
        "matchType": {"enum": ["exact", "contains", "containsAll", "regex"], "default": "exact"}}}},
    "headerPayloadMatch": {"type": "array", "items": {"type": "string"}},
    "extractClaims": {"type": "array", "items": {"type": "string"}, "description": "Shown in the results"},
    "claimPrefix": {"type": "string", "default": "x-jwt-"}
}}"#;

/// A verdict of false with its sentence, or an error of the check.
enum Stop {
    Fails(Value),
    Errs(CheckError),
}

/// Returns the stop of a token that is no good.
fn fails(explanation: &str) -> Stop {
    Stop::Fails(json!({ "verdict": false, "explanation": explanation }))
}

/// Returns the stop of a token that could not be judged, as Portkey words it.
fn errs(error: CheckError) -> Stop {
    let explanation = format!("JWT validation error: {}", error.message);
    Stop::Errs(error.with_data(&json!({ "verdict": false, "explanation": explanation })))
}

pub(crate) fn check(params: &Params, subject: &Subject) -> Judged {
    match verified(params, subject) {
        Ok((header, payload)) => {
            let (verdict, data) = claims::judge(params, &header, &payload)?;
            let data = with(data, "extractedClaims", claims::extracted(params, &payload).filter(|_| verdict));
            Ok(judged("jwt", verdict, &data))
        }
        Err(Stop::Fails(data)) => Ok(judged("jwt", false, &data)),
        Err(Stop::Errs(error)) => Err(error),
    }
}

/// Returns header and payload of a token that is genuine and in time.
fn verified(params: &Params, subject: &Subject) -> Result<(Value, Value), Stop> {
    let endpoint = params.text("introspectEndpoint").filter(|endpoint| !endpoint.is_empty());
    let has_keys = params.get("jwks").is_some_and(Value::is_object) || params.text("jwksUri").is_some();
    if endpoint.is_none() && !has_keys {
        let message = "Either jwks, jwksUri, or introspectEndpoint must be provided";
        return Err(errs(CheckError::new("Error", message)));
    }
    let name = params.text("headerKey").filter(|name| !name.is_empty()).unwrap_or("Authorization");
    let value = subject.call.header(name).filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| fails("Missing authorization header"))?;
    let bearer = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let text = bearer.map_or(value, |_| value.get(7..).unwrap_or_default()).trim();
    if let Some(endpoint) = endpoint {
        let payload = keys::introspected(params, endpoint, text)?;
        // What is asked may be no token of this kind at all.
        let header = token::Token::read(text).map(|token| token.header).unwrap_or_else(|_| json!({}));
        return Ok((header, payload));
    }
    let token = token::Token::read(text).map_err(errs)?;
    let key = keys::matching(params, &token)?;
    token.verify(&key, params).map_err(|error| {
        let explanation = format!("JWT signature validation error: {}", error.message);
        fails_signature(&explanation)
    })?;
    Ok((token.header, token.payload))
}

fn fails_signature(explanation: &str) -> Stop {
    let validations = json!({ "signatureValid": false });
    Stop::Fails(json!({ "verdict": false, "explanation": explanation, "validations": validations }))
}

/// Seconds of the clock's tolerance.
fn tolerance(params: &Params) -> f64 {
    params.get("clockTolerance").and_then(Value::as_f64).unwrap_or(5.0)
}

/// Seconds since 1970.
fn now() -> f64 {
    (host::now_ms() / 1000) as f64
}
