//! The few members of a body that the gateway itself needs, checked by type and named when wrong.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tidegate_providers::{Endpoint, Fields};

use super::form::Form;
use crate::error::{ErrorKind, GatewayError};
use crate::money::Quantities;

/// Sound is at least this many bytes a second (32 kbit/s); the length of a recording is not known before it is heard.
const AUDIO_BYTES_PER_SECOND: u64 = 4_000;

/// Longest model name; names are kept in the log.
const LONGEST_MODEL: usize = 512;

/// What the gateway needs to know of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Model as written.
    pub model: Option<String>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Output limit.
    pub max_tokens: Option<u64>,
    /// Choices or pictures asked for.
    pub n: u64,
    /// Whether OpenAI's usage chunk is wanted.
    pub include_usage: bool,
    /// End user.
    pub user: Option<String>,
    /// What the wished service costs, in thousandths of the plain price.
    pub per_mille: u64,
    /// Whether the vendor reads more than the body holds: a stored response, conversation or prompt.
    pub stored_input: bool,
    /// What is made besides tokens.
    pub quantities: Quantities,
}

/// Reads a JSON body.
///
/// # Errors
/// 400 naming the member and what is accepted.
pub(super) fn of_json(endpoint: Endpoint, fields: &Fields<'_>) -> Result<Shape, GatewayError> {
    let model = if endpoint == Endpoint::Other { None } else { model(fields)? };
    of_named(endpoint, fields, model)
}

/// Reads the rest of a JSON body whose model was read before.
///
/// # Errors
/// As above.
pub(super) fn of_named(
    endpoint: Endpoint,
    fields: &Fields<'_>,
    model: Option<String>,
) -> Result<Shape, GatewayError> {
    if endpoint == Endpoint::Other {
        return Ok(unmodelled(Some(fields)));
    }
    required(endpoint, fields)?;
    types(fields)?;
    roles(endpoint, fields)?;
    let n = member::<u64>(fields, "n", "a positive whole number")?.unwrap_or(1);
    if n == 0 || n > 128 {
        return Err(wrong("n", "1 to 128 is expected"));
    }
    let n = if endpoint == Endpoint::Completions { n.max(completions(fields)?) } else { n };
    let names: &[&str] = match endpoint {
        Endpoint::Responses => &["max_output_tokens"],
        _ => &["max_completion_tokens", "max_tokens"],
    };
    let mut max_tokens = None;
    for name in names {
        // Of both names the larger counts: vendors differ in which they follow.
        let found: Option<u64> = member(fields, name, "a positive whole number")?;
        max_tokens = max_tokens.max(found);
    }
    if endpoint == Endpoint::Messages && max_tokens.is_none() {
        return Err(wrong("max_tokens", "is missing; a positive whole number is expected"));
    }
    Ok(Shape {
        stream: streams(endpoint, fields)?,
        max_tokens,
        n,
        include_usage: include_usage(fields),
        user: user(endpoint, fields),
        per_mille: per_mille(fields),
        stored_input: ["previous_response_id", "conversation", "prompt"]
            .iter()
            .any(|name| endpoint == Endpoint::Responses && fields.has(name)),
        quantities: quantities(endpoint, fields, n)?,
        model,
    })
}

/// Looks at a body of a path that the gateway doesn't model: whatever it holds is the vendor's to judge.
#[must_use]
pub(super) fn unmodelled(fields: Option<&Fields<'_>>) -> Shape {
    let shape = Shape { n: 1, per_mille: 1_000, ..Shape::default() };
    let Some(fields) = fields else { return shape };
    Shape {
        model: model(fields).ok().flatten(),
        stream: matches!(fields.get("stream"), Ok(Some(true))),
        max_tokens: fields.get("max_tokens").ok().flatten(),
        user: fields.get("user").ok().flatten(),
        ..shape
    }
}

/// Reads the model's name of a JSON body.
///
/// # Errors
/// 400 when it is no string, or empty.
pub(super) fn model(fields: &Fields<'_>) -> Result<Option<String>, GatewayError> {
    let model = match fields.text("model") {
        Some(plain) => Some(plain.to_owned()),
        None => member(fields, "model", "a string like \"@provider/model\"")?,
    };
    if model.as_deref().is_some_and(|model| model.chars().all(char::is_whitespace)) {
        return Err(wrong("model", "is empty; a string like \"@provider/model\" is expected"));
    }
    if model.as_deref().is_some_and(|model| model.len() > LONGEST_MODEL || holds_control(model)) {
        return Err(wrong("model", "at most 512 bytes without control characters are expected"));
    }
    Ok(model)
}

fn holds_control(text: &str) -> bool {
    let is_plain = text.bytes().fold(true, |so_far, byte| so_far & matches!(byte, b' '..=b'~'));
    !is_plain && text.chars().any(char::is_control)
}

