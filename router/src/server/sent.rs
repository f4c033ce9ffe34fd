//! Requests that the connection reads itself: a POST to a route of inference, with a body of a known length.
//!
//! Most requests are such. Whatever is out of the ordinary (chunks, upgrades, expectations, old clients, anything that
//! may be read in two ways) is left to actix's codec, which refuses what is no request.

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::body::Body;

/// Most headers of a request that is read here.
const MOST: usize = 64;
/// Longest number that a length may be.
const DIGITS: usize = 15;

/// The headers of a request, by whom ever it is read: names in lower case.
pub(crate) trait Headers {
    /// Returns names and values; of a repeated name in their order.
    fn all(&self) -> impl Iterator<Item = (&str, &[u8])>;

    /// Returns the first value of a name.
    fn first(&self, name: &str) -> Option<&[u8]> {
        // Requests have a dozen headers: to compare them costs less than to make a name that can be looked up.
        self.all().find_map(|(known, value)| (known == name).then_some(value))
    }
}

impl Headers for actix_web::http::header::HeaderMap {
    fn all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

/// The headers of a request that the connection read itself.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Names, one after the other.
    names: String,
    /// The head as it came.
    head: Box<[u8]>,
    fields: Vec<Field>,
    /// A bit for each length of a name that is there: most names that are looked for are absent.
    lengths: u64,
}

#[derive(Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Headers for Sent {
    fn all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|Field { name, value }| {
            let name = self.names.get(name.clone()).unwrap_or_default();
            (name, self.head.get(value.clone()).unwrap_or_default())
        })
    }

    fn first(&self, name: &str) -> Option<&[u8]> {
        if self.lengths & bit(name.len()) == 0 {
            return None;
        }
        let mut fields = self.fields.iter().filter(|field| field.name.len() == name.len());
        let names = self.names.as_bytes();
        let found = fields.find(|field| names.get(field.name.clone()) == Some(name.as_bytes()))?;
        self.head.get(found.value.clone())
    }
}

/// Returns the bit of a name's length.
fn bit(length: usize) -> u64 {
    1 << (length % 64)
}

/// The body of such a request.
pub(crate) enum SentBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Coming(Body),
}

/// A head that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// Which route it asks.
    pub(super) route: usize,
    /// Its headers.
    pub(super) sent: Sent,
    /// The length of its body.
    pub(super) length: usize,
    /// Whether the client wants to keep the connection.
    pub(super) keep: bool,
}

/// Takes the head off the input, if it is all there and of a request that is read here. `route` knows the paths.
pub(super) fn read(input: &mut BytesMut, route: impl Fn(&str) -> Option<usize>) -> Option<Read> {
    if !input.starts_with(b"POST /") {
        return None;
    }
    let mut headers = [const { MaybeUninit::uninit() }; MOST];
    let mut parsed = httparse::Request::new(&mut []);
    let size = match parsed.parse_with_uninit_headers(input, &mut headers) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) | Err(_) => return None,
    };
    let target = parsed.path.filter(|_| parsed.version == Some(1))?;
    let route = route(target.split_once('?').map_or(target, |(path, _)| path))?;
    let known = framing(parsed.headers)?;
    let start = input.as_ptr() as usize;
    let mut names = String::with_capacity(size);
    let mut fields = Vec::with_capacity(parsed.headers.len());
    let mut lengths = 0;
    for header in parsed.headers.iter() {
        let from = names.len();
        names.push_str(header.name);
        let at = header.value.as_ptr() as usize - start;
        lengths |= bit(header.name.len());
        fields.push(Field { name: from..names.len(), value: at..at + header.value.len() });
    }
    names.make_ascii_lowercase();
    let head = input.get(..size)?.into();
    input.advance(size);
    Some(Read { route, sent: Sent { names, head, fields, lengths }, length: known.length, keep: known.keep })
}

struct Framing {
    length: usize,
    keep: bool,
}

