//! Embeddings by `batchEmbedContents`, one request per text, so that an array gives as many vectors.
//!
//! OpenAI's SDKs ask for base64 (little-endian 32-bit floats) and some decode it without looking: what was asked for
//! is what they get.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{errors, model};
use crate::error::{InvalidCall, UpstreamError};
use crate::fields::Fields;
use crate::provider::Exchange;

pub(super) struct Embeddings;

impl Exchange for Embeddings {
    fn request(&self, model: &str, body: &Fields<'_>) -> Result<Vec<u8>, InvalidCall> {
        let resource = model::resource(model)?;
        let texts = texts(body)?;
        let dimensions = read::<u64>(body, "dimensions", "a positive number")?;
        // Google's own members for callers that know them.
        let task = read::<String>(body, "task_type", "a string")?;
        let title = read::<String>(body, "title", "a string")?;
        let requests = texts.into_iter().map(|text| {
            let mut request = Map::new();
            request.insert("model".into(), resource.as_str().into());
            request.insert("content".into(), json!({"parts": [{"text": text}]}));
            if let Some(dimensions) = dimensions {
                request.insert("outputDimensionality".into(), dimensions.into());
            }
            if let Some(task) = &task {
                request.insert("taskType".into(), task.as_str().into());
            }
            if let Some(title) = &title {
                request.insert("title".into(), title.as_str().into());
            }
            Value::Object(request)
        });
        let requests: Vec<_> = requests.collect();
        Ok(json!({"requests": requests}).to_string().into_bytes())
    }

    fn answer(&self, model: &str, asked: &Fields<'_>, body: &[u8]) -> Result<Vec<u8>, UpstreamError> {
        let answer: BatchAnswer = match serde_json::from_slice(body) {
            Ok(answer) => answer,
            Err(error) => {
                let carried = serde_json::from_slice::<Value>(body).ok();
                let carried = carried.as_ref().and_then(|value| errors::from_value(value, 502));
                return Err(carried.unwrap_or_else(|| {
                    errors::unreadable(format!("the answer holds no embeddings: {error}"))
                }));
            }
        };
        let base64 = asked.get::<String>("encoding_format").ok().flatten().as_deref() == Some("base64");
        let data = answer.embeddings.into_iter().enumerate().map(|(index, vector)| {
            let embedding = if base64 { packed(&vector.values) } else { json!(vector.values) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        });
        // Only newer models count tokens here.
        let tokens = answer.usage_metadata.and_then(|usage| usage.prompt_token_count).unwrap_or(0);
        let list = json!({
            "object": "list",
            "data": data.collect::<Vec<_>>(),
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        });
        Ok(list.to_string().into_bytes())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "OpenAI's base64 form is 32-bit floats by definition")]
fn packed(values: &[f64]) -> Value {
    let bytes: Vec<u8> = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
    STANDARD.encode(bytes).into()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchAnswer {
    embeddings: Vec<Vector>,
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Vector {
    values: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
}

fn texts(body: &Fields<'_>) -> Result<Vec<String>, InvalidCall> {
    let refuse = || {
        InvalidCall::at(
            "input",
            "input must be a string or a non-empty array of strings for Gemini; token arrays can't be read",
        )
    };
    let texts = match read::<Value>(body, "input", "a string or an array of strings")? {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => {
            let texts: Option<Vec<_>> = list
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect();
            texts.ok_or_else(refuse)?
        }
        _ => return Err(refuse()),
    };
    if texts.is_empty() { Err(refuse()) } else { Ok(texts) }
}

fn read<T: serde::de::DeserializeOwned>(
    body: &Fields<'_>,
    name: &str,
    accepted: &str,
) -> Result<Option<T>, InvalidCall> {
    body.get(name).map_err(|_| InvalidCall::at(name, format!("{name} must be {accepted}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &Value) -> Result<Value, InvalidCall> {
        let text = body.to_string();
        let bytes = Embeddings.request("gemini-embedding-001", &Fields::parse(text.as_bytes()).unwrap())?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn each_text_is_a_request_of_its_own() {
        let one =
            |text| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}});
        assert_eq!(request(&json!({"input": "a"})).unwrap(), json!({"requests": [one("a")]}));
        assert_eq!(
            request(&json!({"input": ["a", "b"]})).unwrap(),
            json!({"requests": [one("a"), one("b")]})
        );
    }

    #[test]
    fn dimensions_are_kept() {
        let body =
            request(&json!({"input": "hello", "dimensions": 256, "encoding_format": "float"})).unwrap();
        assert_eq!(body["requests"][0]["outputDimensionality"], 256);
        assert_eq!(
            request(&json!({"input": "a", "dimensions": "x"})).unwrap_err().param.as_deref(),
            Some("dimensions")
        );
    }

    #[test]
    fn tokens_are_refused() {
        for input in [json!([[1, 2, 3]]), json!([1, 2]), json!([]), json!({}), Value::Null] {
            let error = request(&json!({"input": input})).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("input"));
        }
    }

    #[test]
    fn vectors_become_openais_list() {
        let body = include_bytes!("../../fixtures/google/embeddings_response.json");
        let answer = Embeddings.answer("gemini-embedding-001", &Fields::empty(), body).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&answer).unwrap(),
            json!({
                "object": "list",
                "data": [
                    {"object": "embedding", "index": 0, "embedding": [0.013168523, -0.008711934]},
                    {"object": "embedding", "index": 1, "embedding": [0.25, 1.0]},
                ],
                "model": "gemini-embedding-001",
                "usage": {"prompt_tokens": 0, "total_tokens": 0},
            })
        );
    }

    #[test]
    fn an_unreadable_answer_is_a_bad_gateway() {
        assert_eq!(Embeddings.answer("m", &Fields::empty(), b"{}").unwrap_err().status, 502);
        assert_eq!(
            Embeddings
                .answer("m", &Fields::empty(), br#"{"error":{"code":429,"message":"slow"}}"#)
                .unwrap_err()
                .status,
            429
        );
    }
}
