//! What all rows promise, and the quirks that users have met.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderValue, header};

use super::VENDORS;
use super::vendor::Compatible;
use crate::fields::Fields;
use crate::provider::{Credential, Destination, Endpoint, Lane, Provider, Wire};

fn vendor(slug: &str) -> &'static Compatible {
    VENDORS.iter().find(|vendor| vendor.slug() == slug).unwrap_or_else(|| panic!("no row {slug}"))
}

fn to(endpoint: Endpoint, model: &str) -> Destination<'_> {
    Destination { endpoint, lane: Lane::Native, model, stream: false }
}

fn adapted(slug: &str, to: &Destination<'_>, body: &str) -> String {
    let mut fields = Fields::parse(body.as_bytes()).unwrap();
    vendor(slug).adapt(to, &mut fields);
    String::from_utf8(fields.to_vec()).unwrap()
}

fn chat_url(slug: &str, base: Option<&str>) -> String {
    let credential = Credential { base_url: base.map(str::to_owned), ..Credential::default() };
    vendor(slug).url(&credential, &to(Endpoint::Chat, "m")).unwrap()
}

#[test]
fn rows_are_sorted_and_whole() {
    let slugs: Vec<&str> = VENDORS.iter().map(Provider::slug).collect();
    assert!(slugs.is_sorted(), "{slugs:?}");
    assert_eq!(slugs.iter().collect::<BTreeSet<_>>().len(), slugs.len());
    for vendor in VENDORS {
        assert!(!vendor.offers.is_empty() && !vendor.keys.is_empty(), "{}", vendor.slug);
        assert!(!vendor.base.ends_with('/'), "{}", vendor.slug);
        let local = vendor.base.starts_with("http://127.0.0.1:");
        assert_eq!(local, vendor.key_optional(), "{}", vendor.slug);
        assert!(
            local || vendor.base.starts_with("https://") || vendor.base.starts_with('{'),
            "{}",
            vendor.slug
        );
    }
}

#[test]
fn conversations_reach_every_vendor_that_chats() {
    for vendor in VENDORS {
        let chats = vendor.offers.contains(&Endpoint::Chat);
        for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Responses, Endpoint::Messages] {
            assert_eq!(vendor.lane(endpoint, "m").is_some(), chats, "{} {endpoint:?}", vendor.slug);
        }
        assert!(vendor.lane(Endpoint::CountTokens, "m").is_none());
    }
    assert!(matches!(vendor("groq").lane(Endpoint::Messages, "m"), Some(Lane::Translate(Wire::Chat))));
    assert!(matches!(vendor("groq").lane(Endpoint::Responses, "m"), Some(Lane::Native)));
    assert!(vendor("deepseek").lane(Endpoint::Embeddings, "m").is_none());
}

#[test]
fn urls_are_the_documented_ones() {
    for (slug, url) in [
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("perplexity-ai", "https://api.perplexity.ai/chat/completions"),
        ("z-ai", "https://api.z.ai/api/paas/v4/chat/completions"),
        ("ollama", "http://127.0.0.1:11434/v1/chat/completions"),
    ] {
        assert_eq!(chat_url(slug, None), url);
    }
    let translated = Destination { lane: Lane::Translate(Wire::Chat), ..to(Endpoint::Messages, "m") };
    let url = vendor("groq").url(&Credential::default(), &translated).unwrap();
    assert_eq!(url, "https://api.groq.com/openai/v1/chat/completions");
}

#[test]
fn ollama_takes_its_address_with_and_without_version() {
    let wanted = "http://box:11434/v1/chat/completions";
    for base in ["http://box:11434", "http://box:11434/", "http://box:11434/v1", "http://box:11434/v1/"] {
        assert_eq!(chat_url("ollama", Some(base)), wanted, "{base}");
    }
    assert_eq!(chat_url("perplexity-ai", Some("https://proxy")), "https://proxy/chat/completions");
}

#[test]
fn an_account_in_the_address_must_be_given() {
    let mut credential = Credential::default();
    let error = vendor("workers-ai").url(&credential, &to(Endpoint::Chat, "m")).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("workers_ai_account_id"));
    credential.options.insert("workers_ai_account_id".into(), "abc123".into());
    let url = vendor("workers-ai").url(&credential, &to(Endpoint::Chat, "m")).unwrap();
    assert_eq!(url, "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1/chat/completions");
    credential.options.insert("databricks_workspace".into(), "ws".into());
    let url = vendor("databricks").url(&credential, &to(Endpoint::Chat, "m")).unwrap();
    assert_eq!(url, "https://ws.cloud.databricks.com/serving-endpoints/chat/completions");
    assert_eq!(vendor("databricks").default_base(), None);
}

#[test]
fn keys_are_bearers_except_where_the_vendor_differs() {
    let credential = Credential { api_key: Some("KEY".into()), ..Credential::default() };
    let headers = vendor("openai").headers(&credential, &HeaderMap::new()).unwrap();
    assert_eq!(headers, [(header::AUTHORIZATION, HeaderValue::from_static("Bearer KEY"))]);
    assert!(headers[0].1.is_sensitive());
    let headers = vendor("azure-ai").headers(&credential, &HeaderMap::new()).unwrap();
    assert_eq!(headers[0].0, "api-key");
}

