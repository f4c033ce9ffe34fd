//! Channels as the settings file writes them: `[[notify]]`.
//!
//! `url`, `secret`, `smtp` and `password` may be references (`env:NAME`, `file:PATH`): the caller resolves them when a
//! channel is made. They are never shown: the URL of a Slack channel is its key.

use std::sync::Arc;

use serde::Deserialize;

use crate::channel::{Channel, Outlet};
use crate::event::Kind;
use crate::filter::Filter;
use crate::hidden::Hidden;
use crate::mail::Mail;
use crate::slack::Slack;
use crate::webhook::Webhook;

/// Receivers get this long for one attempt.
const DEFAULT_TIMEOUT_MS: u64 = 10_000;

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// Name, for logs and metrics.
    pub name: String,
    /// Where it leads.
    pub kind: ChannelKind,
    /// Where a webhook or Slack-compatible channel posts to.
    #[serde(default)]
    pub url: Option<Hidden>,
    /// What a webhook is signed with: `whsec_…`; two of them, with a space between, while it is being changed.
    #[serde(default)]
    pub secret: Option<Hidden>,
    /// Which events, as patterns like `budget.*`; all if empty.
    #[serde(default)]
    pub events: Vec<String>,
    /// Only events of these workspaces; of all, and of none, if empty.
    #[serde(default)]
    pub workspaces: Vec<String>,
    /// Mail server: `smtp://user@host:587` or `smtps://user@host`.
    #[serde(default)]
    pub smtp: Option<Hidden>,
    /// Password of the user in `smtp`.
    #[serde(default)]
    pub password: Option<Hidden>,
    /// Whether `smtp://` is encrypted. By default it must be where a password is sent over a network.
    #[serde(default)]
    pub starttls: Option<StartTls>,
    /// Sender of mail.
    #[serde(default)]
    pub from: Option<String>,
    /// Receivers of mail, besides the recipients of an event.
    #[serde(default)]
    pub to: Vec<String>,
    /// Deadline of one attempt.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

/// Where a channel leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    /// Signed JSON over HTTP.
    Webhook,
    /// Slack, Mattermost and what else takes its messages.
    Slack,
    /// Mail over SMTP.
    Mail,
}

impl ChannelKind {
    /// Returns the name that settings use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChannelKind::Webhook => "webhook",
            ChannelKind::Slack => "slack",
            ChannelKind::Mail => "mail",
        }
    }
}

/// Whether a connection to port 25 or 587 is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartTls {
    /// Without encryption nothing is sent.
    Required,
    /// Encrypted if the server offers it.
    Offered,
    /// Never encrypted.
    Never,
}

fn default_timeout() -> u64 {
    DEFAULT_TIMEOUT_MS
}

