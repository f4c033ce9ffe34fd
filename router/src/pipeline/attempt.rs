//! One attempt at a vendor: send, wait for the head, read what is not an answer.

use std::borrow::Cow;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::encode::Outgoing;
use super::patience::Patience;
use crate::error::{ErrorKind, GatewayError};
use crate::upstream::{Client, ConnectFailure, Headers, Incoming, Reply, visible};

/// Largest error body that is read.
const ERROR_BYTES: usize = 1 << 20;
/// The status is known; its words are not worth a longer wait between two reads.
const ERROR_IDLE: Duration = Duration::from_secs(10);

/// Sends a request and waits for the head of the answer.
///
/// # Errors
/// 408 when none comes in time, 502 when the vendor can't be reached or breaks off.
pub(super) async fn send(
    client: &Client,
    outgoing: Outgoing,
    slug: &str,
    patience: &Patience,
) -> Result<Reply, GatewayError> {
    let ms = patience.head.as_millis();
    let Outgoing { call, trusted } = outgoing;
    let sending = pin!(client.send_any(call, trusted, patience.connect));
    match patience.within(patience.head, sending).await {
        Some(Ok(response)) => Ok(response),
        Some(Err(ConnectFailure::Connect(reason))) => {
            Err(unreachable(format!("Provider {slug} could not be reached: {reason}")))
        }
        Some(Err(ConnectFailure::Broken(reason))) => {
            Err(unreachable(format!("Provider {slug} broke the connection before it answered: {reason}")))
        }
        None => Err(patience.late(format!("Request exceeded the timeout sent in the request: {ms}ms"))),
    }
}

/// Makes the error of a vendor that can't be reached or broke off.
#[must_use]
pub(super) fn unreachable(message: String) -> GatewayError {
    GatewayError::new(ErrorKind::UpstreamUnreachable, message)
}

/// Reads a whole body of at most `limit` bytes.
///
/// # Errors
/// 502 when the body is cut or too large, 408 when it stalls.
pub(super) async fn read_whole(
    body: &mut Incoming,
    limit: usize,
    patience: &Patience,
) -> Result<Bytes, GatewayError> {
    let mut first = Bytes::new();
    let mut joined: Option<BytesMut> = None;
    loop {
        // A body that never pauses would outlast any timer.
        if patience.is_over() {
            return Err(patience.stalled());
        }
        let data = match patience.within(patience.idle, pin!(body.frame())).await {
            None => return Err(patience.stalled()),
            Some(None) => return Ok(joined.map_or(first, BytesMut::freeze)),
            Some(Some(Err(error))) => {
                return Err(unreachable(format!(
                    "The provider broke off in the middle of its answer: {error}"
                )));
            }
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => data,
                Err(_trailers) => continue,
            },
        };
        let so_far = joined.as_ref().map_or(first.len(), BytesMut::len);
        if so_far + data.len() > limit {
            return Err(unreachable(format!("The provider's answer is larger than {limit} bytes")));
        }
        match &mut joined {
            Some(joined) => joined.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut both = BytesMut::with_capacity((first.len() + data.len()) * 2);
                both.extend_from_slice(&first);
                both.extend_from_slice(&data);
                joined = Some(both);
            }
        }
    }
}

/// Reads the body of an error answer, as far as it comes.
pub(super) async fn read_error_body(body: &mut Incoming, patience: &Patience) -> Bytes {
    read_whole(body, ERROR_BYTES, &patience.with_idle(ERROR_IDLE)).await.unwrap_or_default()
}

/// Returns the headers worth passing on to the client.
#[must_use]
pub(super) fn passed_headers(headers: &Headers) -> Vec<(String, String)> {
    let passed = headers.iter().filter_map(|(name, value)| {
        // Without a way out, so that many bytes are looked at at once.
        let has_capitals = name.iter().fold(false, |so_far, byte| so_far | byte.is_ascii_uppercase());
        let name = if has_capitals { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        if is_dropped(&name) {
            return None;
        }
        Some((String::from_utf8(name.into_owned()).ok()?, visible(value)?.to_owned()))
    });
    passed.collect()
}

/// Returns whether a header, by its name in lower case, says something about one connection, or is one that the gateway
/// sets itself.
fn is_dropped(name: &[u8]) -> bool {
    matches!(
        name,
        b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"proxy-authenticate"
            | b"te"
            | b"trailer"
            | b"transfer-encoding"
            | b"upgrade"
            | b"content-length"
            | b"content-encoding"
            | b"content-type"
            | b"set-cookie"
            | b"alt-svc"
            | b"strict-transport-security"
            | b"date"
            | b"server"
    ) || name.starts_with(b"access-control-")
        || name.starts_with(b"x-portkey-")
}
