//! How answers are framed (RFC 9112, 6): by their length, in chunks, or by the end of the connection.

use std::io;

use actix_http::ServiceConfig;
use actix_web::body::BodySize;
use actix_web::http::StatusCode;
use bytes::BytesMut;

use super::Answer;

/// Where an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// With its head.
    Nothing,
    /// After so many bytes.
    Length(u64),
    /// With a chunk that is empty.
    Chunks,
    /// With the connection.
    Endless,
}

impl Frame {
    /// Returns how an answer is framed. `old` clients know no chunks, and the answer to HEAD is `empty`.
    pub(super) fn of(answer: &Answer, size: BodySize, old: bool, empty: bool) -> Self {
        match size {
            _ if empty || is_bodiless(answer.status) => Self::Nothing,
            BodySize::None | BodySize::Sized(0) => Self::Nothing,
            BodySize::Sized(length) => Self::Length(length),
            BodySize::Stream if old => Self::Endless,
            BodySize::Stream => Self::Chunks,
        }
    }

    /// Writes a piece of an answer; it is not empty.
    pub(super) fn write(&mut self, piece: &[u8], to: &mut BytesMut) {
        match self {
            Self::Nothing => {}
            Self::Length(left) => {
                let length = piece.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                to.extend_from_slice(piece.get(..length).unwrap_or(piece));
            }
            Self::Chunks => {
                hex(piece.len(), to);
                to.extend_from_slice(piece);
                to.extend_from_slice(b"\r\n");
            }
            Self::Endless => to.extend_from_slice(piece),
        }
    }

    /// Writes the end of an answer.
    ///
    /// # Errors
    /// When it is shorter than it said.
    pub(super) fn end(self, to: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Length(1..) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Chunks => to.extend_from_slice(b"0\r\n\r\n"),
            Self::Nothing | Self::Length(0) | Self::Endless => {}
        }
        Ok(())
    }
}

/// Returns whether answers of a status have no body, and no header that says how long it is.
fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Writes the size of a chunk and the end of its line.
fn hex(mut number: usize, to: &mut BytesMut) {
    let mut line = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'\r', b'\n'];
    let mut from = 16;
    for place in line.iter_mut().take(16).rev() {
        let digit = (number & 15) as u8;
        *place = if digit < 10 { b'0' + digit } else { b'A' + digit - 10 };
        from -= 1;
        number >>= 4;
        if number == 0 {
            break;
        }
    }
    to.extend_from_slice(line.get(from..).unwrap_or_default());
}

/// How the head of an answer says that the connection goes on.
pub(super) struct Line {
    /// The client speaks HTTP/1.0.
    pub(super) old: bool,
    /// The connection is kept.
    pub(super) keep: bool,
}

/// Writes the head of an answer.
pub(super) fn head(answer: &Answer, size: BodySize, line: &Line, config: &ServiceConfig, to: &mut BytesMut) {
    let Answer { status, reason, lines, .. } = answer;
    to.extend_from_slice(if line.old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    to.extend_from_slice(status.as_str().as_bytes());
    to.extend_from_slice(b" ");
    let reason = reason.or_else(|| status.canonical_reason()).unwrap_or("<unknown status code>");
    to.extend_from_slice(reason.as_bytes());
    match size {
        _ if is_bodiless(*status) => to.extend_from_slice(b"\r\n"),
        BodySize::None => to.extend_from_slice(b"\r\n"),
        BodySize::Sized(length) => {
            to.extend_from_slice(b"\r\ncontent-length: ");
            to.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            to.extend_from_slice(b"\r\n");
        }
        BodySize::Stream if line.old => to.extend_from_slice(b"\r\n"),
        BodySize::Stream => to.extend_from_slice(b"\r\ntransfer-encoding: chunked\r\n"),
    }
    match (line.keep, line.old) {
        (true, true) => to.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, false) => to.extend_from_slice(b"connection: close\r\n"),
        (true, false) | (false, true) => {}
    }
    to.extend_from_slice(lines.as_bytes());
    if !lines.is_dated() {
        config.write_date_header(to, false);
    }
    to.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_say_their_size() {
        for size in [1, 9, 10, 15, 16, 255, 4_096, 65_535, usize::MAX] {
            let mut line = BytesMut::new();
            hex(size, &mut line);
            assert_eq!(line, format!("{size:X}\r\n").as_bytes());
        }
    }
}
