//! HTTP for plugins, with the same care about addresses as for vendors: private ones are closed, whatever the name
//! says, unless the operator trusts the host. Redirects are answers.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Limited};
use tidegate_plugin_host::{BoxFuture, HttpRequest, HttpResponse};

use crate::settings::HTTP_BODY;
use crate::upstream::address::is_private_host;
use crate::upstream::{Client, ConnectFailure};

/// What a request may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The client of all plugins; made at the first request.
pub(super) struct Http {
    connect: Duration,
    client: OnceLock<Client>,
}

impl Http {
    pub(super) fn new(connect: Duration) -> Self {
        Self { connect, client: OnceLock::new() }
    }

    /// Sends a request and reads the whole answer.
    pub(super) fn send(
        &self,
        request: HttpRequest,
        trusted_hosts: &[String],
    ) -> BoxFuture<'static, Result<HttpResponse, String>> {
        let timeout = match request.timeout_ms {
            0 => TIMEOUT,
            timeout_ms => Duration::from_millis(timeout_ms.into()),
        };
        let prepared = prepare(request, trusted_hosts);
        let client = self.client.get_or_init(|| Client::new(self.connect)).clone();
        Box::pin(async move {
            let (request, trusted) = prepared?;
            let answered = async {
                let response = client.send(request, trusted).await.map_err(|failure| match failure {
                    ConnectFailure::Connect(reason) => format!("no connection: {reason}"),
                    ConnectFailure::Broken(reason) => format!("the connection broke: {reason}"),
                })?;
                let (head, body) = response.into_parts();
                let body = Limited::new(body, HTTP_BODY).collect().await;
                let body = body.map_err(|error| format!("the answer could not be read: {error}"))?;
                Ok(HttpResponse {
                    status: head.status.as_u16(),
                    headers: head
                        .headers
                        .iter()
                        .map(|(name, value)| {
                            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                        })
                        .collect(),
                    body: body.to_bytes().to_vec(),
                })
            };
            let within = format!("no answer within {} ms", timeout.as_millis());
            tokio::time::timeout(timeout, answered).await.unwrap_or(Err(within))
        })
    }
}

/// Returns the request and whether its host may be private.
fn prepare(request: HttpRequest, trusted_hosts: &[String]) -> Result<(Request<Bytes>, bool), String> {
    let uri: Uri = request.url.parse().map_err(|_| format!("\"{}\" is not a URL", request.url))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("a URL begins with http:// or https://".to_owned());
    }
    let authority = uri.authority().ok_or("the URL names no host")?;
    if authority.as_str().contains('@') {
        return Err("a URL must not hold credentials".to_owned());
    }
    let host = authority.host().to_ascii_lowercase();
    let trusted = trusted_hosts.contains(&host);
    if !trusted && is_private_host(&host) {
        return Err(format!("host {host} is private; security.trusted_hosts in the settings allows it"));
    }
    let mut building = Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        building = building.header(name, value);
    }
    let request = building.body(Bytes::from(request.body)).map_err(|error| error.to_string())?;
    Ok((request, trusted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(url: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
        }
    }

    #[test]
    fn private_hosts_are_closed_unless_trusted() {
        let trusted = vec!["127.0.0.1".to_owned()];
        for url in
            ["http://127.0.0.1:9/", "http://localhost/", "http://169.254.169.254/latest", "http://0x7f.1/"]
        {
            let refused = prepare(get(url), &[]).unwrap_err();
            assert!(refused.contains("is private"), "{url}: {refused}");
        }
        assert!(prepare(get("http://127.0.0.1:9/"), &trusted).unwrap().1);
        assert!(!prepare(get("https://hooks.example.com/x?y=1"), &trusted).unwrap().1);
        assert!(prepare(get("http://localhost/"), &trusted).is_err());
    }

    #[test]
    fn odd_urls_are_refused() {
        for url in ["ftp://a.com/", "/x", "https://u:p@a.com/", "a b", "file:///etc/passwd"] {
            assert!(prepare(get(url), &[]).is_err(), "{url}");
        }
    }
}
