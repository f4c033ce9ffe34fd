//! What a `postgres://` URL says. Its text, which holds a password, never gets into an error.

use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::tls::{Tls, Trust};
use crate::store::StoreError;

/// Longest wait for a connection, where the URL does not say.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A server that vanished without a word is noticed after this.
const SILENCE: Duration = Duration::from_secs(30);

/// Where the database is and how it is reached.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: Tls,
}

fn refuse(reason: impl std::fmt::Display) -> StoreError {
    StoreError::Database(format!("the URL of PostgreSQL: {reason}"))
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(refuse("it must begin with postgres://"));
        }
        let (place, query) = url.split_once('?').unwrap_or((url, ""));
        // The client knows neither `verify-full` nor files of roots.
        let (mut trust, mut root_file, mut rest) = (Trust::Anyone, None, Vec::new());
        let mut mode = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => {
                    mode = Some(match value {
                        "disable" => SslMode::Disable,
                        "prefer" => SslMode::Prefer,
                        "require" => SslMode::Require,
                        "verify-full" => {
                            trust = Trust::Verified;
                            SslMode::Require
                        }
                        _ => return Err(refuse("sslmode must be disable, prefer, require or verify-full")),
                    });
                }
                Some(("sslrootcert", value)) => root_file = Some(unescape(value)?),
                _ => rest.push(pair),
            }
        }
        let mut config: Config = format!("{place}?{}", rest.join("&")).parse().map_err(parse_error)?;
        if let Some(mode) = mode {
            config.ssl_mode(mode);
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refuse("it names no host; a Unix socket is postgres:///name?host=/folder"));
        }
        // As in libpq: nobody listens in on a socket of this machine.
        if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
            config.ssl_mode(SslMode::Disable);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        if config.get_application_name().is_none() {
            config.application_name("tidegate");
        }
        config.keepalives_idle(SILENCE).tcp_user_timeout(SILENCE);
        let tls = Tls::new(trust, root_file.as_deref())?;
        Ok(Self { config, tls })
    }
}

/// The client's words name the option or part that is wrong, and nothing of its value.
fn parse_error(error: tokio_postgres::Error) -> StoreError {
    match std::error::Error::source(&error) {
        Some(source) if source.to_string().starts_with("unknown option") => {
            refuse("it has an unknown option")
        }
        Some(source) if source.to_string().starts_with("invalid value") => refuse(source),
        _ => refuse("it can't be read; a password's @ : / ? # % are written like %40"),
    }
}

fn unescape(value: &str) -> Result<String, StoreError> {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(refuse("sslrootcert has a % without two digits"));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
    }
    String::from_utf8(bytes).map_err(|_| refuse("sslrootcert is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: &str) -> String {
        Target::parse(url).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn no_error_shows_the_password() {
        for url in [
            "postgres://u:geheim@host:port/db",
            "postgres://u:geheim@host/db?sslmode=maybe",
            "postgres://u:ge/heim@host/db?what=geheim",
            "postgres://u:geheim@/db",
            "mysql://u:geheim@host/db",
            "postgres://u:geheim@host/db?connect_timeout=geheim",
        ] {
            let said = said(url);
            assert!(said.starts_with("database: the URL of PostgreSQL: "), "{url}: {said}");
            assert!(!said.contains("heim"), "{url}: {said}");
        }
    }

    #[test]
    fn every_mode_of_tls_is_read() {
        for (mode, expected) in [
            ("?sslmode=disable", SslMode::Disable),
            ("?sslmode=prefer", SslMode::Prefer),
            ("?sslmode=require", SslMode::Require),
            ("?sslmode=verify-full&connect_timeout=3", SslMode::Require),
            ("", SslMode::Prefer),
        ] {
            let target = Target::parse(&format!("postgresql://u@host/db{mode}")).unwrap();
            assert_eq!(target.config.get_ssl_mode(), expected, "{mode}");
        }
    }
}
