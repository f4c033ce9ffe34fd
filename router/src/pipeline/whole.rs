//! A whole answer: read, understood as far as needed, handed on.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use serde::Deserialize;
use tidegate_prices::tokens;
use tidegate_providers::{
    Answer, EncodeOptions, Endpoint, Fields, Inbound, Lane, Part, Usage, Wire, look, registry,
};

use super::attempt::{read_whole, unreachable};
use super::settle::{Ending, Settlement};
use crate::error::{ErrorKind, GatewayError, UpstreamFailure};

/// Reads a 2xx answer and turns it into the client's dialect. The request is settled when this returns.
///
/// # Errors
/// 502 when the answer is cut or no answer, 408 when it stalls.
pub(super) async fn whole(
    response: Response<Incoming>,
    to: &Exchanged<'_>,
    limits: (usize, Duration),
    settlement: &mut Settlement,
) -> Result<(String, Bytes), GatewayError> {
    let status = response.status().as_u16();
    let content_type = response
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/json")
        .to_owned();
    let mut body = response.into_body();
    let read = read_whole(&mut body, limits.0, limits.1).await;
    settlement.first_byte();
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => {
            settlement.finish(Ending {
                outcome: error.outcome(),
                status: error.status(),
                error: Some(error.message.clone()),
                unfinished: true,
                fault: true,
                ..Ending::default()
            });
            return Err(error);
        }
    };
    match to.read(bytes, &content_type, settlement) {
        Ok(Read { content_type, bytes, usage, counted_output }) => {
            let unpaid = to.endpoint == Endpoint::CountTokens;
            settlement.finish(Ending {
                outcome: "ok",
                status,
                usage,
                counted_output,
                unpaid,
                ..Ending::default()
            });
            Ok((content_type, bytes))
        }
        Err(error) => {
            settlement.finish(Ending {
                outcome: error.outcome(),
                status: error.status(),
                error: Some(error.message.clone()),
                unpaid: true,
                fault: true,
                ..Ending::default()
            });
            Err(error)
        }
    }
}

const JSON: &str = "application/json";

/// A whole answer, understood as far as needed.
struct Read {
    content_type: String,
    bytes: Bytes,
    usage: Option<Usage>,
    /// Output tokens counted here, where the vendor reports none.
    counted_output: u64,
}

/// Counts an answer's output with the vendor's margin.
fn output_of(answer: &Answer, vendor: &str) -> u64 {
    let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
    let counted = parts.map(|part| match part {
        Part::Text { text, .. } | Part::Thinking { text, .. } | Part::Refusal { text } => tokens::count(text),
        Part::ToolCall { name, arguments, .. } => tokens::count(name) + tokens::count(arguments),
        _ => 0,
    });
    tokens::scaled(vendor, counted.sum())
}

/// What is known of the request whose answer comes.
pub(super) struct Exchanged<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) lane: Lane,
    pub(super) model: &'a str,
    pub(super) vendor: &'static str,
    pub(super) options: &'a EncodeOptions,
    /// The client's body.
    pub(super) asked: &'a Fields<'a>,
}

impl Exchanged<'_> {
    fn read(
        &self,
        bytes: Bytes,
        content_type: &str,
        settlement: &mut Settlement,
    ) -> Result<Read, GatewayError> {
        match self.lane {
            Lane::Native => {
                // Whole calls of every wire, embeddings, counts and pictures are JSON; a transcript may be plain text.
                let is_json = self.endpoint.wire().is_some() || content_type.contains("json");
                if is_json && serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
                    return Err(unreachable("The provider's answer is not JSON".into()));
                }
                let usage = look::usage_of(&bytes);
                self.quantities(&bytes, settlement);
                let counted_output = if usage.is_none() { self.count(&bytes) } else { 0 };
                Ok(Read { content_type: content_type.to_owned(), bytes, usage, counted_output })
            }
            Lane::Translate(wire) => self.translate(wire, &bytes),
            Lane::Exchange(exchange) => {
                let answer =
                    exchange.answer(self.model, self.asked, &bytes).map_err(|error| self.failure(error))?;
                self.quantities(&answer, settlement);
                let usage = look::usage_of(&answer).filter(|usage| usage.total() > 0);
                Ok(Read { content_type: JSON.to_owned(), bytes: answer.into(), usage, counted_output: 0 })
            }
        }
    }

    /// Counts the output of a native answer that reports no usage.
    fn count(&self, bytes: &[u8]) -> u64 {
        let Some(wire) = self.endpoint.wire() else { return 0 };
        match registry::outbound(wire).read_answer(bytes) {
            Ok(answer) => output_of(&answer, self.vendor),
            // Legacy completions and responses have shapes of their own; their bytes bound their text.
            Err(_) => (bytes.len() as u64).div_ceil(4),
        }
    }

    fn translate(&self, wire: Wire, bytes: &[u8]) -> Result<Read, GatewayError> {
        let codec: &dyn Inbound = self
            .endpoint
            .wire()
            .and_then(registry::inbound)
            .ok_or_else(|| GatewayError::new(ErrorKind::Bug, "the endpoint has no wire"))?;
        let answer = registry::outbound(wire).read_answer(bytes).map_err(|error| self.failure(error))?;
        let written = serde_json::to_vec(&codec.write_answer(&answer, self.options))
            .map_err(|error| GatewayError::new(ErrorKind::Bug, error.to_string()))?;
        let counted_output = if answer.usage.is_none() { output_of(&answer, self.vendor) } else { 0 };
        Ok(Read { content_type: JSON.to_owned(), bytes: written.into(), usage: answer.usage, counted_output })
    }

    fn failure(&self, error: tidegate_providers::UpstreamError) -> GatewayError {
        GatewayError::upstream(UpstreamFailure {
            error,
            provider: self.vendor,
            verbatim: None,
            headers: Vec::new(),
        })
    }

    /// Notes how many images and how much audio the answer tells of.
    fn quantities(&self, bytes: &[u8], settlement: &mut Settlement) {
        #[derive(Deserialize)]
        struct Images {
            data: Vec<serde::de::IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Heard {
            #[serde(default)]
            duration: Option<f64>,
            #[serde(default)]
            usage: Option<HeardUsage>,
        }
        #[derive(Deserialize)]
        struct HeardUsage {
            #[serde(default)]
            seconds: Option<f64>,
        }
        match self.endpoint {
            Endpoint::ImageGenerations | Endpoint::ImageEdits => {
                if let Ok(images) = serde_json::from_slice::<Images>(bytes) {
                    settlement.quantities().images = images.data.len() as u64;
                }
            }
            Endpoint::Transcriptions | Endpoint::Translations => {
                let heard = serde_json::from_slice::<Heard>(bytes).ok();
                let seconds =
                    heard.and_then(|heard| heard.usage.and_then(|usage| usage.seconds).or(heard.duration));
                if let Some(seconds) = seconds {
                    // Whole milliseconds, rounded up: a length is no money, but pays for it.
                    let ms = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis();
                    settlement.quantities().audio_ms = u64::try_from(ms).unwrap_or(u64::MAX);
                }
            }
            _ => {}
        }
    }
}
