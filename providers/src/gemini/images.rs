//! Image generation with Imagen's `predict`. Gemini's own image models answer on the conversational endpoints.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors;
use crate::error::{InvalidCall, UpstreamError};
use crate::fields::Fields;
use crate::provider::Exchange;

/// Imagen's aspect ratios, width by height.
const RATIOS: &[(&str, f64)] =
    &[("1:1", 1.0), ("3:4", 3.0 / 4.0), ("4:3", 4.0 / 3.0), ("9:16", 9.0 / 16.0), ("16:9", 16.0 / 9.0)];
/// Members of Imagen's `parameters` that callers may give under their snake-case name.
const PARAMETERS: &[(&str, &str)] = &[
    ("aspect_ratio", "aspectRatio"),
    ("negative_prompt", "negativePrompt"),
    ("person_generation", "personGeneration"),
    ("sample_image_size", "sampleImageSize"),
    ("seed", "seed"),
];

pub(super) struct Images;

impl Exchange for Images {
    fn request(&self, _model: &str, body: &Fields<'_>) -> Result<Vec<u8>, InvalidCall> {
        let text = |name: &str| {
            body.get::<String>(name).map_err(|_| InvalidCall::at(name, format!("{name} must be a string")))
        };
        let prompt = text("prompt")?.ok_or_else(|| InvalidCall::at("prompt", "prompt is missing"))?;
        if text("response_format")?.as_deref() == Some("url") {
            return Err(InvalidCall::at("response_format", "Imagen answers only b64_json"));
        }
        let mut parameters = Map::new();
        let count = body.get::<u64>("n").map_err(|_| InvalidCall::at("n", "n must be a number"))?;
        // OpenAI's default is one picture, Imagen's is four.
        parameters.insert("sampleCount".into(), count.unwrap_or(1).into());
        if let Some(size) = text("size")?.filter(|size| size != "auto") {
            let ratio = ratio_of(&size)
                .ok_or_else(|| InvalidCall::at("size", "size must look like 1024x1024, or be 'auto'"))?;
            parameters.insert("aspectRatio".into(), ratio.into());
        }
        match text("output_format")?.as_deref() {
            None => {}
            Some(format @ ("png" | "jpeg")) => {
                parameters.insert("outputOptions".into(), json!({"mimeType": format!("image/{format}")}));
            }
            Some(_) => return Err(InvalidCall::at("output_format", "Imagen writes only png and jpeg")),
        }
        for (ours, theirs) in PARAMETERS {
            if let Ok(Some(value)) = body.get::<Value>(ours) {
                parameters.insert((*theirs).into(), value);
            }
        }
        Ok(json!({"instances": [{"prompt": prompt}], "parameters": parameters}).to_string().into_bytes())
    }

    fn answer(&self, _model: &str, _asked: &Fields<'_>, body: &[u8]) -> Result<Vec<u8>, UpstreamError> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| errors::unreadable(format!("the answer is not JSON: {error}")))?;
        if let Some(error) = errors::from_value(&value, 502) {
            return Err(error);
        }
        let answer: Answer = serde_json::from_value(value)
            .map_err(|error| errors::unreadable(format!("the answer holds no predictions: {error}")))?;
        let mut data = Vec::new();
        let mut filtered = None;
        for prediction in answer.predictions {
            match prediction.bytes_base64_encoded {
                Some(bytes) => data.push(json!({"b64_json": bytes})),
                None => filtered = filtered.or(prediction.rai_filtered_reason),
            }
        }
        if data.is_empty() {
            // The vendor says this with status 200, but a client would take an empty list for success.
            let message =
                filtered.unwrap_or_else(|| "every picture was held back by the safety filter".to_owned());
            let kind = Some("content_filter".to_owned());
            return Err(UpstreamError { status: 400, message, kind, code: None, param: None });
        }
        // The vendor gives no time, and this package reads no clock.
        Ok(json!({"created": 0, "data": data}).to_string().into_bytes())
    }
}

#[derive(Deserialize)]
struct Answer {
    /// Left out when everything was filtered.
    #[serde(default)]
    predictions: Vec<Prediction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    bytes_base64_encoded: Option<String>,
    rai_filtered_reason: Option<String>,
}

/// Returns the aspect ratio next to OpenAI's `size`; next in proportion, so that 2:1 is as far from 1:1 as 1:2.
fn ratio_of(size: &str) -> Option<&'static str> {
    let (width, height) = size.split_once('x')?;
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| *side > 0).map(f64::from);
    let wanted = side(width)? / side(height)?;
    let distance = |ratio: f64| (ratio / wanted).ln().abs();
    let nearest = RATIOS.iter().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
    nearest.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &Value) -> Result<Value, InvalidCall> {
        let text = body.to_string();
        let bytes = Images.request("imagen-4.0-generate-001", &Fields::parse(text.as_bytes()).unwrap())?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn openais_members_become_imagens() {
        assert_eq!(
            request(&json!({"prompt": "a cat"})).unwrap(),
            json!({"instances": [{"prompt": "a cat"}], "parameters": {"sampleCount": 1}})
        );
        let full = json!({
            "prompt": "a cat", "n": 2, "size": "1024x1024", "quality": "hd", "style": "vivid",
            "response_format": "b64_json", "user": "u", "output_format": "jpeg", "negative_prompt": "dogs",
        });
        assert_eq!(
            request(&full).unwrap()["parameters"],
            json!({
                "sampleCount": 2, "aspectRatio": "1:1", "outputOptions": {"mimeType": "image/jpeg"},
                "negativePrompt": "dogs",
            })
        );
    }

    #[test]
    fn sizes_become_the_nearest_ratio() {
        for (size, ratio) in [
            ("1792x1024", "16:9"),
            ("1024x1792", "9:16"),
            ("1536x1024", "4:3"),
            ("1024x1536", "3:4"),
            ("256x256", "1:1"),
        ] {
            assert_eq!(ratio_of(size), Some(ratio), "{size}");
        }
        for bad in ["big", "0x1", "1x0", "x", "1024"] {
            assert_eq!(ratio_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_imagen_cannot_do_is_refused() {
        for (body, param) in [
            (json!({}), "prompt"),
            (json!({"prompt": "x", "response_format": "url"}), "response_format"),
            (json!({"prompt": "x", "output_format": "webp"}), "output_format"),
            (json!({"prompt": "x", "size": "huge"}), "size"),
        ] {
            assert_eq!(request(&body).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn pictures_are_listed_and_filtered_ones_named() {
        let body = br#"{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"AAAA"},{"raiFilteredReason":"no"}]}"#;
        assert_eq!(
            Images.answer("m", &Fields::empty(), body).unwrap(),
            br#"{"created":0,"data":[{"b64_json":"AAAA"}]}"#
        );
        let error = Images
            .answer("m", &Fields::empty(), br#"{"predictions":[{"raiFilteredReason":"no"}]}"#)
            .unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (400, "no"));
        assert_eq!(Images.answer("m", &Fields::empty(), b"<").unwrap_err().status, 502);
    }
}
