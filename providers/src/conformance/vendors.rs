//! Places and credentials of every vendor.

use http::{HeaderMap, HeaderValue, Uri};

use crate::provider::{Credential, Destination, Endpoint, Provider};
use crate::registry;

pub(super) const ENDPOINTS: [Endpoint; 11] = [
    Endpoint::Chat,
    Endpoint::Completions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::CountTokens,
    Endpoint::Embeddings,
    Endpoint::ImageGenerations,
    Endpoint::ImageEdits,
    Endpoint::Speech,
    Endpoint::Transcriptions,
    Endpoint::Translations,
];

const KEY: &str = "sk-made-up-0123456789";

/// Names that must not lead anywhere else, or that are only unusual.
const ODD_MODELS: [&str; 27] = [
    "",
    ".",
    "..",
    "../../admin",
    "a/../b",
    "a/..",
    "/etc/passwd",
    "//evil.example/x",
    "https://evil.example/",
    "@evil.example",
    "a?b=c",
    "a#b",
    "a b",
    "a\tb",
    "a\r\nX-Evil: 1",
    "a\0b",
    "a\\..\\b",
    "a%2f..%2fb",
    "%2e%2e",
    "a:streamGenerateContent",
    "a;b&c=d",
    "models/../x",
    "tunedModels/..",
    "é",
    "模型",
    "🦀",
    "\u{202e}\u{feff}",
];

/// Returns a credential that has all that any address needs.
fn credential() -> Credential {
    let options = [
        ("azure_resource_name", "contoso"),
        ("azure_foundry_url", "https://contoso.services.example/models"),
        ("databricks_workspace", "ws"),
        ("workers_ai_account_id", "abc123"),
    ];
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Credential { api_key: Some(KEY.to_owned()), base_url: None, options }
}

/// Returns a credential with an address of the user's own.
fn with_base(base: &str) -> Credential {
    Credential { base_url: Some(base.to_owned()), ..credential() }
}

/// Returns each thing that the vendor can be asked for.
pub(super) fn destinations<'m>(provider: &dyn Provider, model: &'m str) -> Vec<Destination<'m>> {
    let to = |endpoint| {
        let lane = provider.lane(endpoint, model)?;
        Some([false, true].map(|stream| Destination { endpoint, lane, model, stream }))
    };
    ENDPOINTS.into_iter().filter_map(to).flatten().collect()
}

fn parsed(url: &str, what: &str) -> Uri {
    let uri: Uri = url.parse().unwrap_or_else(|error| panic!("{what}: {url}: {error}"));
    assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{what}: {url}");
    assert!(uri.host().is_some_and(|host| !host.is_empty()), "{what}: {url}");
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !br#"#"<>\^`{|}"#.contains(&byte));
    assert!(plain, "{what}: {url}");
    let path = uri.path();
    assert!(!path.contains("//") && path.split('/').all(|step| step != "." && step != ".."), "{what}: {url}");
    assert!(!path.to_ascii_lowercase().contains("/%2e"), "{what}: {url}");
    uri
}

#[test]
fn every_endpoint_has_a_url() {
    let own = [
        "http://127.0.0.1:9",
        "http://127.0.0.1:9/",
        "https://proxy.example/a/v1",
        "https://proxy.example/a/v1/",
    ];
    for provider in registry::all() {
        let everything = destinations(provider, "model-x");
        assert!(!everything.is_empty(), "{}", provider.slug());
        for to in everything {
            let what = format!("{} {to:?}", provider.slug());
            match provider.url(&credential(), &to) {
                Ok(url) => drop(parsed(&url, &what)),
                // Self-hosted servers are wherever the user put them.
                Err(error) => {
                    assert_eq!(error.param.as_deref(), Some("base_url"), "{what}: {error}");
                    assert_eq!(provider.default_base(), None, "{what}");
                }
            }
            for base in own {
                let url =
                    provider.url(&with_base(base), &to).unwrap_or_else(|error| panic!("{what}: {error}"));
                let uri = parsed(&url, &what);
                let host = base.split('/').nth(2).unwrap();
                assert_eq!(uri.authority().map(|authority| authority.as_str()), Some(host), "{what}: {url}");
            }
        }
        for credential in [credential(), with_base(own[1])] {
            if let Some(url) = provider.models_url(&credential) {
                parsed(&url, provider.slug());
            }
        }
    }
}

#[test]
fn addresses_that_are_none_are_refused() {
    for provider in registry::all() {
        for base in [
            "",
            "proxy.example",
            "ftp://proxy.example",
            "file:///etc/passwd",
            "https://",
            "http:///x",
            "https://a b",
            "https://a\r\nX: 1",
            "https://proxy.example/v1?x=1",
            "https://proxy.example/#x",
        ] {
            for to in destinations(provider, "model-x") {
                let url = provider.url(&with_base(base), &to);
                assert!(url.is_err(), "{} took {base:?}: {url:?}", provider.slug());
            }
            let url = provider.models_url(&with_base(base));
            assert_eq!(url, None, "{} took {base:?}", provider.slug());
        }
    }
}