impl ChannelSettings {
    /// Checks what can be checked without secrets.
    ///
    /// # Errors
    /// A sentence that names the channel and what is accepted, and shows no secret.
    pub fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > 64 || self.name.contains(char::is_control) {
            return Err("notify: `name` has 1 to 64 characters".into());
        }
        self.check_fields().map_err(|reason| self.sentence(&reason))
    }

    /// Makes the channel. `resolve` turns a reference into the secret it stands for.
    ///
    /// # Errors
    /// A sentence that names the channel and what is accepted, and shows no secret.
    pub fn build(&self, resolve: &dyn Fn(&str) -> Result<String, String>) -> Result<Channel, String> {
        self.check()?;
        let resolved = |field: &str, reference: &Option<Hidden>| match reference {
            None => Ok(None),
            Some(reference) => match resolve(reference.reveal()) {
                Ok(text) => Ok(Some(Hidden::new(text.trim()))),
                Err(reason) => Err(self.sentence(&format!("{field}: {reason}"))),
            },
        };
        let url = resolved("url", &self.url)?.unwrap_or_default();
        let filter = Filter::new(self.events.clone(), self.workspaces.clone());
        let outlet: Result<Arc<dyn Outlet>, String> = match self.kind {
            ChannelKind::Webhook => {
                let secret = resolved("secret", &self.secret)?.unwrap_or_default();
                let made = Webhook::new(url.reveal(), secret.reveal(), self.timeout_ms);
                made.map(|outlet| Arc::new(outlet) as Arc<dyn Outlet>)
            }
            ChannelKind::Slack => {
                Slack::new(url.reveal(), self.timeout_ms).map(|outlet| Arc::new(outlet) as Arc<dyn Outlet>)
            }
            ChannelKind::Mail => {
                let smtp = resolved("smtp", &self.smtp)?.unwrap_or_default();
                let password = resolved("password", &self.password)?;
                let made = Mail::new(self, smtp.reveal(), password.as_ref());
                made.map(|outlet| Arc::new(outlet) as Arc<dyn Outlet>)
            }
        };
        let outlet = outlet.map_err(|reason| self.sentence(&reason))?;
        Ok(Channel::new(self.name.clone(), self.kind, filter, outlet))
    }

    fn sentence(&self, reason: &str) -> String {
        format!("notify \"{}\": {reason}", self.name)
    }

    fn check_fields(&self) -> Result<(), String> {
        if !(100..=60_000).contains(&self.timeout_ms) {
            return Err("`timeout_ms`: 100 to 60000 are accepted".into());
        }
        for pattern in &self.events {
            if !Kind::ALL.iter().any(|kind| Filter::matches(pattern, kind.as_str())) {
                let known = Kind::ALL.map(Kind::as_str).join(", ");
                return Err(format!("`events`: no event is called `{pattern}`; there are {known}"));
            }
        }
        let mail = self.kind == ChannelKind::Mail;
        let given = [
            ("url", self.url.is_some(), !mail),
            ("secret", self.secret.is_some(), self.kind == ChannelKind::Webhook),
            ("smtp", self.smtp.is_some(), mail),
            ("from", self.from.is_some(), mail),
            ("password", self.password.is_some(), mail),
            ("starttls", self.starttls.is_some(), mail),
            ("to", !self.to.is_empty(), mail),
        ];
        let kind = self.kind.as_str();
        for (field, given, wanted) in given {
            if given && !wanted {
                return Err(format!("kind `{kind}` takes no `{field}`"));
            }
            let optional = matches!(field, "password" | "starttls" | "to");
            if wanted && !given && !optional {
                return Err(format!("kind `{kind}` needs `{field}`"));
            }
        }
        Mail::check_addresses(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ChannelSettings {
        toml::from_str(text).expect("settings")
    }

    fn refused(text: &str) -> String {
        read(text).build(&|reference| Ok(reference.to_owned())).expect_err("a refusal")
    }

    const WEBHOOK: &str = r#"
        name = "ops"
        kind = "webhook"
        url = "https://hooks.example/T0KEN"
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    "#;

    #[test]
    fn a_webhook_is_made_and_shows_no_secret() {
        let settings = read(WEBHOOK);
        let channel = settings.build(&|reference| Ok(reference.to_owned())).expect("a channel");
        for shown in [format!("{settings:?}"), format!("{channel:?}")] {
            assert!(!shown.contains("MfKQ") && !shown.contains("T0KEN"), "{shown}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error =
            toml::from_str::<ChannelSettings>(&format!("{WEBHOOK}\ncolour = 1")).expect_err("refused");
        assert!(error.to_string().contains("colour"), "{error}");
    }

    #[test]
    fn missing_and_foreign_fields_are_named() {
        assert_eq!(refused("name='a'\nkind='slack'"), "notify \"a\": kind `slack` needs `url`");
        assert_eq!(
            refused("name='a'\nkind='slack'\nurl='https://x.example'\nsecret='x'"),
            "notify \"a\": kind `slack` takes no `secret`"
        );
        assert_eq!(
            refused("name='a'\nkind='mail'\nfrom='a@b.example'"),
            "notify \"a\": kind `mail` needs `smtp`"
        );
    }

    #[test]
    fn a_pattern_that_matches_no_event_is_refused() {
        let reason = refused(&format!("{WEBHOOK}\nevents = ['budgets.*']"));
        assert!(reason.contains("no event is called `budgets.*`"), "{reason}");
        assert!(reason.contains("budget.threshold"), "{reason}");
    }

    #[test]
    fn a_bad_secret_or_url_is_refused_and_not_repeated() {
        let reason = refused(&WEBHOOK.replace("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hunter2-hunter2"));
        assert!(reason.contains("whsec_") && !reason.contains("hunter2"), "{reason}");
        let reason = refused(&WEBHOOK.replace("https://hooks.example/T0KEN", "ftp://hooks.example/T0KEN"));
        assert!(reason.contains("http://") && !reason.contains("T0KEN"), "{reason}");
    }

    #[test]
    fn what_the_resolver_says_is_passed_on() {
        let reason = read(WEBHOOK).build(&|_| Err("environment variable X is not set".into())).err();
        assert_eq!(reason.as_deref(), Some("notify \"ops\": url: environment variable X is not set"));
    }
}