/// Returns how many answers legacy completions make of one request: `best_of` for each prompt.
fn completions(fields: &Fields<'_>) -> Result<u64, GatewayError> {
    let best_of = member::<u64>(fields, "best_of", "a positive whole number")?.unwrap_or(1);
    let prompts = match fields.raw("prompt") {
        Some(raw) if raw.starts_with('[') => {
            let prompts: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
            // A list of numbers is one prompt of tokens.
            let many = prompts.first().is_some_and(|first| first.get().starts_with(['"', '[']));
            if many { prompts.len() as u64 } else { 1 }
        }
        _ => 1,
    };
    Ok(best_of.max(1).saturating_mul(prompts.max(1)))
}

/// Reads a multipart form.
///
/// # Errors
/// 400 when the model is missing.
pub(super) fn of_form(endpoint: Endpoint, form: &Form<'_>) -> Result<Shape, GatewayError> {
    if form.count("model") > 1 {
        return Err(wrong("model", "stands twice in the form"));
    }
    let n = form.text("n").and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut quantities = Quantities::default();
    if endpoint == Endpoint::ImageEdits {
        quantities.images = n;
        quantities.image_quality = form.text("quality").map(str::to_owned);
        quantities.image_size = form.text("size").map(str::to_owned);
    } else {
        quantities.audio_ms = form.file_bytes() * 1_000 / AUDIO_BYTES_PER_SECOND;
    }
    Ok(Shape {
        model: form.text("model").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        stream: form.text("stream") == Some("true"),
        n,
        per_mille: 1_000,
        quantities,
        ..Shape::default()
    })
}

/// Returns the surcharge for service that a client may wish for, in thousandths (vendors' price pages, 2026):
/// OpenAI's priority tier costs up to twice the plain price, Anthropic's fast mode six times, its data residency a
/// tenth more. Discounts are not assumed: vendors fall back to the plain tier.
fn per_mille(fields: &Fields<'_>) -> u64 {
    let is = |name: &str, value: &str| fields.raw(name).is_some_and(|raw| raw.trim_matches('"') == value);
    let tier = if is("service_tier", "priority") || is("service_tier", "fast") { 2_000 } else { 1_000 };
    let speed = if is("speed", "fast") { 6_000 } else { 1_000 };
    let place = if is("inference_geo", "us") { 1_100 } else { 1_000 };
    tier * speed / 1_000 * place / 1_000
}

/// Checks the member that an endpoint can't do without, and its type.
fn required(endpoint: Endpoint, fields: &Fields<'_>) -> Result<(), GatewayError> {
    let (name, first, what) = match endpoint {
        Endpoint::Chat | Endpoint::Messages | Endpoint::CountTokens => {
            ("messages", "[", "an array of messages")
        }
        Endpoint::Completions => ("prompt", "\"[", "a string or an array"),
        Endpoint::Embeddings | Endpoint::Speech => ("input", "\"[", "a string or an array"),
        Endpoint::Responses => ("input", "\"[", "a string or an array"),
        Endpoint::ImageGenerations => ("prompt", "\"", "a string"),
        Endpoint::ImageEdits | Endpoint::Transcriptions | Endpoint::Translations | Endpoint::Other => {
            return Ok(());
        }
    };
    match fields.raw(name) {
        // A stored prompt may stand for the input of a response.
        None if endpoint == Endpoint::Responses => Ok(()),
        None => Err(wrong(name, &format!("is missing; {what} is expected"))),
        Some(raw) if raw.starts_with(|start: char| first.contains(start)) => Ok(()),
        Some(_) => Err(wrong(name, &format!("{what} is expected"))),
    }
}

/// Checks the types of common members by their first character, which costs nothing; what they mean is the vendor's
/// business.
fn types(fields: &Fields<'_>) -> Result<(), GatewayError> {
    const NUMBER: &str = "-0123456789";
    for (name, raw) in fields.iter() {
        let (first, what) = match name {
            "temperature" | "top_p" | "presence_penalty" | "frequency_penalty" => (NUMBER, "a number"),
            "top_k" | "seed" => (NUMBER, "a whole number"),
            "stop" => ("\"[", "a string or an array of strings"),
            "stop_sequences" => ("[", "an array of strings"),
            "tools" => ("[", "an array of tools"),
            "stream_options" | "metadata" => ("{", "an object"),
            "response_format" => ("{\"", "an object"),
            "user" => ("\"", "a string"),
            _ => continue,
        };
        if raw != "null" && !raw.starts_with(|start: char| first.contains(start)) {
            return Err(wrong(name, &format!("{what} is expected")));
        }
    }
    Ok(())
}

