//! Where secrets lie outside the gateway: environment variables, files, HashiCorp Vault.
//!
//! Whoever may write references is no operator of the node: variables and files are read only where the settings allow
//! it, and Vault is asked at public addresses and trusted hosts only. Errors never hold what was read.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use thiserror::Error;

use super::Bad;
use crate::settings::{Secret, Settings};
use crate::upstream::address::check_custom_host;
use crate::upstream::address::is_trusted;
use crate::upstream::{Client, ConnectFailure};

/// Bytes of a secret.
const LARGEST: usize = 256 << 10;
/// Requests with these secrets wait for it when they are new.
const PATIENCE: Duration = Duration::from_secs(5);
/// Kinds of wells that can be read.
const KINDS: &str = "env, file and hashicorp_vault";

/// Why a secret can't be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Unread(String);

impl Unread {
    /// Makes one. The message must not hold what was read.
    pub(super) fn new(message: String) -> Self {
        Self(message)
    }
}

/// What reading needs of the node.
#[derive(Clone, Copy)]
pub struct Wells<'a> {
    /// The settings in force.
    pub settings: &'a Settings,
    /// Asks Vault.
    pub client: &'a Client,
}

/// Where one secret lies.
#[derive(Clone, Debug)]
pub enum Well {
    /// In a variable of the node's environment.
    Variable(String),
    /// In a file of the node.
    File {
        /// The folder that the operator allows.
        folder: PathBuf,
        /// The file.
        path: PathBuf,
    },
    /// In HashiCorp Vault.
    Vault(Box<Vault>),
}

/// A secret in HashiCorp Vault.
#[derive(Clone, Debug)]
pub struct Vault {
    address: String,
    trusted: bool,
    path: String,
    namespace: Option<String>,
    login: Login,
}

#[derive(Clone, Debug)]
enum Login {
    Token(Secret),
    AppRole { role_id: String, secret_id: Secret, mount: String },
}

impl Well {
    /// Reads a reference: its kind, its path, and how to log in.
    ///
    /// # Errors
    /// [`Bad`] with the member and what is accepted.
    pub fn of(manager: &str, auth: &Value, path: &str, settings: &Settings) -> Result<Self, Bad> {
        match manager {
            "env" => {
                let Some(prefix) = settings.secret_env_prefix.as_deref().filter(|it| !it.is_empty()) else {
                    let message = "env needs security.secret_env_prefix in the gateway's settings";
                    return Err(Bad::new("manager_type", message));
                };
                if !path.starts_with(prefix) || path.contains(['=', '\0']) {
                    return Err(Bad::new(
                        "secret_path",
                        format!("a variable that begins with {prefix} is expected"),
                    ));
                }
                Ok(Self::Variable(path.to_owned()))
            }
            "file" => {
                let Some(folder) = &settings.secret_dir else {
                    let message = "file needs security.secret_dir in the gateway's settings";
                    return Err(Bad::new("manager_type", message));
                };
                let inner = Path::new(path);
                let is_plain = inner.components().all(|part| matches!(part, Component::Normal(_)));
                if path.is_empty() || !is_plain || path.contains('\0') {
                    let message =
                        "a path inside security.secret_dir is expected, without .. and no leading slash";
                    return Err(Bad::new("secret_path", message));
                }
                Ok(Self::File { folder: folder.clone(), path: folder.join(inner) })
            }
            "hashicorp_vault" => Ok(Self::Vault(Box::new(Vault::of(auth, path, settings)?))),
            "aws_sm" | "azure_kv" => {
                Err(Bad::new("manager_type", format!("{manager} is not supported here; {KINDS} are")))
            }
            _ => Err(Bad::new("manager_type", format!("{KINDS} are supported"))),
        }
    }

