//! A running gateway, asked through its Admin API.

use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::{Context, Failure};
use crate::upstream::{Client, ConnectFailure};

/// Compiling a large plugin takes a while.
const WITHIN: Duration = Duration::from_secs(300);
const LARGEST_ANSWER: usize = 64 << 20;

/// Where the running gateway is.
#[derive(Args, Debug)]
pub(super) struct Running {
    /// Address of the running gateway, like http://127.0.0.1:8787; where the settings say that it listens without.
    #[arg(long, global = true, env = "TIDEGATE_URL")]
    url: Option<String>,
    /// Admin key; the settings' without.
    #[arg(long, global = true, env = "TIDEGATE_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
}

/// Writes a part of a path.
pub(super) fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Running {
    /// Asks the running gateway and returns what it answers.
    pub(super) fn ask(
        &self,
        context: &Context,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Value, Failure> {
        let settings = context.settings();
        let key = match (&self.admin_key, &settings) {
            (Some(key), _) => key.clone(),
            (None, Ok(settings)) => settings.admin_key.as_ref().map(|key| key.reveal().to_owned()).ok_or(
                "no admin key: give --admin-key or TIDEGATE_ADMIN_KEY, or name admin_key in the settings",
            )?,
            (None, Err(error)) => return Err(error.clone()),
        };
        let base = match (&self.url, settings) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Ok(settings)) => base_of(&settings.listen)?,
            (None, Err(error)) => return Err(error),
        };
        let url = format!("{base}{path}");
        let kind = if path.starts_with("/v1/plugins?") { "application/wasm" } else { "application/json" };
        let request = Request::builder()
            .method(method)
            .uri(&url)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", kind)
            .body(body)
            .map_err(|error| format!("{url}: {error}"))?;
        let (status, body) = actix_web::rt::System::new().block_on(exchange(&url, request))?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|_| format!("{url} answered {status}, and no JSON: is it a Tidegate?"))?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let message = answer["error"]["message"].as_str().unwrap_or("no reason given");
        Err(format!("the gateway answered {status}: {message}"))
    }
}

async fn exchange(url: &str, request: Request<Bytes>) -> Result<(u16, Bytes), Failure> {
    let exchanging = async {
        // The operator names the gateway: private addresses are where it is.
        let response = Client::new(Duration::from_secs(10)).send(request, true).await.map_err(|failure| {
            let (ConnectFailure::Connect(reason) | ConnectFailure::Broken(reason)) = failure;
            format!("no gateway answers at {url}: {reason}; is it running, or does --url say where?")
        })?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        Ok((status, body.map_err(|error| format!("{url}: {error}"))?.to_bytes()))
    };
    let late = || Err(format!("{url} did not answer within {} s", WITHIN.as_secs()));
    tokio::time::timeout(WITHIN, exchanging).await.unwrap_or_else(|_| late())
}

/// Returns where a gateway that listens on an address is reached from the same machine.
fn base_of(listen: &str) -> Result<String, Failure> {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "80"));
    if port == "0" {
        return Err("the settings let the system choose a port: say --url".to_owned());
    }
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "[::]" => "[::1]",
        other => other,
    };
    Ok(format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_found_where_it_listens() {
        assert_eq!(base_of("127.0.0.1:8787").unwrap(), "http://127.0.0.1:8787");
        assert_eq!(base_of("0.0.0.0:80").unwrap(), "http://127.0.0.1:80");
        assert_eq!(base_of("[::]:8787").unwrap(), "http://[::1]:8787");
        assert!(base_of("127.0.0.1:0").unwrap_err().contains("--url"));
    }
}