#[test]
fn only_local_servers_and_own_addresses_do_without_a_key() {
    let mut credential = Credential::default();
    assert!(vendor("ollama").headers(&credential, &HeaderMap::new()).unwrap().is_empty());
    assert!(vendor("openai").headers(&credential, &HeaderMap::new()).is_err());
    credential.base_url = Some("http://127.0.0.1:9".into());
    assert!(vendor("openai").headers(&credential, &HeaderMap::new()).unwrap().is_empty());
    credential.api_key = Some("a\nb".into());
    let error = vendor("openai").headers(&credential, &HeaderMap::new()).unwrap_err();
    assert!(!error.message.contains("a\nb"));
}

#[test]
fn the_organization_of_the_operator_counts_more_than_the_clients() {
    let mut credential = Credential { api_key: Some("KEY".into()), ..Credential::default() };
    let mut inbound = HeaderMap::new();
    inbound.insert("openai-organization", HeaderValue::from_static("client"));
    inbound.insert("openai-beta", HeaderValue::from_static("assistants=v2"));
    inbound.insert("authorization", HeaderValue::from_static("Bearer gateway"));
    credential.options.insert("openai_organization".into(), "operator".into());
    let headers = vendor("openai").headers(&credential, &inbound).unwrap();
    let plain: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
    let wanted = [
        ("authorization", "Bearer KEY"),
        ("openai-organization", "operator"),
        ("openai-beta", "assistants=v2"),
    ];
    assert_eq!(plain, wanted);
    assert_eq!(vendor("groq").headers(&credential, &inbound).unwrap().len(), 1);
}

#[test]
fn a_stream_asks_for_usage_and_keeps_other_options() {
    let stream = Destination { stream: true, ..to(Endpoint::Chat, "gpt-4o") };
    let body = r#"{"stream":true,"stream_options":{"x":1}}"#;
    let wanted = r#"{"stream":true,"stream_options":{"x":1,"include_usage":true}}"#;
    assert_eq!(adapted("openai", &stream, body), wanted);
    let wanted = r#"{"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(adapted("openai", &stream, r#"{"stream":true}"#), wanted);
    assert_eq!(adapted("openai", &stream, r#"{"stream":true,"stream_options":null}"#), wanted);
    let responses = Destination { stream: true, ..to(Endpoint::Responses, "gpt-4o") };
    assert_eq!(adapted("openai", &responses, r#"{"stream":true}"#), r#"{"stream":true}"#);
}

#[test]
fn mistral_gets_only_what_it_knows() {
    let stream = Destination { stream: true, ..to(Endpoint::Chat, "mistral-large-latest") };
    let body = r#"{"max_completion_tokens":77,"max_tokens":5,"seed":7,"user":"u","stream_options":{"include_usage":true},"safe_prompt":true}"#;
    let wanted = r#"{"safe_prompt":true,"random_seed":7,"max_tokens":77}"#;
    let got = adapted("mistral-ai", &stream, body);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&got).unwrap(),
        serde_json::from_str::<serde_json::Value>(wanted).unwrap()
    );
}

#[test]
fn developers_are_system_where_the_role_is_unknown() {
    let body =
        r#"{"messages":[{"role":"developer","content":"Be brief"},{"role":"user","content":"developer"}]}"#;
    let chat = to(Endpoint::Chat, "m");
    for slug in ["groq", "mistral-ai", "ollama", "deepseek"] {
        let got = adapted(slug, &chat, body);
        assert_eq!(got, body.replacen("developer", "system", 1), "{slug}");
    }
    assert_eq!(adapted("openai", &chat, body), body);
    let untouched = r#"{"messages":[ {"role":"user","content":"a \"developer\" asks"} ]}"#;
    assert_eq!(adapted("groq", &chat, untouched), untouched);
}

#[test]
fn unknown_members_pass() {
    let body = r#"{"model":"m","min_p":0.1,"my_own":{"a": 1}}"#;
    assert_eq!(adapted("vllm", &to(Endpoint::Chat, "m"), body), body);
    assert_eq!(adapted("openai", &to(Endpoint::Embeddings, "m"), body), body);
}

#[test]
fn signatures_of_gemini_do_not_reach_openai() {
    let body = r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]}]}"#;
    assert!(!adapted("openai", &to(Endpoint::Chat, "gpt-4o"), body).contains("extra_content"));
    assert_eq!(adapted("openrouter", &to(Endpoint::Chat, "google/gemini-3"), body), body);
}

#[test]
fn effort_of_a_translated_call_is_kept_from_models_that_do_not_reason() {
    let translated =
        |model| Destination { lane: Lane::Translate(Wire::Chat), ..to(Endpoint::Messages, model) };
    let body = r#"{"reasoning_effort":"high"}"#;
    assert_eq!(adapted("openai", &translated("gpt-4o"), body), "{}");
    assert_eq!(adapted("openai", &translated("gpt-5"), body), body);
    assert_eq!(adapted("openrouter", &translated("anthropic/claude-sonnet-4.5"), body), body);
    assert_eq!(adapted("openai", &to(Endpoint::Chat, "gpt-4o"), body), body);
}