    /// Reads the secret. Of Vault it is the JSON object of its members.
    ///
    /// # Errors
    /// [`Unread`]
    pub async fn read(&self, wells: &Wells<'_>) -> Result<Secret, Unread> {
        let text = match self {
            Self::Variable(name) => {
                std::env::var(name).map_err(|_| Unread(format!("environment variable {name} is not set")))?
            }
            Self::File { folder, path } => {
                let (folder, path) = (folder.clone(), path.clone());
                let read = tokio::task::spawn_blocking(move || read_file(&folder, &path));
                read.await.map_err(|_| Unread("the read was broken off".to_owned()))??
            }
            Self::Vault(vault) => {
                let asked = tokio::time::timeout(PATIENCE, vault.read(wells.client));
                asked.await.map_err(|_| Unread(format!("no answer within {} s", PATIENCE.as_secs())))??
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(Unread("it is empty".to_owned()));
        }
        Ok(Secret::new(text))
    }
}

/// Reads a file that is still in the folder when all its links are followed.
fn read_file(folder: &Path, path: &Path) -> Result<String, Unread> {
    let unread = |error: std::io::Error| Unread(format!("the file can't be read: {error}"));
    let (folder, path) = (folder.canonicalize().map_err(unread)?, path.canonicalize().map_err(unread)?);
    if !path.starts_with(&folder) {
        return Err(Unread("the file is a link out of security.secret_dir".to_owned()));
    }
    let size = std::fs::metadata(&path).map_err(unread)?;
    if !size.is_file() || size.len() > LARGEST as u64 {
        return Err(Unread(format!("a file of at most {LARGEST} bytes is expected")));
    }
    std::fs::read_to_string(&path).map_err(unread)
}

impl Vault {
    fn of(auth: &Value, path: &str, settings: &Settings) -> Result<Self, Bad> {
        let text = |name: &str| auth[name].as_str().map(str::trim).filter(|text| !text.is_empty());
        let needed = |name: &str| {
            text(name)
                .ok_or_else(|| Bad::new(format!("auth_config.{name}"), "is missing; a text is expected"))
        };
        let address = needed("vault_addr")?.trim_end_matches('/').to_owned();
        let trusted = is_trusted(&settings.trusted_hosts, &address);
        check_custom_host(&address, trusted).map_err(|reason| Bad::new("auth_config.vault_addr", reason))?;
        let login = match text("vault_auth_type").unwrap_or("token") {
            "token" => Login::Token(Secret::new(needed("vault_token")?)),
            "approle" => Login::AppRole {
                role_id: needed("vault_role_id")?.to_owned(),
                secret_id: Secret::new(needed("vault_secret_id")?),
                mount: plain(
                    text("vault_approle_mount").unwrap_or("approle"),
                    "auth_config.vault_approle_mount",
                )?,
            },
            _ => return Err(Bad::new("auth_config.vault_auth_type", "token and approle are supported")),
        };
        let version = match &auth["kv_version"] {
            Value::Null => 2,
            given => given.as_u64().or_else(|| given.as_str()?.parse().ok()).unwrap_or(0),
        };
        let path = plain(path, "secret_path")?;
        let path = match (version, path.split_once('/')) {
            (1, Some(_)) => path,
            (2, Some((_, inner))) if inner.starts_with("data/") => path,
            (2, Some((mount, inner))) => format!("{mount}/data/{inner}"),
            (1 | 2, None) => return Err(Bad::new("secret_path", "mount/path is expected")),
            _ => return Err(Bad::new("auth_config.kv_version", "1 or 2 is expected")),
        };
        Ok(Self { address, trusted, path, namespace: text("vault_namespace").map(str::to_owned), login })
    }

    async fn read(&self, client: &Client) -> Result<String, Unread> {
        let token = match &self.login {
            Login::Token(token) => token.clone(),
            Login::AppRole { role_id, secret_id, mount } => {
                let body = json!({"role_id": role_id, "secret_id": secret_id.reveal()});
                let path = format!("auth/{mount}/login");
                let answer = self.ask(client, Method::POST, &path, None, body.to_string()).await?;
                let token = answer["auth"]["client_token"].as_str();
                Secret::new(token.ok_or_else(|| Unread("Vault's login gave no token".to_owned()))?)
            }
        };
        let answer = self.ask(client, Method::GET, &self.path, Some(&token), String::new()).await?;
        // Version 2 of the engine wraps the members once more, beside their metadata.
        let data = &answer["data"];
        let members =
            if data["metadata"].is_object() && !data["data"].is_null() { &data["data"] } else { data };
        if members.is_object() {
            return Ok(members.to_string());
        }
        Err(Unread("Vault has no secret there".to_owned()))
    }

