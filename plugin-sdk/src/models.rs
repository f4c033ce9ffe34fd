//! Models, through the gateway itself, paid by the plugin's own key. Needs `models` in the manifest.

use serde_json::Value;

use crate::verdict::CheckError;

#[cfg(target_family = "wasm")]
use crate::guest::models as real;
#[cfg(not(target_family = "wasm"))]
use crate::testing::models as real;

fn error(message: String) -> CheckError {
    CheckError::new("ModelError", message)
}

/// Returns a model's answer: OpenAI chat completions JSON in and out. The model is a slug like `@openai/gpt-4o-mini`.
///
/// # Errors
/// [`CheckError`] named `ModelError`.
///
/// ```
/// use tidegate_plugin_sdk::{json, models, testing::FakeHost};
/// let fake = FakeHost::install();
/// fake.on_complete(|request| Ok(json!({"asked": request["model"]})));
/// let answer = models::complete(&json!({"model": "@openai/gpt-4o-mini", "messages": []}))?;
/// assert_eq!(answer["asked"], "@openai/gpt-4o-mini");
/// # Ok::<(), tidegate_plugin_sdk::CheckError>(())
/// ```
pub fn complete(request: &Value) -> Result<Value, CheckError> {
    let answer = real::complete(&request.to_string()).map_err(error)?;
    serde_json::from_str(&answer).map_err(|problem| error(problem.to_string()))
}

/// Returns one vector for each text.
///
/// # Errors
/// [`CheckError`] named `ModelError`.
///
/// ```
/// use tidegate_plugin_sdk::{models, testing::FakeHost};
/// let fake = FakeHost::install();
/// fake.on_embed(|_, texts| Ok(texts.iter().map(|text| vec![text.len() as f32]).collect()));
/// assert_eq!(models::embed("@openai/small", &["abc"])?, [[3.0]]);
/// # Ok::<(), tidegate_plugin_sdk::CheckError>(())
/// ```
pub fn embed(model: &str, texts: &[&str]) -> Result<Vec<Vec<f32>>, CheckError> {
    let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
    real::embed(model, &texts).map_err(error)
}
