//! Hands mail to a server. Whatever the server says, only its status reaches the log: it was told the password.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tracing::warn;

use super::message::{address, mailbox, message};
use super::server::{Security, Server};
use crate::channel::{Attempt, Outlet, Parcel, Receiver};
use crate::event::{Event, Kind};
use crate::failure::{Failure, root_cause};
use crate::hidden::Hidden;
use crate::settings::{ChannelSettings, StartTls};

/// A mail server, a sender and the channel's own receivers.
pub(crate) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<lettre::Address>,
    timeout: Duration,
}

impl Mail {
    /// Checks sender and receivers.
    pub(crate) fn check_addresses(settings: &ChannelSettings) -> Result<(), String> {
        if let Some(from) = &settings.from
            && mailbox(from).is_none()
        {
            return Err("`from`: an address like `Tidegate <gateway@example.com>` is accepted".into());
        }
        match settings.to.iter().find(|to| address(to).is_none()) {
            Some(to) => Err(format!("`to`: {to:?} is not a mail address")),
            None => Ok(()),
        }
    }

    /// Makes the outlet.
    ///
    /// # Errors
    /// A sentence that shows neither server nor password.
    pub(crate) fn new(
        settings: &ChannelSettings,
        smtp: &str,
        password: Option<&Hidden>,
    ) -> Result<Self, String> {
        let server = Server::read(smtp, password.is_some(), settings.starttls)?;
        let from = settings.from.as_deref().and_then(mailbox).ok_or("kind `mail` needs `from`")?;
        let timeout = Duration::from_millis(settings.timeout_ms);
        let tls = || tls_parameters(&server.host);
        let tls = match server.security {
            Security::Tls => Tls::Wrapper(tls()?),
            Security::StartTls(StartTls::Required) => Tls::Required(tls()?),
            Security::StartTls(StartTls::Offered) => Tls::Opportunistic(tls()?),
            Security::StartTls(StartTls::Never) => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port)
            .tls(tls)
            .timeout(Some(timeout))
            .hello_name(ClientId::Domain(from.email.domain().to_owned()));
        if let (Some(user), Some(password)) = (server.user, password) {
            transport = transport.credentials(Credentials::new(user, password.reveal().to_owned()));
        }
        let to = settings.to.iter().filter_map(|to| address(to)).collect();
        Ok(Self { transport: transport.build(), from, to, timeout })
    }

    async fn hand_in(&self, parcel: &Parcel) -> Result<(), Failure> {
        let Some(to) = &parcel.to else { return Err(Failure::never("the parcel has no address")) };
        let message = message(&parcel.event, &self.from, to)?;
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Err(_) => Err(Failure::unreachable(format!("no answer within {} ms", self.timeout.as_millis()))),
            Ok(Err(error)) => Err(failure(&error)),
            Ok(Ok(_)) => Ok(()),
        }
    }
}

impl Outlet for Mail {
    fn parcels(&self, event: &Arc<Event>) -> Vec<Parcel> {
        let mut receivers: Vec<Receiver> = Vec::new();
        let mut add = |address: lettre::Address, personal: bool| {
            if !receivers.iter().any(|one| one.address == address) {
                receivers.push(Receiver { address, personal });
            }
        };
        for text in &event.recipients {
            match address(text) {
                Some(address) => add(address, true),
                None => warn!(event = %event.id, "a recipient is no mail address, and is left out"),
            }
        }
        // An invitation is for the invited alone.
        if event.kind != Kind::UserInvited {
            self.to.iter().for_each(|address| add(address.clone(), false));
        }
        receivers.into_iter().map(|to| Parcel { event: event.clone(), to: Some(to) }).collect()
    }

    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Attempt<'a> {
        Box::pin(self.hand_in(parcel))
    }
}

/// Mozilla's roots and the machine's own.
fn tls_parameters(host: &str) -> Result<TlsParameters, String> {
    let mut builder =
        TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::WebpkiRoots);
    for der in rustls_native_certs::load_native_certs().certs {
        // A machine may hold certificates that rustls cannot read; they must not take the others with them.
        let mut readable = rustls::RootCertStore::empty();
        if readable.add(der.clone()).is_ok()
            && let Ok(certificate) = Certificate::from_der(der.to_vec())
        {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|_| "`smtp`: TLS is not available for this host".to_owned())
}

/// Says what an error of the server or of the network means.
fn failure(error: &lettre::transport::smtp::Error) -> Failure {
    if let Some(status) = error.status() {
        let reason = format!("the mail server answered {status}{}", enhanced_status(&root_cause(error)));
        // 421: the server is closing down; 450 to 452 concern this message.
        return match u16::from(status) {
            421 => Failure::unreachable(reason),
            500..=599 => Failure::never(reason),
            _ => Failure::later(reason),
        };
    }
    if error.is_response() {
        return Failure::unreachable("the mail server's answer is not SMTP");
    }
    if error.is_client() {
        // Such as: encryption or the way to log in is not offered. The text is the library's own.
        return Failure::unreachable(format!("the mail server cannot be used: {}", root_cause(error)));
    }
    Failure::unreachable(format!("no connection to the mail server: {}", root_cause(error)))
}

/// Returns the code such as ` 5.1.1` that an answer begins with, the only part of it that is safe to repeat.
fn enhanced_status(answer: &str) -> String {
    let first = answer.split_whitespace().next().unwrap_or_default();
    let parts: Vec<&str> = first.split('.').collect();
    let digits =
        |part: &&str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|one| one.is_ascii_digit());
    if parts.len() == 3 && parts.iter().all(digits) { format!(" {first}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::budget_event;

    fn outlet(to: &str) -> Mail {
        let text =
            format!("name='m'\nkind='mail'\nsmtp='smtp://127.0.0.1:9'\nfrom='g@acme.example'\nto={to}");
        let settings: ChannelSettings = toml::from_str(&text).expect("settings");
        settings.check().expect("settings are accepted");
        Mail::new(&settings, "smtp://127.0.0.1:9", None).expect("an outlet")
    }

    fn receivers(outlet: &Mail, event: Event) -> Vec<(String, bool)> {
        let parcels = outlet.parcels(&Arc::new(event));
        parcels
            .iter()
            .filter_map(|one| Some((one.to.as_ref()?.address.to_string(), one.to.as_ref()?.personal)))
            .collect()
    }

    #[test]
    fn everybody_gets_one_message_and_bad_addresses_none() {
        let mut event = budget_event("e");
        event.recipients = vec!["ada@example.com".into(), "ops@acme.example".into(), "no address".into()];
        let expected = [
            ("ada@example.com".into(), true),
            ("ops@acme.example".into(), true),
            ("b@acme.example".into(), false),
        ];
        assert_eq!(receivers(&outlet("['ops@acme.example', 'b@acme.example']"), event), expected);
    }

    #[test]
    fn an_invitation_is_for_the_invited_alone() {
        let mut event = budget_event("e");
        event.kind = Kind::UserInvited;
        event.recipients = vec!["ada@example.com".into()];
        assert_eq!(receivers(&outlet("['ops@acme.example']"), event), [("ada@example.com".into(), true)]);
    }

    #[test]
    fn only_codes_of_an_answer_are_repeated() {
        assert_eq!(enhanced_status("5.1.1 unknown user"), " 5.1.1");
        for answer in ["", "hunter2 is wrong", "5.1 x", "5.1.1.1 x", "5.1.1x", "1.2.hunter"] {
            assert_eq!(enhanced_status(answer), "", "{answer}");
        }
    }
}