/// Checks that every message is an object with a role, the mistake that vendors explain worst.
fn roles(endpoint: Endpoint, fields: &Fields<'_>) -> Result<(), GatewayError> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, default)]
        role: Option<&'a RawValue>,
    }
    if !matches!(endpoint, Endpoint::Chat | Endpoint::Messages | Endpoint::CountTokens) {
        return Ok(());
    }
    if fields.has_roles() {
        return Ok(());
    }
    let raw = fields.raw("messages").unwrap_or("[]");
    let messages = serde_json::from_str::<Vec<Message<'_>>>(raw)
        .map_err(|_| wrong("messages", "an array of objects with role and content is expected"))?;
    for (at, message) in messages.iter().enumerate() {
        if !message.role.is_some_and(|role| role.get().starts_with('"')) {
            return Err(wrong(&format!("messages[{at}].role"), "a string like \"user\" is expected"));
        }
    }
    Ok(())
}

fn streams(endpoint: Endpoint, fields: &Fields<'_>) -> Result<bool, GatewayError> {
    if endpoint == Endpoint::Speech {
        // Sound is passed on as it comes.
        return Ok(true);
    }
    Ok(member(fields, "stream", "true or false")?.unwrap_or(false))
}

fn include_usage(fields: &Fields<'_>) -> bool {
    #[derive(Deserialize)]
    struct Options {
        #[serde(default)]
        include_usage: Option<bool>,
    }
    let options: Option<Options> = fields.get("stream_options").unwrap_or_default();
    options.and_then(|options| options.include_usage).unwrap_or(false)
}

fn user(endpoint: Endpoint, fields: &Fields<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        user_id: Option<String>,
    }
    match endpoint {
        Endpoint::Messages => {
            fields.get::<Metadata>("metadata").ok().flatten().and_then(|metadata| metadata.user_id)
        }
        _ => fields.get("user").ok().flatten(),
    }
}

fn quantities(endpoint: Endpoint, fields: &Fields<'_>, n: u64) -> Result<Quantities, GatewayError> {
    let mut quantities = Quantities::default();
    match endpoint {
        Endpoint::ImageGenerations => {
            quantities.images = n;
            quantities.image_quality = member(fields, "quality", "a string")?;
            quantities.image_size = member(fields, "size", "a string")?;
        }
        Endpoint::Speech => {
            let input: Option<String> = member(fields, "input", "a string")?;
            quantities.characters = input.map_or(0, |input| input.chars().count() as u64);
        }
        _ => {}
    }
    Ok(quantities)
}

fn member<T: DeserializeOwned>(
    fields: &Fields<'_>,
    name: &str,
    what: &str,
) -> Result<Option<T>, GatewayError> {
    fields.get(name).map_err(|_| wrong(name, &format!("{what} is expected")))
}

fn wrong(name: &str, message: &str) -> GatewayError {
    GatewayError::new(ErrorKind::Invalid, format!("{name}: {message}")).at(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(endpoint: Endpoint, body: &str) -> Result<Shape, GatewayError> {
        of_json(endpoint, &Fields::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn wrong_types_are_named() {
        for (body, param) in [
            (r#"{"model":1,"messages":[]}"#, "model"),
            (r#"{"model":"","messages":[]}"#, "model"),
            (r#"{"model":"x"}"#, "messages"),
            (r#"{"model":"x","messages":"hi"}"#, "messages"),
            (r#"{"model":"x","messages":[],"stream":"yes"}"#, "stream"),
            (r#"{"model":"x","messages":[],"max_tokens":-1}"#, "max_tokens"),
            (r#"{"model":"x","messages":[],"n":0}"#, "n"),
        ] {
            let error = shape(Endpoint::Chat, body).unwrap_err();
            assert_eq!((error.status(), error.param.as_deref()), (400, Some(param)), "{body}");
        }
    }

    #[test]
    fn every_message_has_a_role() {
        for (messages, wrong) in [
            (r#"[{"role":"user","content":"a"},{"content":[{"role":1}],"role":"\u0061"}]"#, None),
            (r#"[{"r\u006fle":"user"}]"#, None),
            (r#"[["user"]]"#, None),
            ("[]", None),
            (r#"[{"role":"user"},{"content":{"role":"user"}}]"#, Some("messages[1].role")),
            (r#"[{"role":null}]"#, Some("messages[0].role")),
            (r#"[{"role":["user"]}]"#, Some("messages[0].role")),
            (r#"[{"role":"user","role":"user"}]"#, Some("messages")),
            (r#"[{"role":"user"},1]"#, Some("messages")),
        ] {
            let body = format!(r#"{{"model":"x","messages":{messages}}}"#);
            let found = shape(Endpoint::Chat, &body).err().and_then(|error| error.param);
            assert_eq!(found.as_deref(), wrong, "{messages}");
        }
    }

    #[test]
    fn nulls_are_absent() {
        let found = shape(
            Endpoint::Chat,
            r#"{"model":"x","messages":[],"max_tokens":null,"stream":null,"stream_options":null,"user":null,"n":null}"#,
        )
        .unwrap();
        assert_eq!((found.stream, found.max_tokens, found.n), (false, None, 1));
    }
}
