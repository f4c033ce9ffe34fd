//! Reads a request body within its limits of size and time.

use std::time::Duration;

use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use tokio_stream::{Stream, StreamExt};

use super::head;
use crate::error::{ErrorKind, GatewayError};
use crate::server::{Headers, SentBody};
use crate::upstream::unpack::Unpacking;

/// Reads a whole body that may be there already.
///
/// # Errors
/// As [`read`].
pub(super) async fn whole(
    sent: &impl Headers,
    body: SentBody,
    limit: usize,
    within: Duration,
) -> Result<Bytes, GatewayError> {
    match body {
        SentBody::Whole(bytes) if bytes.len() <= limit => Ok(bytes),
        SentBody::Whole(_) => Err(too_large(limit)),
        SentBody::Coming(body) => read(sent, body, limit, within).await,
    }
}

/// Reads a whole body.
///
/// # Errors
/// 413 above `limit` bytes, 408 when it does not come within `within`, 400 when the client breaks off.
pub(crate) async fn read(
    sent: &impl Headers,
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    limit: usize,
    within: Duration,
) -> Result<Bytes, GatewayError> {
    let too_large = || self::too_large(limit);
    let announced = announced(sent);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let reading = async {
        let mut first = Bytes::new();
        let mut joined: Option<BytesMut> = None;
        while let Some(piece) = payload.next().await {
            let piece = piece.map_err(|error| {
                GatewayError::new(ErrorKind::Invalid, format!("The body could not be read: {error}"))
            })?;
            let so_far = joined.as_ref().map_or(first.len(), BytesMut::len);
            if so_far + piece.len() > limit {
                return Err(too_large());
            }
            match &mut joined {
                Some(joined) => joined.extend_from_slice(&piece),
                None if first.is_empty() => first = piece,
                None => {
                    let mut both =
                        BytesMut::with_capacity(announced.unwrap_or((first.len() + piece.len()) * 2));
                    both.extend_from_slice(&first);
                    both.extend_from_slice(&piece);
                    joined = Some(both);
                }
            }
        }
        Ok(joined.map_or(first, BytesMut::freeze))
    };
    tokio::time::timeout(within, reading).await.unwrap_or_else(|_| {
        Err(GatewayError::new(
            ErrorKind::SlowBody,
            format!("The body did not arrive within {} ms", within.as_millis()),
        ))
    })
}

/// Unpacks a body that says to be packed.
///
/// # Errors
/// 400 when the coding is not known here or the bytes are not in it, 413 when more than `limit` come out.
pub(super) async fn unpacked(
    sent: &impl Headers,
    packed: Bytes,
    limit: usize,
) -> Result<Bytes, GatewayError> {
    let Some(coding) = head::text(sent, "content-encoding") else { return Ok(packed) };
    if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        return Ok(packed);
    }
    let refused = |message: String| GatewayError::new(ErrorKind::Invalid, message).at("content-encoding");
    let Some(mut unpacking) = Unpacking::of(coding) else {
        return Err(refused(format!("\"{coding}\" is not known; gzip, deflate or none is expected")));
    };
    let unreadable = |error| refused(format!("The body is not {coding}: {error}"));
    let mut whole = BytesMut::new();
    unpacking.push(packed);
    while let Some(piece) = unpacking.next().map_err(unreadable)? {
        if whole.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&piece);
        // A large body takes long: others have their turn.
        tokio::task::yield_now().await;
    }
    if let Some(rest) = unpacking.finish().map_err(unreadable)? {
        whole.extend_from_slice(&rest);
    }
    if whole.len() > limit { Err(too_large(limit)) } else { Ok(whole.freeze()) }
}

/// Returns how long a body says it is.
pub(super) fn announced(sent: &impl Headers) -> Option<usize> {
    head::text(sent, "content-length")?.parse().ok()
}

/// Refuses a body that is too large, in our words and in Portkey's.
pub(super) fn too_large(limit: usize) -> GatewayError {
    GatewayError::new(ErrorKind::TooLarge, format!("The body exceeds the limit of {limit} bytes"))
        .said_as(format!("Payload size exceeds the limit of {}MB", limit >> 20))
}