/// Looks for what says where the request ends. None when that is not said in the one plain way.
fn framing(headers: &[httparse::Header<'_>]) -> Option<Framing> {
    let (mut hosts, mut length, mut keep) = (0, None, true);
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            4 if is("host") => hosts += 1,
            6 if is("expect") => return None,
            7 if is("upgrade") => return None,
            10 if is("connection") => match header.value.trim_ascii() {
                value if value.eq_ignore_ascii_case(b"keep-alive") => {}
                value if value.eq_ignore_ascii_case(b"close") => keep = false,
                _ => return None,
            },
            14 if is("content-length") => {
                let digits = header.value.trim_ascii();
                let plain = digits.len() <= DIGITS && digits.iter().all(u8::is_ascii_digit);
                let said = std::str::from_utf8(digits).ok().filter(|_| plain && length.is_none())?;
                length = Some(said.parse().ok()?);
            }
            17 if is("transfer-encoding") => return None,
            _ => {}
        }
    }
    Some(Framing { length: length.filter(|_| hosts == 1)?, keep })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &str) -> BytesMut {
        format!("POST /a?b HTTP/1.1\r\nHost: h\r\n{lines}\r\nbody").as_str().into()
    }

    fn route(path: &str) -> Option<usize> {
        (path == "/a").then_some(7)
    }

    #[test]
    fn headers_are_found_by_names_in_lower_case() {
        let mut input = request("Content-Length: 4 \r\nX-A:  b c\r\nx-a: d\r\nX-Odd: \u{e9}\r\nx-empty:\r\n");
        let read = read(&mut input, route).unwrap();
        assert_eq!((read.route, read.length, read.keep, &input[..]), (7, 4, true, &b"body"[..]));
        let texts =
            |(name, value): (&str, &[u8])| (name.to_owned(), String::from_utf8_lossy(value).into_owned());
        let all: Vec<_> = read.sent.all().map(texts).collect();
        let expected = [
            ("host", "h"),
            ("content-length", "4"),
            ("x-a", "b c"),
            ("x-a", "d"),
            ("x-odd", "é"),
            ("x-empty", ""),
        ];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read.sent.first("x-a"), Some(&b"b c"[..]));
        assert_eq!(read.sent.first("x-b"), None);
    }

    #[test]
    fn what_is_not_plain_is_left_alone() {
        for lines in [
            "",
            "content-length: 4\r\ncontent-length: 4\r\n",
            "content-length: +4\r\n",
            "content-length: 4, 4\r\n",
            "content-length: -4\r\n",
            "content-length: 0x4\r\n",
            "content-length:\r\n",
            "content-length: 9999999999999999\r\n",
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\n",
            "content-length: 4\r\nTransfer-Encoding: identity\r\n",
            "content-length: 4\r\nhost: h\r\n",
            "content-length: 4\r\nexpect: 100-continue\r\n",
            "content-length: 4\r\nupgrade: h2c\r\n",
            "content-length: 4\r\nconnection: upgrade\r\n",
            "content-length: 4\r\nconnection: close, te\r\n",
            "content-length: 4\r\nx a: b\r\n",
            "content-length: 4\r\n x: folded\r\n",
        ] {
            let mut input = request(lines);
            let before = input.clone();
            assert!(read(&mut input, route).is_none(), "{lines}");
            assert_eq!(input, before, "{lines}");
        }
        let good = "content-length: 4\r\n";
        for (from, to) in [
            ("POST", "PUT"),
            ("POST", "post"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("/a?b", "/b"),
            ("/a?b", "http://h/a"),
            ("\r\n\r\n", "\r\n"),
        ] {
            let text = String::from_utf8(request(good).to_vec()).unwrap().replacen(from, to, 1);
            assert!(read(&mut text.as_str().into(), route).is_none(), "{text}");
        }
        assert!(read(&mut request(good), route).is_some());
        let closes = read(&mut request("content-length: 4\r\nConnection: Close\r\n"), route).unwrap();
        assert!(!closes.keep);
    }
}