    async fn ask(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        token: Option<&Secret>,
        body: String,
    ) -> Result<Value, Unread> {
        let mut building = Request::builder().method(method).uri(format!("{}/v1/{path}", self.address));
        if let Some(token) = token {
            building = building.header("x-vault-token", token.reveal());
        }
        if let Some(namespace) = &self.namespace {
            building = building.header("x-vault-namespace", namespace);
        }
        let request = building.body(Bytes::from(body));
        let request = request.map_err(|_| Unread("the address or the token is no valid text".to_owned()))?;
        let answer = client.send(request, self.trusted).await.map_err(|failure| match failure {
            ConnectFailure::Connect(reason) => Unread(format!("Vault can't be reached: {reason}")),
            ConnectFailure::Broken(reason) => Unread(format!("Vault broke the connection: {reason}")),
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Unread(format!("Vault answered {}", status.as_u16())));
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(|_| Unread("Vault's answer was cut or too large".to_owned()))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| Unread("Vault's answer is no JSON".to_owned()))
    }
}

/// Reads a path of Vault's: segments of plain characters.
fn plain(path: &str, name: &str) -> Result<String, Bad> {
    let path = path.trim_matches('/');
    let fits = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    if path.split('/').all(fits) {
        return Ok(path.to_owned());
    }
    Err(Bad::new(name, "segments of letters, digits and - _ . ~ are expected, joined by /"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        Settings::parse(text, "t", &|_| None).unwrap()
    }

    fn refused(manager: &str, path: &str, auth: &Value, text: &str) -> String {
        Well::of(manager, auth, path, &settings(text)).unwrap_err().to_string()
    }

    #[test]
    fn the_nodes_environment_and_files_are_closed_unless_the_operator_opens_them() {
        let none = Value::Null;
        assert!(refused("env", "HOME", &none, "").contains("secret_env_prefix"));
        assert!(refused("file", "passwd", &none, "").contains("secret_dir"));
        let open = "[security]\nsecret_env_prefix = \"TIDEGATE_SECRET_\"\nsecret_dir = \"/run/secrets\"";
        assert!(refused("env", "TIDEGATE_MASTER_KEY", &none, open).contains("TIDEGATE_SECRET_"));
        for path in ["/etc/passwd", "../../etc/passwd", "a/../../b", "", "./x"] {
            assert!(refused("file", path, &none, open).contains("secret_path"), "{path}");
        }
        assert!(Well::of("env", &none, "TIDEGATE_SECRET_A", &settings(open)).is_ok());
        assert!(Well::of("file", &none, "vendor/openai", &settings(open)).is_ok());
        assert!(refused("aws_sm", "x", &none, open).contains("env, file and hashicorp_vault"));
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(folder.path().join("outside"), "secret").unwrap();
        std::os::unix::fs::symlink(folder.path().join("outside"), inner.join("link")).unwrap();
        std::fs::write(inner.join("own"), "fine\n").unwrap();
        assert!(read_file(&inner, &inner.join("link")).is_err());
        assert_eq!(read_file(&inner, &inner.join("own")).unwrap(), "fine\n");
    }

    #[test]
    fn vault_is_asked_at_public_or_trusted_hosts_at_plain_paths() {
        let auth = |address: &str| json!({"vault_addr": address, "vault_token": "t"});
        let at = |address: &str| refused("hashicorp_vault", "kv/a", &auth(address), "");
        assert!(at("http://169.254.169.254").contains("is private"));
        assert!(at("file:///etc").contains("vault_addr"));
        let public = auth("https://vault.example.com");
        assert!(refused("hashicorp_vault", "kv/../sys/mounts", &public, "").contains("secret_path"));
        assert!(refused("hashicorp_vault", "kv", &public, "").contains("mount/path"));
        for (version, given, asked) in
            [(2, "kv/a/b", "kv/data/a/b"), (2, "kv/data/a", "kv/data/a"), (1, "kv/a/b", "kv/a/b")]
        {
            let mut auth = public.clone();
            auth["kv_version"] = version.into();
            let Ok(Well::Vault(vault)) = Well::of("hashicorp_vault", &auth, given, &settings("")) else {
                panic!("{given} is refused");
            };
            assert_eq!(vault.path, asked);
        }
    }
}