#[test]
fn a_model_name_stays_in_its_place() {
    for provider in registry::all() {
        for credential in [credential(), with_base("https://proxy.example/a/v1")] {
            for model in ODD_MODELS {
                for to in destinations(provider, model) {
                    let what = format!("{} {to:?}", provider.slug());
                    let Ok(url) = provider.url(&credential, &to) else { continue };
                    let uri = parsed(&url, &what);
                    let plain = Destination { model: "model-x", ..to };
                    let plain = parsed(&provider.url(&credential, &plain).unwrap(), &what);
                    assert_eq!(
                        (uri.scheme(), uri.authority()),
                        (plain.scheme(), plain.authority()),
                        "{what}: {url}"
                    );
                    assert_eq!(uri.query(), plain.query(), "{what}: {url}");
                    let (steps, plain): (Vec<&str>, Vec<&str>) =
                        (uri.path().split('/').collect(), plain.path().split('/').collect());
                    assert_eq!(steps.len(), plain.len(), "{what}: {url}");
                    let moved = steps
                        .iter()
                        .zip(plain)
                        .filter(|(step, plain)| *step != plain && !plain.contains("model-x"));
                    assert_eq!(moved.count(), 0, "{what}: {url}");
                }
            }
        }
    }
}

#[test]
fn the_key_travels_in_one_sensitive_header() {
    let mut inbound = HeaderMap::new();
    for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-portkey-api-key", "cookie"] {
        inbound.insert(name, HeaderValue::from_static("Bearer gateways-own-secret"));
    }
    for provider in registry::all() {
        for credential in [credential(), with_base("http://127.0.0.1:9")] {
            let headers = provider.headers(&credential, &inbound).unwrap();
            let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
            let carriers: Vec<_> = headers.iter().filter(|(_, value)| text(value).contains(KEY)).collect();
            assert_eq!(carriers.len(), 1, "{}: {headers:?}", provider.slug());
            assert!(carriers.iter().all(|(_, value)| value.is_sensitive()), "{}", provider.slug());
            assert!(!format!("{headers:?} {credential:?}").contains(KEY), "{}", provider.slug());
            let leaks = headers.iter().any(|(_, value)| text(value).contains("gateways-own-secret"));
            assert!(!leaks, "{} gets the client's credential", provider.slug());
        }
    }
}

#[test]
fn credentials_never_show_a_secret() {
    let mut credential = with_base("https://someone:pass-word@proxy.example/v1?token=also-secret");
    credential.options.insert("azure_ad_token".into(), "token-secret".into());
    let shown = format!("{credential:?} {credential:#?}");
    for secret in [KEY, "pass-word", "also-secret", "token-secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("proxy.example"), "{shown}");
}

#[test]
fn hosted_vendors_need_a_key_that_a_header_can_carry() {
    for provider in registry::all() {
        for key in [None, Some(""), Some("  "), Some("\n")] {
            let credential = Credential { api_key: key.map(str::to_owned), ..credential() };
            match provider.headers(&credential, &HeaderMap::new()) {
                Ok(headers) => assert!(provider.key_optional(), "{} {key:?}: {headers:?}", provider.slug()),
                Err(error) => {
                    assert!(!provider.key_optional(), "{} {key:?}: {error}", provider.slug());
                    assert!(error.message.to_lowercase().contains("key"), "{}: {error}", provider.slug());
                }
            }
        }
        // Keys are copied with the line end more often than not.
        let pasted = Credential { api_key: Some(format!(" {KEY}\r\n")), ..credential() };
        let headers = provider.headers(&pasted, &HeaderMap::new()).unwrap();
        let pasted = headers.iter().any(|(_, value)| value.to_str().unwrap().ends_with(KEY));
        assert!(pasted, "{}", provider.slug());
        for key in ["made\nup", "made\0up", "made\rup"] {
            let credential = Credential { api_key: Some(key.to_owned()), ..credential() };
            let error = provider.headers(&credential, &HeaderMap::new()).expect_err(provider.slug());
            assert!(!format!("{error} {error:?}").contains("made"), "{}: {error:?}", provider.slug());
        }
        assert!(!provider.key_variables().is_empty(), "{}", provider.slug());
    }
}

#[test]
fn model_lists_of_any_content_are_read() {
    for provider in registry::all() {
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            b"null",
            b"{\"data\":[]}",
            b"{\"data\":[{\"id\":7}]}",
            b"<html>",
            b"\xff",
        ] {
            assert_eq!(provider.read_models(body), Vec::<String>::new(), "{}", provider.slug());
        }
    }
    let google = registry::find("google").unwrap();
    let listed = google.read_models(br#"{"models":[{"name":"models/gemini-2.5-pro"}]}"#);
    assert_eq!(listed, ["gemini-2.5-pro"]);
}
