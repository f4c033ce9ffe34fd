//! Mail servers as the settings write them: `smtp://user@host:587` or `smtps://user@host`.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;

use crate::settings::StartTls;

/// Where mail is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: Option<String>,
    pub(crate) security: Security,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// From the first byte.
    Tls,
    /// After a greeting.
    StartTls(StartTls),
}

impl Server {
    /// Reads a server. `password` says whether one will be sent, `starttls` what the operator wants.
    ///
    /// # Errors
    /// A sentence that does not repeat the text.
    pub(crate) fn read(text: &str, password: bool, starttls: Option<StartTls>) -> Result<Self, String> {
        let accepted = "`smtp`: smtp://user@host:port or smtps://user@host:port is accepted";
        let (scheme, rest) = text.split_once("://").ok_or(accepted)?;
        let tls = match scheme {
            "smtp" => false,
            "smtps" => true,
            _ => return Err(accepted.into()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("`smtp`: the password belongs in `password`".into());
        }
        let (host, port) = host_and_port(place, if tls { 465 } else { 25 }).ok_or(accepted)?;
        let user = user.map(|user| percent_decode_str(user).decode_utf8_lossy().into_owned());
        if user.is_some() != password {
            return Err("a user in `smtp` and a `password` go together".into());
        }
        let security = match (tls, starttls) {
            (true, None) => Security::Tls,
            (true, Some(_)) => return Err("`starttls`: smtps:// is always encrypted".into()),
            (false, Some(StartTls::Required)) => Security::StartTls(StartTls::Required),
            (false, Some(other)) if password && !is_loopback(&host) => {
                let other = if other == StartTls::Never { "never" } else { "offered" };
                return Err(format!(
                    "`starttls`: {other} would send the password unencrypted over a network"
                ));
            }
            (false, Some(other)) => Security::StartTls(other),
            (false, None) if password && !is_loopback(&host) => Security::StartTls(StartTls::Required),
            (false, None) => Security::StartTls(StartTls::Offered),
        };
        Ok(Self { host, port, user, security })
    }
}

fn host_and_port(place: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let port = port.map_or(Ok(default), str::parse).ok().filter(|port| *port != 0)?;
    let letters = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(letters)).then(|| (host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, password: bool) -> Result<Server, String> {
        Server::read(text, password, None)
    }

    #[test]
    fn ports_follow_the_scheme() {
        let server = read("smtps://bot%40acme.example@mail.acme.example", true).expect("a server");
        assert_eq!((server.host.as_str(), server.port), ("mail.acme.example", 465));
        assert_eq!(server.user.as_deref(), Some("bot@acme.example"));
        assert_eq!(server.security, Security::Tls);
        assert_eq!(read("smtp://mail.acme.example", false).expect("a server").port, 25);
        assert_eq!(read("smtp://bot@acme.example@mail:587", true).expect("a server").port, 587);
        assert_eq!(read("smtp://[::1]:2525/", false).expect("a server").host, "::1");
    }

    #[test]
    fn a_password_is_never_sent_unencrypted_over_a_network() {
        let server = read("smtp://bot@mail.acme.example:587", true).expect("a server");
        assert_eq!(server.security, Security::StartTls(StartTls::Required));
        for starttls in [StartTls::Offered, StartTls::Never] {
            let reason =
                Server::read("smtp://bot@mail.acme.example", true, Some(starttls)).expect_err("refused");
            assert!(reason.contains("unencrypted"), "{reason}");
            assert!(Server::read("smtp://bot@127.0.0.1", true, Some(starttls)).is_ok());
            assert!(Server::read("smtp://mail.acme.example", false, Some(starttls)).is_ok());
        }
    }

    #[test]
    fn what_is_no_server_is_refused_and_not_repeated() {
        let places = [
            "",
            "mail",
            "http://mail",
            "smtp://",
            "smtp://mail:x",
            "smtp://mail:0",
            "smtp://a b",
            "smtp://[x]",
        ];
        for text in places {
            assert!(read(text, false).is_err(), "{text}");
        }
        let reason = read("smtp://bot:hunter2@mail", true).expect_err("refused");
        assert!(reason.contains("`password`") && !reason.contains("hunter2"), "{reason}");
        assert!(read("smtp://bot@mail", false).is_err());
        assert!(read("smtp://mail", true).is_err());
    }
}
