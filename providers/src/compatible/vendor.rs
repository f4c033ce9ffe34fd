//! A row of the table, and the one [`Provider`] behind all rows.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::adapt::adapt;
use super::base::{fill, header_value, http_url, placeholders, with_version};
use super::quirks::Quirks;
use crate::error::InvalidCall;
use crate::fields::Fields;
use crate::provider::{Credential, Destination, Endpoint, Lane, Provider, Wire};

/// A vendor that speaks OpenAI's wire.
#[derive(Clone, Copy, Debug)]
pub struct Compatible {
    pub(super) slug: &'static str,
    /// Base URL; placeholders in braces are filled from the credential. Empty: each user has an own.
    pub(super) base: &'static str,
    pub(super) keys: &'static [&'static str],
    /// Endpoints that the vendor offers in OpenAI's format.
    pub(super) offers: &'static [Endpoint],
    pub(super) quirks: Quirks,
    /// Header of the key, where it is not `Authorization: Bearer`.
    pub(super) key_header: Option<&'static str>,
    /// Top-level members of chat and completions bodies that the vendor refuses.
    pub(super) drops: &'static [&'static str],
    /// Headers of the client that are the vendor's business; each may also come as an option in snake case.
    pub(super) forwards: &'static [&'static str],
}

impl Compatible {
    pub(super) const fn new(
        slug: &'static str,
        base: &'static str,
        keys: &'static [&'static str],
        offers: &'static [Endpoint],
    ) -> Self {
        let (drops, forwards): (&[&str], &[&str]) = (&[], &[]);
        Self { slug, base, keys, offers, quirks: Quirks::NONE, key_header: None, drops, forwards }
    }

    pub(super) const fn quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = self.quirks.and(quirks);
        self
    }

    pub(super) const fn key_header(mut self, name: &'static str) -> Self {
        self.key_header = Some(name);
        self
    }

    pub(super) const fn drops(mut self, members: &'static [&'static str]) -> Self {
        self.drops = members;
        self
    }

    pub(super) const fn forwards(mut self, headers: &'static [&'static str]) -> Self {
        self.forwards = headers;
        self
    }

    fn own_base(&self, credential: &Credential) -> Result<String, InvalidCall> {
        match &credential.base_url {
            Some(url) => {
                let url = http_url(url, "base_url")?;
                let bare = self.quirks.has(Quirks::BARE_HOST);
                if bare {
                    return Ok(with_version(url));
                }
                // Room for a path.
                let mut own = String::with_capacity(url.len() + 32);
                own.push_str(url);
                Ok(own)
            }
            None if self.base.is_empty() => {
                let message = format!("{} has no address of its own; set its base_url", self.slug);
                Err(InvalidCall::at("base_url", message))
            }
            None => fill(self.base, self.slug, credential),
        }
    }
}

impl Provider for Compatible {
    fn slug(&self) -> &'static str {
        self.slug
    }

    fn default_base(&self) -> Option<&'static str> {
        (!self.base.is_empty() && !self.base.contains('{')).then_some(self.base)
    }

    fn key_variables(&self) -> &'static [&'static str] {
        self.keys
    }

    fn key_optional(&self) -> bool {
        self.quirks.has(Quirks::NO_KEY)
    }

    fn options(&self) -> Vec<Cow<'static, str>> {
        let headers = self.forwards.iter().map(|name| name.replace('-', "_").into());
        placeholders(self.base).map(Cow::Borrowed).chain(headers).collect()
    }

    fn lane(&self, endpoint: Endpoint, _model: &str) -> Option<Lane> {
        if self.offers.contains(&endpoint) {
            return Some(Lane::Native);
        }
        let chats = self.offers.contains(&Endpoint::Chat);
        (chats && endpoint.wire().is_some()).then_some(Lane::Translate(Wire::Chat))
    }

    fn url(&self, credential: &Credential, to: &Destination<'_>) -> Result<String, InvalidCall> {
        let mut url = self.own_base(credential)?;
        let translated = matches!(to.lane, Lane::Translate(_));
        url.push_str(if translated { Endpoint::Chat.path() } else { to.endpoint.path() });
        Ok(url)
    }

    fn base(&self, credential: &Credential) -> Result<String, InvalidCall> {
        self.own_base(credential)
    }

    fn models_url(&self, credential: &Credential) -> Option<String> {
        if self.quirks.has(Quirks::NO_MODEL_LIST) {
            return None;
        }
        self.own_base(credential).ok().map(|base| base + "/models")
    }

    fn headers(
        &self,
        credential: &Credential,
        inbound: &HeaderMap,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidCall> {
        let mut headers = Vec::with_capacity(1 + self.forwards.len());
        let key = credential.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        match (key, self.key_header) {
            (Some(key), None) => {
                headers.push((header::AUTHORIZATION, header_value(&format!("Bearer {key}"), "api_key")?));
            }
            (Some(key), Some(name)) => {
                headers.push((HeaderName::from_static(name), header_value(key, "api_key")?));
            }
            // Behind an address of the user's own anything may listen, also what wants no key.
            (None, _) if self.key_optional() || credential.base_url.is_some() => {}
            (None, _) => return Err(InvalidCall::at("api_key", format!("{} needs an API key", self.slug))),
        }
        for name in self.forwards {
            // The operator's word, in the credential, counts more than the client's.
            let own = (!credential.options.is_empty()).then(|| name.replace('-', "_"));
            let value = match own.and_then(|own| credential.option(&own)) {
                Some(text) => Some(HeaderValue::from_str(text.trim()).map_err(|_| {
                    InvalidCall::at(*name, format!("`{name}` holds characters that no header can carry"))
                })?),
                None => inbound.get(*name).cloned(),
            };
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                headers.push((HeaderName::from_static(name), value));
            }
        }
        Ok(headers)
    }

    fn adapt(&self, to: &Destination<'_>, body: &mut Fields<'_>) {
        adapt(self, to, body);
    }
}
