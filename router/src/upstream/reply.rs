//! A vendor's answer as it came: its headers are parts of what was read, and none is parsed before it is asked for.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::exchange::Incoming;

/// An answer: its head, and a body that is still to come.
#[derive(Debug)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub body: Incoming,
}

impl From<Reply> for Response<Incoming> {
    fn from(reply: Reply) -> Self {
        let mut response = Self::new(reply.body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers.to_map();
        response
    }
}

/// Headers as they came. Names may be in any case.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    head: Bytes,
    fields: Vec<Field>,
}

/// Where in the head a header stands.
#[derive(Clone, Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl Headers {
    /// Makes them of a head and what was found in it.
    pub(super) fn new(head: Bytes, parsed: &[httparse::Header<'_>]) -> Self {
        let start = head.as_ptr() as usize;
        let place = |part: &[u8]| {
            let at = part.as_ptr() as usize - start;
            at..at + part.len()
        };
        let field = |header: &httparse::Header<'_>| Field {
            name: place(header.name.as_bytes()),
            value: place(header.value),
        };
        let fields = parsed.iter().map(field).collect();
        Self { head, fields }
    }

    /// Returns names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let part = |place: &Range<usize>| self.head.get(place.clone()).unwrap_or_default();
        self.fields.iter().map(move |field| (part(&field.name), part(&field.value)))
    }

    /// Returns the values of a header.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let part = |place: &Range<usize>| self.head.get(place.clone()).unwrap_or_default();
        let is_it = move |field: &&Field| {
            field.name.len() == name.len() && part(&field.name).eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(is_it).map(move |field| part(&field.value))
    }

    /// Returns a header's first value, if it is plain ASCII.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        visible(self.all(name).next()?)
    }

    /// Returns them parsed.
    #[must_use]
    pub fn to_map(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in self.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                map.append(name, value);
            }
        }
        map
    }
}

/// Returns the value of a header as text, if it is plain ASCII.
pub(crate) fn visible(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| is_visible(text))
}

/// Returns whether a text is plain ASCII that a header can carry: no value can end its line.
pub(crate) fn is_visible(text: &str) -> bool {
    // Without a way out, so that many bytes are looked at at once.
    text.bytes().fold(true, |so_far, byte| so_far & matches!(byte, b' '..=b'~' | b'\t'))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The same as they come from a vendor.
    pub(crate) fn headers(lines: &str) -> Headers {
        let head = Bytes::from(format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut parsed = httparse::Response::new(&mut fields);
        parsed.parse(&head).unwrap();
        Headers::new(head.clone(), parsed.headers)
    }

    #[test]
    fn headers_are_found_in_any_case_and_parsed_as_they_came() {
        let headers = headers("X-A:  b \r\nx-a: c\r\nX-Odd: \u{e9}\r\nx-empty:\r\n");
        assert_eq!(
            (headers.text("x-a"), headers.text("x-odd"), headers.text("x-b")),
            (Some("b"), None, None)
        );
        assert_eq!(headers.text("x-empty"), Some(""));
        assert_eq!(headers.all("x-a").collect::<Vec<_>>(), [b"b", b"c"]);
        let map = headers.to_map();
        assert_eq!(map.get_all("x-a").into_iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((map.len(), map["x-odd"].as_bytes()), (4, "\u{e9}".as_bytes()));
    }
}
