//! `cache` and `cache_params` of `litellm_settings`.

use serde_json::json;

use super::convert::Reader;
use super::deployments::Group;
use super::router_settings::Routing;
use crate::draft::Line;
use crate::error::ImportError;
use crate::place::Place;
use crate::render::quoted;

/// The variable that holds the address of a Redis with a password.
const REDIS: &str = "TIDEGATE_REDIS_URL";
/// Ages that a config accepts, in seconds.
const AGES: std::ops::RangeInclusive<u32> = 60..=7_776_000;

/// Reads both.
pub(super) fn read(
    section: &Place<'_>,
    groups: &[Group],
    routing: &mut Routing,
    reader: &mut Reader<'_>,
) -> Result<(), ImportError> {
    let is_on = section.get("cache").map(|place| place.flag()).transpose()?.unwrap_or(false);
    let params = section.get("cache_params");
    if !is_on {
        if let Some(params) = params {
            reader.draft.note(params.path, "has no effect: litellm_settings.cache is not true");
        }
        return Ok(());
    }
    let Some(params) = params else {
        routing.cache = Some(json!({"mode": "simple"}));
        return Ok(());
    };
    let kind =
        params.get("type").map(|place| place.text()).transpose()?.unwrap_or_else(|| "redis".to_owned());
    let mut cache = json!({"mode": if kind.ends_with("semantic") { "semantic" } else { "simple" }});
    match kind.as_str() {
        "local" | "in-memory" => {}
        "redis" | "redis-semantic" => shared(&params, reader)?,
        _ => reader.draft.note(
            format!("{}.type", params.path),
            format!("{kind} is not there; answers are kept in memory, or in Redis with `shared`"),
        ),
    }
    let mut is_opt_in = false;
    for (name, place) in params.members()? {
        match name {
            "type" | "host" | "port" | "password" | "username" | "url" | "ssl" | "db" => {}
            "ttl" => cache["max_age"] = json!(age(&place, reader)?),
            "namespace" => {
                let fold = |letter: char| {
                    if letter.is_ascii_alphanumeric() || "-_.:".contains(letter) { letter } else { '-' }
                };
                let prefix: String = place.text()?.chars().map(fold).collect();
                if prefix.is_empty() {
                    continue;
                }
                let prefix = quoted(&prefix);
                reader.draft.cache.push(Line { name: "prefix", value: prefix, comment: "" });
            }
            "similarity_threshold" => cache["threshold"] = json!(place.number()?.clamp(0.01, 1.0)),
            "mode" => is_opt_in = place.text()? == "default_off",
            _ if name.ends_with("embedding_model") => embedding(&place, groups, reader)?,
            _ => reader.draft.note(place.path, "has no counterpart; nothing was made of it"),
        }
    }
    if is_opt_in {
        reader.draft.note(
            format!("{}.mode", params.path),
            "default_off: the config keeps nothing; clients that want it send a config with `cache`",
        );
        return Ok(());
    }
    reader.draft.note(
        section.path.clone() + ".cache",
        "an answer belongs to the key that asked; [cache] scope = \"gateway\" shares it among keys as LiteLLM does",
    );
    routing.cache = Some(cache);
    Ok(())
}

fn age(place: &Place<'_>, reader: &mut Reader<'_>) -> Result<u32, ImportError> {
    let seconds = place.number()?.min(f64::from(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the largest")]
    let seconds = seconds as u32;
    if !AGES.contains(&seconds) {
        reader.draft.note(place.path.clone(), "is brought within 60 and 7776000 seconds, which are accepted");
    }
    Ok(seconds.clamp(*AGES.start(), *AGES.end()))
}

/// Writes the address of Redis. With a password, or parts from the environment, all of it is a variable's.
fn shared(params: &Place<'_>, reader: &mut Reader<'_>) -> Result<(), ImportError> {
    let value = if let Some(url) = params.get("url") {
        reader.secret(&url, REDIS)?
    } else {
        let part = |name: &str| params.get(name).map(|place| reader.plain(&place)).transpose();
        let (host, port, db) = (part("host")?, part("port")?, part("db")?);
        let is_secret = params.get("password").is_some() || params.get("username").is_some();
        if let Some(ssl) = params.get("ssl")
            && ssl.flag()?
        {
            reader.draft.note(
                ssl.path,
                "TLS towards Redis is not there: put a tunnel between, or keep it in the same network",
            );
        }
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let number = |text: &str| text.parse::<u16>().is_ok();
        match (host, port.unwrap_or_else(|| Ok("6379".to_owned())), db.unwrap_or_else(|| Ok("0".to_owned())))
        {
            (Some(Ok(host)), Ok(port), Ok(db))
                if !is_secret && plain(&host) && number(&port) && number(&db) =>
            {
                format!("redis://{host}:{port}/{db}")
            }
            _ => {
                reader.draft.note(
                    params.path.clone(),
                    format!("set {REDIS} to the whole address, redis://:PASSWORD@HOST:PORT/0"),
                );
                reader.draft.variables.named(REDIS, &params.path)
            }
        }
    };
    reader.draft.top.push(Line { name: "shared", value: quoted(&value), comment: "kept answers, in clear" });
    Ok(())
}

fn embedding(place: &Place<'_>, groups: &[Group], reader: &mut Reader<'_>) -> Result<(), ImportError> {
    let name = place.text()?;
    let found = groups.iter().find(|group| group.name == name).and_then(|group| group.deployments.first());
    match found {
        Some(one) => {
            let model = quoted(&format!("@{}/{}", one.slug, one.model));
            reader.draft.cache.push(Line { name: "embedding_model", value: model, comment: "" });
        }
        None => reader.draft.note(
            place.path.clone(),
            "is not in model_list; name an embedding model in [cache] embedding_model, like \"@openai/…\"",
        ),
    }
    Ok(())
}
