//! A request to a vendor, and the part of it that does not change from one to the next.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Uri, header};

use super::body::OutBody;

/// Where a request goes and what its headers say, written down once for all requests that say the same.
pub struct Envelope {
    pub(super) url: Uri,
    /// Scheme and authority: requests to the same may share connections.
    pub(super) place: String,
    /// The lines of the headers, but for those of the body's length.
    pub(super) lines: Vec<u8>,
}

impl Envelope {
    /// Writes an envelope. The host is the URL's, unless a header names another one; what headers say of the body's
    /// length and of how it is sent is left to the client.
    #[must_use]
    pub fn new(url: Uri, headers: &HeaderMap) -> Self {
        let mut lines = Vec::with_capacity(256);
        if !headers.contains_key(header::HOST) {
            line(&mut lines, b"host", host(&url).as_bytes());
        }
        for (name, value) in headers {
            if *name != header::CONTENT_LENGTH && *name != header::TRANSFER_ENCODING {
                line(&mut lines, name.as_str().as_bytes(), value.as_bytes());
            }
        }
        let authority = url.authority().map_or("", |authority| authority.as_str());
        let place = [url.scheme_str().unwrap_or_default(), "://", authority].concat();
        Self { url, place, lines }
    }

    /// Returns where it goes.
    #[must_use]
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// Returns the headers, names in lower case, credentials among them; the host is one.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        // No value has a line end: see `HeaderValue`.
        self.lines.split(|byte| *byte == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let value = line.get(colon + 2..)?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, value.strip_suffix(b"\r").unwrap_or(value)))
        })
    }
}

/// Without values: credentials are among them.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("Envelope")
            .field("host", &self.url.host())
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// Returns the host of a URL, with its port where that is not the scheme's own.
fn host(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    match (url.port_u16(), url.scheme_str()) {
        (None, _) | (Some(443), Some("https")) | (Some(80), Some("http")) => host.to_owned(),
        (Some(port), _) => format!("{host}:{port}"),
    }
}

pub(super) fn line(lines: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    lines.reserve(name.len() + value.len() + 4);
    lines.extend_from_slice(name);
    lines.extend_from_slice(b": ");
    lines.extend_from_slice(value);
    lines.extend_from_slice(b"\r\n");
}

/// A request.
#[derive(Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub envelope: Arc<Envelope>,
    /// The body.
    pub body: OutBody,
}

impl From<Request<OutBody>> for Call {
    fn from(request: Request<OutBody>) -> Self {
        let (parts, body) = request.into_parts();
        Self { method: parts.method, envelope: Arc::new(Envelope::new(parts.uri, &parts.headers)), body }
    }
}
