//! HTTP to hosts that the operator granted by name. Needs `http` in the manifest.

use crate::verdict::CheckError;

#[cfg(target_family = "wasm")]
use crate::guest::http as real;
#[cfg(not(target_family = "wasm"))]
use crate::testing::http as real;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// `http` or `https`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// 0 is the host's default.
    pub timeout_ms: u32,
}

impl HttpRequest {
    /// Returns a request without headers and body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.to_owned(), url: url.to_owned(), ..Self::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        Self { body: body.to_string().into_bytes(), ..self.header("content-type", "application/json") }
    }

    /// Sets how long to wait at most.
    #[must_use]
    pub fn timeout_ms(self, timeout_ms: u32) -> Self {
        Self { timeout_ms, ..self }
    }
}

/// An answer. Redirects are answers, not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Returns whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the value of a header. Case of the name does not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON.
    ///
    /// # Errors
    /// [`CheckError`] named `HttpError` where it is none.
    pub fn json(&self) -> Result<serde_json::Value, CheckError> {
        serde_json::from_slice(&self.body).map_err(|error| CheckError::new("HttpError", error.to_string()))
    }
}

/// Sends a request.
///
/// # Errors
/// [`CheckError`] named `HttpError`: not granted, no connection, too late.
///
/// ```
/// use tidegate_plugin_sdk::{http::{self, HttpRequest, HttpResponse}, testing::FakeHost};
/// let fake = FakeHost::install();
/// fake.on_http(|request| Ok(HttpResponse { status: 200, body: request.url.clone().into_bytes(), ..Default::default() }));
/// assert!(http::send(&HttpRequest::new("GET", "https://example.com/"))?.is_success());
/// # Ok::<(), tidegate_plugin_sdk::CheckError>(())
/// ```
pub fn send(request: &HttpRequest) -> Result<HttpResponse, CheckError> {
    real::send(request).map_err(|message| CheckError::new("HttpError", message))
}
