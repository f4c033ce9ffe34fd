//! As much of HTTP/1.1 as mock and client need: heads by `httparse`, bodies by a decoder that copies nothing.

use std::io;

const MOST_HEADERS: usize = 64;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk of length 0.
    Chunked,
    /// With the connection.
    Close,
}

/// The head of a message that is there as a whole.
pub(crate) struct Head {
    /// Bytes up to the body.
    pub(crate) length: usize,
    pub(crate) framing: Framing,
    /// Of an answer; 0 of a request.
    pub(crate) status: u16,
    /// Of a request; empty of an answer.
    pub(crate) path: String,
    /// Whether the other side closes after this message.
    pub(crate) closes: bool,
}

/// Returns the head of an answer, or `None` while it is not complete.
pub(crate) fn answer_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = answer.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let status = answer.code.unwrap_or(0);
    let (framing, closes) = framing(answer.headers, Framing::Close)?;
    Ok(Some(Head { length, framing, status, path: String::new(), closes }))
}

/// Returns the head of a request, or `None` while it is not complete.
pub(crate) fn request_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let path = request.path.unwrap_or("/").to_owned();
    let (framing, closes) = framing(request.headers, Framing::Length(0))?;
    Ok(Some(Head { length, framing, status: 0, path, closes }))
}

fn framing(headers: &[httparse::Header<'_>], otherwise: Framing) -> io::Result<(Framing, bool)> {
    let (mut framing, mut closes) = (otherwise, false);
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            framing = Framing::Length(length.ok_or_else(|| io::Error::other("content-length is no number"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    Ok((framing, closes || framing == Framing::Close))
}

/// Finds a body's bytes in what a connection brought.
pub(crate) struct Decoder(State);

enum State {
    Length(u64),
    Close,
    Size(u64),
    /// Behind the digits of a size: an extension and the end of the line.
    SizeEnd(u64),
    Data(u64),
    DataEnd,
    /// Lines behind the last chunk; how long the present one is.
    Trailer(usize),
    Done,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(0),
            Framing::Close => State::Close,
        })
    }

    /// Says whether the body has ended.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Says whether the body may end where the connection does.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.0, State::Close)
    }

    /// Hands the body's bytes to `sink` and returns how many of `bytes` belong to this message.
    pub(crate) fn decode(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done() {
            let rest = &bytes[at..];
            match self.0 {
                State::Close => {
                    sink(rest);
                    at = bytes.len();
                }
                State::Length(left) | State::Data(left) => {
                    let taken = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    sink(&rest[..taken]);
                    at += taken;
                    let left = left - taken as u64;
                    self.0 = match self.0 {
                        State::Length(_) if left == 0 => State::Done,
                        State::Length(_) => State::Length(left),
                        _ if left == 0 => State::DataEnd,
                        _ => State::Data(left),
                    };
                }
                State::Size(size) => match char::from(rest[0]).to_digit(16) {
                    Some(digit) => {
                        self.0 = State::Size(size << 4 | u64::from(digit));
                        at += 1;
                    }
                    None => self.0 = State::SizeEnd(size),
                },
                State::SizeEnd(size) => {
                    at += 1;
                    if rest[0] == b'\n' {
                        self.0 = if size == 0 { State::Trailer(0) } else { State::Data(size) };
                    } else if rest[0] != b'\r' && rest[0] != b';' && !rest[0].is_ascii_graphic() {
                        return Err(io::Error::other("a chunk's size is no number"));
                    }
                }
                State::DataEnd => {
                    at += 1;
                    match rest[0] {
                        b'\r' => {}
                        b'\n' => self.0 = State::Size(0),
                        _ => return Err(io::Error::other("a chunk is longer than it says")),
                    }
                }
                State::Trailer(length) => {
                    at += 1;
                    self.0 = match rest[0] {
                        b'\r' => State::Trailer(length),
                        b'\n' if length == 0 => State::Done,
                        b'\n' => State::Trailer(0),
                        _ => State::Trailer(length + 1),
                    };
                }
                State::Done => {}
            }
        }
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_found_wherever_they_are_cut() {
        let sent = b"5\r\nhello\r\nb;x=y\r\n, the world\r\n0\r\nx-t: 1\r\n\r\nNEXT";
        for cut in 0..sent.len() {
            let (mut decoder, mut body) = (Decoder::new(Framing::Chunked), Vec::new());
            let first = decoder.decode(&sent[..cut], |bytes| body.extend_from_slice(bytes)).unwrap();
            let second = decoder.decode(&sent[first..], |bytes| body.extend_from_slice(bytes)).unwrap();
            assert!(decoder.is_done(), "cut at {cut}");
            assert_eq!(body, b"hello, the world", "cut at {cut}");
            assert_eq!(&sent[first + second..], b"NEXT", "cut at {cut}");
        }
    }

    #[test]
    fn a_chunk_longer_than_it_says_is_an_error() {
        assert!(Decoder::new(Framing::Chunked).decode(b"2\r\nabc\r\n", |_| {}).is_err());
    }
}
