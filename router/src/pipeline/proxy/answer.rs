//! The vendor's answer, passed on untouched and looked at in passing for the tokens it tells of.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use tidegate_providers::{UpstreamError, Usage};

use super::usage;
use crate::error::{GatewayError, UpstreamFailure};
use crate::pipeline::attempt;
use crate::pipeline::meter::Meter;
use crate::pipeline::patience::Patience;
use crate::pipeline::request::{About, Answer, AnswerBody};
use crate::pipeline::resolve::Route;
use crate::pipeline::settle::{Ending, Settlement};
use crate::pipeline::stream::{AnswerStream, Lane};
use crate::upstream::{Headers, Reply};

/// Larger JSON answers are passed on unread.
const LARGEST_JSON: usize = 4 << 20;
/// Longer lines of events are not looked at.
const LONGEST_LINE: usize = 1 << 20;

/// Passes an answer on. A status of 400 or above is an error, so that retries and fallbacks see it; the client gets its
/// body as it came.
///
/// # Errors
/// The vendor's, or 502 and 408 where it breaks off before the first byte.
pub(in crate::pipeline) async fn answer(
    route: &Route,
    mut reply: Reply,
    mut settlement: Box<Settlement>,
    about: About,
    patience: Patience,
) -> Result<Answer, GatewayError> {
    let vendor = route.provider.vendor().slug();
    let status = reply.status.as_u16();
    let headers = passed(&reply.headers);
    if status >= 400 {
        let content_type = reply.headers.text("content-type").map(str::to_owned);
        let body = attempt::read_error_body(&mut reply.body, &patience).await;
        let failure = UpstreamFailure {
            error: said(status, &body),
            provider: vendor,
            verbatim: Some(body),
            content_type: Some(content_type.unwrap_or_else(|| "application/octet-stream".to_owned())),
            headers: headers.into_iter().filter(|(name, _)| name != "content-type").collect(),
        };
        let error = GatewayError::upstream(failure);
        settlement.first_byte();
        settlement.finish(Ending {
            outcome: error.outcome(),
            status: error.status(),
            error: Some(error.message.clone()),
            unpaid: true,
            fault: status >= 500,
            vendor_status: Some(status),
            ..Ending::default()
        });
        return Err(GatewayError { views: about.views, ..error });
    }
    let watch = Watch::of(&reply.headers);
    if matches!(status, 204 | 205 | 304) {
        settlement.finish(Ending { outcome: "ok", status, ..Ending::default() });
        return Ok(Answer { status, headers, about, body: AnswerBody::Whole(Bytes::new()) });
    }
    let lane = Lane::Watched(Box::new(watch));
    let meter = Meter::new(vendor, false);
    let stream = AnswerStream::new(reply.body, lane, meter, patience, settlement);
    let stream = stream.open(Bytes::new()).await?;
    Ok(Answer { status, headers, about, body: AnswerBody::Stream(Box::new(stream)) })
}

/// Reads what an error body says, for the log; the client gets the body itself.
fn said(status: u16, body: &[u8]) -> UpstreamError {
    let error = serde_json::from_slice::<serde_json::Value>(body).unwrap_or_default();
    let places = [&error["error"]["message"], &error["message"], &error["error"], &error["detail"]];
    let found = places.into_iter().find_map(|place| place.as_str()).map(str::to_owned);
    let plain = || String::from_utf8_lossy(body).chars().take(200).collect::<String>();
    let message = found.unwrap_or_else(plain);
    let message = if message.trim().is_empty() { "the provider gave no reason".to_owned() } else { message };
    UpstreamError { status, message, kind: None, code: None, param: None }
}

/// Returns the headers worth passing on: what says how to read the body, too.
fn passed(headers: &Headers) -> Vec<(String, String)> {
    let mut passed = attempt::passed_headers(headers);
    for name in ["content-type", "content-encoding"] {
        if let Some(value) = headers.text(name) {
            passed.push((name.to_owned(), value.to_owned()));
        }
    }
    passed
}

/// Looks at what passes.
pub(in crate::pipeline) struct Watch {
    kind: Kind,
    usage: Option<Usage>,
}

