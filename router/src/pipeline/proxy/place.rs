//! Which path of a vendor is asked for, checked so that it can't lead anywhere else.

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use thiserror::Error;

use crate::pipeline::resolve::split_model;

/// First segments that are the gateway's own, or Portkey's for its control plane: never a vendor's.
const OWN: [&str; 28] = [
    "admin",
    "agent-integrations",
    "analytics",
    "api-keys",
    "audit-logs",
    "collections",
    "configs",
    "feedback",
    "guardrails",
    "health",
    "integrations",
    "labels",
    "logs",
    "mcp-integrations",
    "mcp-servers",
    "metrics",
    "model-configs",
    "models",
    "otel",
    "plugins",
    "policies",
    "prompts",
    "providers",
    "ready",
    "scim",
    "secret-references",
    "virtual-keys",
    "workspace-exclusions",
];
/// A decoded path is decoded again this often: a vendor may do so too.
const DECODINGS: usize = 3;

/// A request to a path that the gateway doesn't model.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Its method.
    pub method: Method,
    /// The path as it is put behind the provider's base URL; begins with a slash.
    pub path: String,
    /// The query, without its `?`.
    pub query: Option<String>,
    /// The client's headers that go on to the vendor; credentials are not among them.
    pub headers: HeaderMap,
}

/// Why a path is no vendor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPath {
    /// It belongs to the gateway.
    #[error("it is no route of this gateway")]
    Own,
    /// It has segments or characters that lead elsewhere.
    #[error("a path without dot segments, backslashes and control characters is expected")]
    Odd,
}

impl Proxy {
    /// Reads the path of a request to the gateway, as it stands in the request line: what follows `/v1`, or
    /// `/v1/proxy`.
    ///
    /// # Errors
    /// [`BadPath`]
    pub fn path_of(asked: &str) -> Result<String, BadPath> {
        let rest = asked.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).ok_or(BadPath::Own)?;
        // The legacy form may name any path of the vendor, also one that the gateway has itself.
        let (path, legacy) = match rest.strip_prefix("/proxy") {
            Some(path) if path.starts_with('/') => (path, true),
            _ => (rest, false),
        };
        let mut decoded = path.to_owned();
        for _ in 0..DECODINGS {
            check(&decoded)?;
            let next = percent_decode_str(&decoded).decode_utf8().map_err(|_| BadPath::Odd)?.into_owned();
            if next == decoded {
                break;
            }
            decoded = next;
        }
        check(&decoded)?;
        let mut segments = decoded.trim_start_matches('/').split('/');
        let first = segments.next().unwrap_or_default();
        // The list of models is the gateway's; a model is a vendor's, which may delete it.
        let is_model = first == "models" && segments.any(|segment| !segment.is_empty());
        if path == "/" || (!legacy && !is_model && (OWN.contains(&first) || first == "proxy")) {
            return Err(BadPath::Own);
        }
        Ok(path.to_owned())
    }

    /// Returns the model that the query names, slug included.
    #[must_use]
    pub fn query_model(&self) -> Option<String> {
        let pairs = self.query.as_deref()?.split('&');
        let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == "model")?.1;
        let model = percent_decode_str(value).decode_utf8().ok()?.into_owned();
        let plain = model.len() <= 512 && !model.is_empty() && !model.contains(char::is_control);
        plain.then_some(model)
    }

    /// Returns the query for the vendor: the model without its slug.
    #[must_use]
    pub fn vendor_query(&self) -> Option<String> {
        let query = self.query.as_deref()?;
        let named = self.query_model();
        let (Some(_), Some(model)) = split_model(named.as_deref()) else { return Some(query.to_owned()) };
        let model = percent_encoding::utf8_percent_encode(model, percent_encoding::NON_ALPHANUMERIC);
        let rewritten = format!("model={model}");
        let pairs =
            query.split('&').map(|pair| if pair.starts_with("model=") { rewritten.as_str() } else { pair });
        Some(pairs.collect::<Vec<_>>().join("&"))
    }

    /// Returns the model that the path names, as Gemini's and Azure's do.
    #[must_use]
    pub fn path_model(&self) -> Option<String> {
        let mut segments = self.path.split('/');
        segments.find(|segment| matches!(*segment, "models" | "deployments" | "engines"))?;
        let name = segments.next()?.split(':').next()?;
        let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        (!name.is_empty() && name.len() <= 512).then_some(name)
    }
}

