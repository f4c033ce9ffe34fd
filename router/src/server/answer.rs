//! An answer as handlers give it: the lines of its head are written once, as they go to the client.

use actix_http::{ConnectionType, Response};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use tidegate_prices::NanoUsd;

use crate::upstream::is_visible;

/// Room for the lines of most answers.
const ROOM: usize = 1 << 10;
/// What the connection says itself.
const OF_CONNECTION: [&str; 3] = ["connection", "content-length", "transfer-encoding"];

/// An answer.
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    /// Words beside the status, where they are not the usual ones.
    pub(super) reason: Option<&'static str>,
    pub(super) lines: Lines,
    pub(super) body: BoxBody,
    /// Whether it is the connection's last.
    pub(super) last: bool,
}

impl Answer {
    /// Makes an answer.
    pub(crate) fn new(status: StatusCode, lines: Lines, body: BoxBody) -> Self {
        Self { status, reason: None, lines, body, last: false }
    }

    /// Makes an answer without a body.
    pub(super) fn bare(status: StatusCode) -> Self {
        Self::new(status, Lines { bytes: Vec::new(), dated: false }, BoxBody::new(()))
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Says other words beside the status than the usual ones.
    pub(crate) fn because(self, reason: &'static str) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

impl From<Response<BoxBody>> for Answer {
    fn from(response: Response<BoxBody>) -> Self {
        let (head, body) = response.into_parts();
        let mut lines = Lines::default();
        for (name, value) in head.headers() {
            lines.put_parsed(name.as_str(), value.as_bytes());
        }
        let last = head.head().connection_type() == ConnectionType::Close;
        Self { status: head.status(), reason: head.head().reason, lines, body, last }
    }
}

impl From<ServiceResponse<BoxBody>> for Answer {
    fn from(response: ServiceResponse<BoxBody>) -> Self {
        Response::from(response).into()
    }
}

/// For routes that actix's app serves: it wants to see the headers.
impl From<Answer> for HttpResponse {
    fn from(answer: Answer) -> Self {
        let mut response = HttpResponse::build(answer.status);
        if let Some(reason) = answer.reason {
            response.reason(reason);
        }
        for (name, value) in answer.lines.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                response.append_header((name, value));
            }
        }
        response.body(answer.body)
    }
}

/// Header lines as they are written. What is no header is left out: no value can end its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// Whether one says the date.
    dated: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(ROOM), dated: false }
    }
}

impl Lines {
    /// Adds a header of the gateway's own. The name is a header's, in lower case.
    pub(crate) fn put(&mut self, name: &'static str, value: &str) {
        debug_assert!(is_name(name), "{name:?} is no name");
        self.add(name, value);
    }

    /// Adds a header of somebody else's. Those that are the connection's business are left out.
    pub(crate) fn put_any(&mut self, name: &str, value: &str) {
        if is_name(name) && !OF_CONNECTION.contains(&name) {
            self.add(name, value);
        }
    }

    /// Adds a header with a number.
    pub(crate) fn put_number(&mut self, name: &'static str, value: i64) {
        self.write(name.as_bytes(), itoa::Buffer::new().format(value).as_bytes());
    }

    /// Adds a header with an amount of money.
    pub(crate) fn put_amount(&mut self, name: &'static str, amount: NanoUsd) {
        self.write(name.as_bytes(), amount.digits(&mut [0; 32]));
    }

    /// Adds a header whose value the gateway writes in parts.
    pub(crate) fn put_parts(&mut self, name: &'static str, parts: [&str; 4]) {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        for part in parts {
            debug_assert!(is_visible(part), "{part:?} is no value");
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn add(&mut self, name: &str, value: &str) {
        if is_visible(value) {
            self.write(name.as_bytes(), value.as_bytes());
        }
    }

    /// Adds a header that was parsed, so that it is one.
    fn put_parsed(&mut self, name: &str, value: &[u8]) {
        if !OF_CONNECTION.contains(&name) {
            self.write(name.as_bytes(), value);
        }
    }

    fn write(&mut self, name: &[u8], value: &[u8]) {
        self.dated |= name == b"date";
        self.bytes.reserve(name.len() + value.len() + 4);
        for part in [name, b": ", value, b"\r\n"] {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Returns the lines, each with its end.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns names and values in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (line, more) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
            rest = more;
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            Some((name, value.get(1..)?.trim_ascii()))
        })
    }

    /// Returns whether one says the date.
    pub(super) fn is_dated(&self) -> bool {
        self.dated
    }
}

/// Whether a byte may be part of a name: looked up, because names are short and their bytes many.
const IS_OF_TOKEN: [bool; 256] = {
    let (mut known, mut byte) = ([false; 256], 0);
    while byte < 256 {
        known[byte] = matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        byte += 1;
    }
    known
};

/// Returns whether a text is the name of a header as actix and http write it (RFC 9110, 5.6.2: a token).
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| IS_OF_TOKEN[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_line() {
        let mut lines = Lines::default();
        for value in ["a\r\nx: y", "a\ny", "a\0", "\u{7f}", "é"] {
            lines.put("x-a", value);
            lines.put_any("x-a", value);
        }
        for name in ["x a", "x:a", "X-A", "", "x\r\n", "content-length", "connection"] {
            lines.put_any(name, "1");
        }
        assert_eq!(lines.as_bytes(), b"");
        lines.put("x-a", " a: b\t");
        lines.put_any("x-b", "");
        lines.put_number("x-c", -12);
        assert_eq!(lines.as_bytes(), b"x-a:  a: b\t\r\nx-b: \r\nx-c: -12\r\n");
        let all: Vec<_> = lines.iter().collect();
        assert_eq!(all, [(&b"x-a"[..], &b"a: b"[..]), (b"x-b", b""), (b"x-c", b"-12")]);
    }

    #[test]
    fn an_answer_is_one_to_actix_too() {
        let mut lines = Lines::default();
        lines.put("x-a", "b");
        lines.put("x-a", "c");
        let answer = Answer::new(StatusCode::IM_A_TEAPOT, lines.clone(), BoxBody::new("body"));
        let response = HttpResponse::from(answer.because("Tea"));
        assert_eq!((response.status().as_u16(), response.head().reason()), (418, "Tea"));
        let values: Vec<_> = response.headers().get_all("x-a").collect();
        assert_eq!(values, ["b", "c"]);
        let again = Answer::from(Response::from(response));
        assert_eq!((again.lines, again.reason), (lines, Some("Tea")));
    }
}