enum Kind {
    Json { pieces: Vec<Bytes>, length: usize },
    Events { line: BytesMut, skipping: bool },
    Unread,
}

impl Watch {
    fn of(headers: &Headers) -> Self {
        let kind = headers.text("content-type").unwrap_or_default().to_ascii_lowercase();
        let plain = headers.text("content-encoding").is_none_or(|coding| coding == "identity");
        let kind = match () {
            () if !plain => Kind::Unread,
            () if kind.starts_with("text/event-stream") => {
                Kind::Events { line: BytesMut::new(), skipping: false }
            }
            () if kind.starts_with("application/") && kind.contains("json") => {
                Kind::Json { pieces: Vec::new(), length: 0 }
            }
            () => Kind::Unread,
        };
        Self { kind, usage: None }
    }

    /// Looks at a piece.
    pub(in crate::pipeline) fn see(&mut self, piece: &Bytes) {
        match &mut self.kind {
            Kind::Unread => {}
            Kind::Json { pieces, length } => {
                *length += piece.len();
                if *length > LARGEST_JSON {
                    self.kind = Kind::Unread;
                } else {
                    pieces.push(piece.clone());
                }
            }
            Kind::Events { line, skipping } => {
                let mut rest = &piece[..];
                while let Some(end) = memchr::memchr(b'\n', rest) {
                    if !std::mem::take(skipping) {
                        line.extend_from_slice(&rest[..end]);
                        merge(&mut self.usage, of_line(line));
                    }
                    line.clear();
                    rest = &rest[end + 1..];
                }
                if !*skipping && line.len() + rest.len() <= LONGEST_LINE {
                    line.extend_from_slice(rest);
                } else {
                    *skipping = true;
                    line.clear();
                }
            }
        }
    }

    /// Returns what was told, once all has passed.
    pub(in crate::pipeline) fn finish(&mut self) -> Option<Usage> {
        match std::mem::replace(&mut self.kind, Kind::Unread) {
            Kind::Json { pieces, .. } => match &pieces[..] {
                [] => {}
                [one] => self.usage = usage::of_json(one),
                many => self.usage = usage::of_json(&many.concat()),
            },
            Kind::Events { line, skipping: false } => merge(&mut self.usage, of_line(&line)),
            Kind::Events { .. } | Kind::Unread => {}
        }
        self.usage
    }
}

fn of_line(line: &[u8]) -> Option<Usage> {
    let data = line.strip_prefix(b"data:")?;
    memmem::find(data, b"\"usage")?;
    usage::of_json(data.trim_ascii())
}

fn merge(known: &mut Option<Usage>, found: Option<Usage>) {
    if let Some(found) = found {
        known.get_or_insert_default().merge(&found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(content_type: &str, pieces: &[&[u8]]) -> Option<(u64, u64)> {
        let headers = crate::upstream::headers(&format!("content-type: {content_type}\r\n"));
        let mut watch = Watch::of(&headers);
        for piece in pieces {
            watch.see(&Bytes::copy_from_slice(piece));
        }
        watch.finish().map(|usage| (usage.input, usage.output))
    }

    #[test]
    fn usage_is_found_however_an_answer_is_cut() {
        let json = br#"{"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
        let mut events = b"event: a\r\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\r\n\r\n".to_vec();
        events.extend_from_slice(b"data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":4}}\n\n");
        for cut in 0..events.len() {
            let at = cut.min(json.len());
            let (a, b) = json.split_at(at);
            assert_eq!(watched("application/json", &[a, b]), Some((3, 4)), "{cut}");
            let (a, b) = events.split_at(cut);
            assert_eq!(watched("text/event-stream", &[a, b]), Some((3, 4)), "{cut}");
        }
        assert_eq!(watched("audio/wav", &[json]), None);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let long = vec![b'x'; LONGEST_LINE + 1];
        let usage = b"\ndata: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n";
        assert_eq!(watched("text/event-stream", &[b"data: ", &long, &long, usage]), Some((3, 4)));
    }
}