fn check(path: &str) -> Result<(), BadPath> {
    let dots = |segment: &str| segment == "." || segment == "..";
    let odd = |c: char| c.is_control() || c == '\\';
    // Some servers cut parameters off (`..;x`) before they look.
    let segments = |path: &str| path.split('/').any(|segment| dots(segment.split(';').next().unwrap_or("")));
    if segments(path) || path.contains(odd) { Err(BadPath::Odd) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(path: &str, query: &str) -> Proxy {
        Proxy {
            method: Method::GET,
            path: path.to_owned(),
            query: Some(query.to_owned()),
            headers: HeaderMap::new(),
        }
    }

    #[test]
    fn what_follows_the_version_is_the_vendors() {
        for (asked, path) in [
            ("/v1/files", "/files"),
            ("/v1/proxy/chat/completions", "/chat/completions"),
            ("/v1/proxy/v1/messages", "/v1/messages"),
            ("/v1/proxy/models", "/models"),
            ("/v1/files/a%2Fb%20c%23d", "/files/a%2Fb%20c%23d"),
            ("/v1/@x", "/@x"),
            ("/v1/models-of-mine:predict", "/models-of-mine:predict"),
            ("/v1/proxyfoo", "/proxyfoo"),
            ("/v1/models/ft:a", "/models/ft:a"),
        ] {
            assert_eq!(Proxy::path_of(asked).as_deref(), Ok(path), "{asked}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for asked in [
            "/v1/../admin",
            "/v1/files/..",
            "/v1/%2e%2e/x",
            "/v1/a/%2E./b",
            "/v1/a/..%2fb",
            "/v1/a/%252e%252e/b",
            "/v1/a%5c..%5cb",
            "/v1/a/..;x/b",
            "/v1/a%0d%0ab",
            "/v1/a%00",
            "/v1/proxy/./a",
            "/v1/%ff",
        ] {
            assert_eq!(Proxy::path_of(asked), Err(BadPath::Odd), "{asked}");
        }
        for asked in [
            "/v1/admin/state",
            "/v1/%61dmin/state",
            "/v1/plugins/a/b/c",
            "/v1/configs/x/y",
            "/v1/health/x",
            "/v1/models",
            "/v1//admin/state",
            "/v1/proxy",
            "/v1/proxy/",
            "/v1/",
            "/v2/files",
            "/files",
        ] {
            assert_eq!(Proxy::path_of(asked), Err(BadPath::Own), "{asked}");
        }
    }

    #[test]
    fn the_query_names_a_model_with_its_slug() {
        let asked = proxy("/realtime", "a=1&model=%40openai%2Fgpt-4o&b=2");
        assert_eq!(asked.query_model().as_deref(), Some("@openai/gpt-4o"));
        assert_eq!(asked.vendor_query().as_deref(), Some("a=1&model=gpt%2D4o&b=2"));
        let plain = proxy("/x", "model=gpt-4o&limit=3");
        assert_eq!(plain.vendor_query().as_deref(), Some("model=gpt-4o&limit=3"));
    }

    #[test]
    fn the_path_may_name_a_model() {
        let model = |path| proxy(path, "").path_model();
        assert_eq!(model("/models/gemini-2.5-pro:generateContent").as_deref(), Some("gemini-2.5-pro"));
        assert_eq!(model("/deployments/mine/x").as_deref(), Some("mine"));
        assert_eq!(model("/files/models"), None);
    }
}
