//! Heads of HTTP/1.1 messages: written for requests, read for answers (RFC 9112, 3 to 6).

use bytes::Bytes;
use http::{Method, StatusCode};

use super::call::{Envelope, line};
use super::framing::Framing;
use super::reply::{Headers, visible};

/// Most headers of an answer.
const MOST_HEADERS: usize = 256;

/// How the body of a request is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(u64),
    /// Chunks.
    Unknown,
}

/// Writes the head of a request.
pub(super) fn write(method: &Method, envelope: &Envelope, length: Length, head: &mut Vec<u8>) {
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    let target = envelope.url.path_and_query().map_or("/", |target| target.as_str());
    if !target.starts_with('/') {
        head.push(b'/');
    }
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    head.extend_from_slice(&envelope.lines);
    match length {
        Length::Unknown => line(head, b"transfer-encoding", b"chunked"),
        // A method without a meaning for bodies says nothing of one (RFC 9110, 8.6).
        Length::Known(0) if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) => {}
        Length::Known(length) => line(head, b"content-length", itoa::Buffer::new().format(length).as_bytes()),
    }
    head.extend_from_slice(b"\r\n");
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: Headers,
    /// Its body.
    pub(super) framing: Framing,
    /// Whether the connection may serve another request.
    pub(super) keeps: bool,
    /// Bytes that it took.
    pub(super) length: usize,
}

/// An answer whose head breaks the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the head of the answer is malformed: {0}")]
pub(super) struct Malformed(&'static str);

/// Reads the head of an answer; none when it is not complete yet. Interim answers (1xx) are skipped.
///
/// # Errors
/// [`Malformed`]
pub(super) fn read(bytes: &Bytes, method: &Method) -> Result<Option<Head>, Malformed> {
    let mut begin = 0;
    loop {
        let rest = bytes.slice(begin..);
        let Some(head) = read_one(&rest, method)? else { return Ok(None) };
        let status = head.status;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed("nobody asked for another protocol"));
        }
        if !status.is_informational() {
            return Ok(Some(Head { length: begin + head.length, ..head }));
        }
        begin += head.length;
    }
}

fn read_one(bytes: &Bytes, method: &Method) -> Result<Option<Head>, Malformed> {
    let mut lines = [std::mem::MaybeUninit::uninit(); MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let read =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, &mut lines);
    let length = match read {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Malformed("too many headers")),
        Err(httparse::Error::Status) => return Err(Malformed("no status")),
        Err(httparse::Error::Version) => return Err(Malformed("no version of HTTP/1")),
        Err(_) => return Err(Malformed("a line is none")),
    };
    let headers = Headers::new(bytes.slice(..length), parsed.headers);
    let status =
        parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed("no status"))?;
    let newer = parsed.version == Some(1);
    let framing = framing(&headers, status, method)?;
    let said = |word: &str| {
        let mut tokens = headers.all("connection").filter_map(visible).flat_map(|value| value.split(','));
        tokens.any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    let keeps = if newer { !said("close") } else { said("keep-alive") };
    let has = |name| headers.all(name).next().is_some();
    let smuggles = has("transfer-encoding") && has("content-length");
    let keeps = keeps && !smuggles && framing != Framing::UntilClose;
    Ok(Some(Head { status, headers, framing, keeps, length }))
}

/// RFC 9112, 6.3.
fn framing(headers: &Headers, status: StatusCode, method: &Method) -> Result<Framing, Malformed> {
    if *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Framing::Over);
    }
    if let Some(last) = headers.all("transfer-encoding").next_back() {
        let coding = last.rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::CHUNKED } else { Framing::UntilClose });
    }
    let mut length = None;
    for value in headers.all("content-length") {
        for said in value.split(|byte| *byte == b',') {
            let said = number(said.trim_ascii()).ok_or(Malformed("the content-length is no number"))?;
            if length.is_some_and(|length| length != said) {
                return Err(Malformed("two lengths of the content"));
            }
            length = Some(said);
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(text: &str) -> Result<Option<Head>, Malformed> {
        read(&Bytes::copy_from_slice(text.as_bytes()), &Method::POST)
    }

    #[test]
    fn requests_are_written_in_order() {
        let written = |method: &str, url: &str, length| {
            let request = Request::builder().method(method).uri(url).header("x-a", "b").body(()).unwrap();
            let mut head = Vec::new();
            let (parts, ()) = request.into_parts();
            write(&parts.method, &Envelope::new(parts.uri, &parts.headers), length, &mut head);
            String::from_utf8(head).unwrap()
        };
        assert_eq!(
            written("POST", "https://a.example/v1/x?y=1", Length::Known(0)),
            "POST /v1/x?y=1 HTTP/1.1\r\nhost: a.example\r\nx-a: b\r\ncontent-length: 0\r\n\r\n"
        );
        assert_eq!(
            written("GET", "http://u:p@a.example:8080", Length::Known(0)),
            "GET / HTTP/1.1\r\nhost: a.example:8080\r\nx-a: b\r\n\r\n"
        );
        assert_eq!(
            written("PUT", "http://[::1]:80/", Length::Unknown),
            "PUT / HTTP/1.1\r\nhost: [::1]\r\nx-a: b\r\ntransfer-encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn bodies_end_as_their_heads_say() {
        for (lines, framing, keeps) in [
            ("content-length: 5", Framing::Length(5), true),
            ("content-length: 5, 5", Framing::Length(5), true),
            ("transfer-encoding: chunked", Framing::CHUNKED, true),
            ("transfer-encoding: gzip, Chunked", Framing::CHUNKED, true),
            ("transfer-encoding: chunked\r\ncontent-length: 5", Framing::CHUNKED, false),
            ("transfer-encoding: gzip", Framing::UntilClose, false),
            ("x: y", Framing::UntilClose, false),
            ("content-length: 5\r\nconnection: x, Close", Framing::Length(5), false),
        ] {
            let head = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")).unwrap().unwrap();
            assert_eq!((head.framing, head.keeps), (framing, keeps), "{lines}");
        }
        let head = head("HTTP/1.1 204 No Content\r\nx: y\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.framing, Framing::Over);
        let old = read(&Bytes::from_static(b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n"), &Method::GET);
        assert!(!old.unwrap().unwrap().keeps);
        let headless =
            read(&Bytes::from_static(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), &Method::HEAD);
        assert_eq!(headless.unwrap().unwrap().framing, Framing::Over);
    }

    #[test]
    fn interim_answers_are_skipped() {
        let two = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
        assert!(head(two).unwrap().is_none());
        let text = format!("{two}HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno");
        let head = head(&text).unwrap().unwrap();
        assert_eq!((head.status.as_u16(), head.length), (404, text.len() - 2));
    }

    #[test]
    fn broken_heads_are_refused() {
        for text in [
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 banana\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "<html>",
        ] {
            assert!(head(text).is_err(), "{text:?}");
        }
        assert!(head("HTTP/1.1 200 OK\r\ncontent-le").unwrap().is_none());
    }
}
