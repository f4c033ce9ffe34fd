//! What a vendor needs beside its key: checked by vendor, sealed, shown masked.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tidegate_providers::{Credential, registry};

use crate::admin::ctx::{Ctx, invalid};
use crate::error::{ErrorKind, GatewayError};
use crate::pipeline::may_go_on;
use crate::secret::mask;
use crate::upstream::address::{check_custom_host, is_trusted};

/// Members of every vendor.
const COMMON: [&str; 2] = ["custom_host", "custom_headers"];
const OPENAI: &[&str] = &["openai_organization", "openai_project"];
const AZURE: &[&str] = &[
    "azure_auth_mode",
    "azure_resource_name",
    "azure_deployment_config",
    "azure_deployment_id",
    "azure_api_version",
    "azure_ad_token",
];
const DEPLOYMENT: [&str; 5] =
    ["alias", "azure_api_version", "azure_deployment_name", "is_default", "azure_model_slug"];
/// Parts of names whose values are secret.
const SECRET: [&str; 7] = ["secret", "token", "password", "key", "credential", "json", "authorization"];
/// What every mask has in it; no key does.
const MASKED: &str = "*****";

/// Opens what is sealed of an integration: `key` and `configurations`.
///
/// # Errors
/// 503 when the master key does not open it.
pub(in crate::admin) fn opened(ctx: &Ctx, body: &Value) -> Result<Value, GatewayError> {
    let Some(sealed) = body["sealed"].as_str() else { return Ok(json!({})) };
    let text = ctx.gateway().objects.master().open(sealed).map_err(unavailable)?;
    serde_json::from_str(&text).map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))
}

/// Seals secrets.
///
/// # Errors
/// 503 without random numbers.
pub(in crate::admin) fn sealed(ctx: &Ctx, secrets: &Value) -> Result<Value, GatewayError> {
    let sealed = ctx.gateway().objects.master().seal(&secrets.to_string()).map_err(unavailable)?;
    Ok(sealed.into())
}

fn unavailable(error: crate::secret::SecretError) -> GatewayError {
    tracing::error!(%error, "a secret can't be sealed or opened");
    GatewayError::new(ErrorKind::Unavailable, error.to_string())
}

/// Checks configurations for a vendor. Values that were read masked and are sent back so stay as `known`. `mapped` are
/// members that come from secrets elsewhere.
///
/// # Errors
/// 400 with the member and what is accepted.
pub(super) fn checked(
    ctx: &Ctx,
    vendor: &str,
    given: &Value,
    known: &Value,
    mapped: &[String],
) -> Result<Value, GatewayError> {
    let mut all = Map::new();
    for (name, value) in given.as_object().into_iter().flatten() {
        let path = format!("configurations.{name}");
        if value.is_null() || value == "" {
            continue;
        }
        let accepted = match vendor {
            "openai" => OPENAI,
            "azure-openai" => AZURE,
            _ => &[],
        };
        if !accepted.is_empty() && !COMMON.contains(&name.as_str()) && !accepted.contains(&name.as_str()) {
            let accepted: Vec<&str> = accepted.iter().chain(&COMMON).copied().collect();
            return Err(invalid(&path, &format!("{vendor} takes {}", accepted.join(", "))));
        }
        let value = match name.as_str() {
            "custom_host" => host(ctx, value, &path)?,
            "custom_headers" => headers(value, &known["custom_headers"], &path)?,
            "azure_auth_mode" if value != "default" => {
                return Err(invalid(&path, "default is supported: an API key, or azure_ad_token"));
            }
            "azure_deployment_config" => deployments(value, &path)?,
            _ => plain(value, &known[name], &path)?,
        };
        all.insert(name.clone(), value);
    }
    let checked = Value::Object(all);
    complete(vendor, &checked, mapped)?;
    Ok(checked)
}

/// Refuses configurations of which no address can be made.
fn complete(vendor: &str, configurations: &Value, mapped: &[String]) -> Result<(), GatewayError> {
    let Some(dialect) = registry::find(vendor) else { return Ok(()) };
    let members = configurations.as_object().into_iter().flatten();
    let texts = members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let mut options: BTreeMap<String, String> = texts.collect();
    for name in mapped {
        // What it will be is known when it is read.
        options.entry(name.clone()).or_insert_with(|| "mapped".to_owned());
    }
    let base_url = options.remove("custom_host");
    match dialect.base(&Credential { api_key: None, base_url, options }) {
        Ok(_) => Ok(()),
        Err(lacking) => {
            let param = lacking.param.unwrap_or_else(|| "custom_host".to_owned());
            let param = if param == "base_url" { "custom_host".to_owned() } else { param };
            Err(invalid(&format!("configurations.{param}"), &lacking.message))
        }
    }
}

