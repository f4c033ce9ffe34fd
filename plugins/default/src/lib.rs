//! The checks that Portkey calls `default.*`, with its parameters, defaults and result data.
//!
//! A false verdict is a failed one, never a block: what follows is the attachment's business. Text checks look at the
//! last message or the first choice, as Portkey's do; `"messages": "all"` makes them look at everything. `webhook`,
//! `log`, `validUrls`, `jwt` and `inlineImageUrls` reach out through granted powers only.

mod judged;
mod remote;
mod request;
#[cfg(test)]
mod tests;
mod text;

use tidegate_plugin_sdk::{
    CheckError, CheckInfo, Manifest, Params, Plugin, StreamWindow, Subject, WindowAnswer, WindowNeeds,
};

use judged::Judged;
use remote::{images, jwt, urls, webhook};
use request::{metadata, models, parameters, prefix, types};
use text::{code, contains, counts, json_keys, json_schema, letters, regex_match, regex_replace};

/// The plugin.
#[derive(Debug)]
pub struct Default;

impl Plugin for Default {
    fn manifest() -> Manifest {
        let check = |name: &str, schema: &str| CheckInfo::new(name).params(schema);
        // What each is shown is all that it looks at: the rest costs a request time, and is nobody's business.
        let texts = |name: &str, schema: &str| check(name, schema).sees(&[]);
        Manifest::new("default", env!("CARGO_PKG_VERSION"))
            .check(texts("contains", contains::SCHEMA).streams())
            .check(texts("regexMatch", regex_match::SCHEMA).streams())
            .check(texts("regexReplace", regex_replace::SCHEMA).streams().mutates())
            .check(texts("sentenceCount", &counts::schema("Sentences", 99_999)))
            .check(texts("wordCount", &counts::schema("Words", 99_999)))
            .check(texts("characterCount", &counts::schema("Characters", 9_999_999)))
            .check(texts("alluppercase", letters::NOT_SCHEMA))
            .check(texts("alllowercase", letters::NOT_SCHEMA))
            .check(texts("endsWith", letters::SUFFIX_SCHEMA))
            .check(texts("notNull", letters::NOT_SCHEMA))
            .check(texts("containsCode", code::SCHEMA))
            .check(texts("jsonKeys", json_keys::SCHEMA))
            .check(texts("jsonSchema", json_schema::SCHEMA))
            .check(texts("modelWhitelist", models::WHITELIST_SCHEMA).input_only())
            .check(texts("modelwhitelist", models::WHITELIST_SCHEMA).input_only())
            .check(check("modelRules", models::RULES_SCHEMA).input_only().sees(&["metadata"]))
            .check(check("requiredMetadataKeys", metadata::KEYS_SCHEMA).input_only().sees(&["metadata"]))
            .check(
                check("requiredMetadataKeyValuePairs", metadata::PAIRS_SCHEMA)
                    .input_only()
                    .sees(&["metadata"]),
            )
            .check(check("allowedRequestTypes", types::SCHEMA).input_only().sees(&["metadata"]))
            .check(check("requestParametersCheck", parameters::SCHEMA).input_only().sees(&["body", "params"]))
            .check(check("addPrefix", prefix::SCHEMA).input_only().mutates().sees(&["body"]))
            .check(texts("validUrls", urls::SCHEMA))
            .check(check("webhook", webhook::WEBHOOK_SCHEMA).mutates())
            .check(check("log", webhook::LOG_SCHEMA))
            .check(check("jwt", jwt::SCHEMA).input_only().sees(&["header:*"]))
            .check(check("inlineImageUrls", images::SCHEMA).input_only().mutates().sees(&["body"]))
            .wants("messages")
            .wants("params")
            .wants("metadata")
            .wants("body")
            .wants("header:*")
            .wants("http?")
            .wants("kv?")
    }

    fn check(check: &str, params: &Params, subject: &Subject) -> Judged {
        match check {
            "contains" => contains::check(params, subject),
            "regexMatch" => regex_match::check(params, subject),
            "regexReplace" => regex_replace::check(params, subject),
            "sentenceCount" => counts::sentences(params, subject),
            "wordCount" => counts::words(params, subject),
            "characterCount" => counts::characters(params, subject),
            "alluppercase" => letters::uppercase(params, subject),
            "alllowercase" => letters::lowercase(params, subject),
            "endsWith" => letters::ends_with(params, subject),
            "notNull" => letters::not_null(params, subject),
            "containsCode" => code::check(params, subject),
            "jsonKeys" => json_keys::check(params, subject),
            "jsonSchema" => json_schema::check(params, subject),
            // Portkey's manifest and registry disagree on this name.
            "modelWhitelist" | "modelwhitelist" => models::whitelist(params, subject),
            "modelRules" => models::rules(params, subject),
            "requiredMetadataKeys" => metadata::keys(params, subject),
            "requiredMetadataKeyValuePairs" => metadata::pairs(params, subject),
            "allowedRequestTypes" => types::check(params, subject),
            "requestParametersCheck" => parameters::check(params, subject),
            "addPrefix" => prefix::check(params, subject),
            "validUrls" => urls::check(params, subject),
            "webhook" => webhook::webhook(params, subject),
            "log" => webhook::log(params, subject),
            "jwt" => jwt::check(params, subject),
            "inlineImageUrls" => images::check(params, subject),
            other => Err(CheckError::unknown(other)),
        }
    }

    fn needs(check: &str, params: &Params) -> Result<WindowNeeds, CheckError> {
        match check {
            "contains" => contains::needs(params),
            "regexMatch" => regex_match::needs(params),
            "regexReplace" => regex_replace::needs(params),
            other => Err(CheckError::unknown(other)),
        }
    }

    fn window(check: &str, params: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
        match check {
            "contains" => contains::window(params, window),
            "regexMatch" => regex_match::window(params, window),
            "regexReplace" => regex_replace::window(params, window),
            other => Err(CheckError::unknown(other)),
        }
    }
}

tidegate_plugin_sdk::register!(Default);