/// Checks an address that requests would go to.
pub(super) fn host(ctx: &Ctx, value: &Value, path: &str) -> Result<Value, GatewayError> {
    let Some(host) = value.as_str() else { return Err(invalid(path, "a text is expected")) };
    let host = host.trim().trim_end_matches('/');
    let trusted = is_trusted(&ctx.gateway().settings().trusted_hosts, host);
    check_custom_host(host, trusted).map_err(|reason| invalid(path, &reason))?;
    Ok(host.into())
}

/// Checks headers that go to the vendor with every request.
pub(super) fn headers(value: &Value, known: &Value, path: &str) -> Result<Value, GatewayError> {
    let Some(members) = value.as_object() else {
        return Err(invalid(path, "an object of texts is expected"));
    };
    let mut all = Map::new();
    for (name, value) in members {
        let (path, lower) = (format!("{path}.{name}"), name.to_ascii_lowercase());
        if http::HeaderName::try_from(&lower).is_err() || !may_go_on(&lower) {
            return Err(invalid(&path, "this header can't be set"));
        }
        let value = plain(value, &known[&lower], &path)?;
        let fits = value.as_str().is_some_and(|text| http::HeaderValue::from_str(text).is_ok());
        if !fits {
            return Err(invalid(&path, "a text without line breaks is expected"));
        }
        all.insert(lower, value);
    }
    Ok(Value::Object(all))
}

fn deployments(value: &Value, path: &str) -> Result<Value, GatewayError> {
    let Some(list) = value.as_array() else { return Err(invalid(path, "a list of deployments is expected")) };
    let mut defaults = 0;
    for (at, deployment) in list.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some(members) = deployment.as_object() else {
            return Err(invalid(&path, "an object is expected"));
        };
        for (name, value) in members {
            let fits = match name.as_str() {
                "is_default" => value.is_boolean() || value.is_number() || value.is_null(),
                _ => value.is_string() || value.is_null(),
            };
            if !DEPLOYMENT.contains(&name.as_str()) || !fits {
                return Err(invalid(
                    &format!("{path}.{name}"),
                    &format!("{} are accepted", DEPLOYMENT.join(", ")),
                ));
            }
        }
        if !deployment["azure_deployment_name"].is_string() {
            return Err(invalid(&format!("{path}.azure_deployment_name"), "is missing; a text is expected"));
        }
        defaults += u8::from(deployment["is_default"] == true || deployment["is_default"] == 1);
    }
    if defaults > 1 {
        return Err(invalid(path, "only one deployment can be the default"));
    }
    Ok(value.clone())
}

/// Checks a plain value; what was shown masked and comes back so stays what it was.
fn plain(value: &Value, known: &Value, path: &str) -> Result<Value, GatewayError> {
    match value {
        Value::String(text) if text.contains(MASKED) => {
            match known.as_str().filter(|known| mask(known) == *text) {
                Some(known) => Ok(known.into()),
                None => Err(invalid(path, "this is a masked value; send the value itself")),
            }
        }
        Value::String(_) => Ok(value.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string().into()),
        _ => Err(invalid(path, "a text is expected")),
    }
}

/// Shows configurations with secrets masked.
pub(super) fn shown(configurations: &Value) -> Value {
    let mut shown = configurations.clone();
    for (name, value) in shown.as_object_mut().into_iter().flatten() {
        let is_secret = SECRET.iter().any(|part| name.to_ascii_lowercase().contains(part));
        match value {
            Value::Object(headers) => {
                for value in headers.values_mut() {
                    *value = mask(value.as_str().unwrap_or_default()).into();
                }
            }
            Value::String(text) if is_secret => *value = mask(text).into(),
            _ => {}
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_a_mask_that_comes_back_changes_nothing() {
        let known = json!({"azure_ad_token": "a-token-of-thirty-characters-x", "azure_resource_name": "contoso",
            "custom_headers": {"x-api-key": "short"}});
        let shown = shown(&known);
        assert_eq!(shown["azure_ad_token"], "a-tok*****s-x");
        assert_eq!(shown["azure_resource_name"], "contoso");
        assert_eq!(shown["custom_headers"]["x-api-key"], "*****");
        let back = plain(&shown["azure_ad_token"], &known["azure_ad_token"], "p").unwrap();
        assert_eq!(back, known["azure_ad_token"]);
        assert!(plain(&json!("other*****mask"), &known["azure_ad_token"], "p").is_err());
    }

    #[test]
    fn headers_of_the_connection_can_not_be_set() {
        for name in ["host", "Content-Length", "x-portkey-config", "a b", "transfer-encoding"] {
            assert!(headers(&json!({name: "x"}), &Value::Null, "h").is_err(), "{name}");
        }
        assert!(headers(&json!({"x-a": "b\r\nc: d"}), &Value::Null, "h").is_err());
        assert_eq!(headers(&json!({"X-A": "b"}), &Value::Null, "h").unwrap(), json!({"x-a": "b"}));
    }
}
