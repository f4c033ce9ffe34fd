//! A settings file for a gateway under test, put together piece by piece.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::mock::Mock;

/// Settings of a gateway under test. Secrets go to files beside the settings, as an operator would keep them.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    top: String,
    rest: String,
    secrets: Vec<(String, String)>,
    seeds: Vec<(PathBuf, String)>,
}

impl Settings {
    /// Nothing but what the harness needs: an address, a data folder and an admin key.
    pub fn new() -> Settings {
        Settings::default()
    }

    /// Adds lines above the first table.
    #[must_use]
    pub fn top(mut self, lines: &str) -> Settings {
        let _ = writeln!(self.top, "{lines}");
        self
    }

    /// Adds any TOML below.
    #[must_use]
    pub fn toml(mut self, lines: &str) -> Settings {
        let _ = writeln!(self.rest, "{lines}\n");
        self
    }

    /// Adds a provider whose upstream is the mock. `more` is TOML inside its table.
    #[must_use]
    pub fn provider(self, slug: &str, vendor: &str, mock: &Mock, more: &str) -> Settings {
        // The base addresses that these vendors' own SDKs are given.
        let base = match vendor {
            "google" => mock.url("/v1beta"),
            "azure-openai" => mock.url("/openai"),
            _ => mock.url("/v1"),
        };
        self.provider_at(slug, vendor, &base, more)
    }

    /// Adds a provider at any address.
    #[must_use]
    pub fn provider_at(mut self, slug: &str, vendor: &str, base_url: &str, more: &str) -> Settings {
        let secret = self.secret(&format!("provider-{slug}"), &format!("sk-upstream-{slug}"));
        self.toml(&format!(
            "[[provider]]\nslug = \"{slug}\"\nvendor = \"{vendor}\"\napi_key = \"{secret}\"\n\
             base_url = \"{base_url}\"\ntrusted = true\n{more}"
        ))
    }

    /// Adds a key with this text. `more` is TOML inside its table.
    #[must_use]
    pub fn key(mut self, name: &str, text: &str, more: &str) -> Settings {
        let secret = self.secret(&format!("key-{name}"), text);
        self.toml(&format!("[[key]]\nname = \"{name}\"\nkey = \"{secret}\"\n{more}"))
    }

    /// Copies the files of a folder, if there is one, to a place below the gateway's own folder before it starts.
    #[must_use]
    pub fn seed(mut self, from: &Path, to: &str) -> Settings {
        self.seeds.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Puts the seeds in their places.
    pub(crate) fn sow(&self, folder: &Path) {
        for (from, to) in &self.seeds {
            let to = folder.join(to);
            std::fs::create_dir_all(&to).expect("a folder for seeds");
            for file in std::fs::read_dir(from).into_iter().flatten().flatten() {
                std::fs::copy(file.path(), to.join(file.file_name())).expect("a seed");
            }
        }
    }

    fn secret(&mut self, name: &str, text: &str) -> String {
        self.secrets.push((name.to_owned(), text.to_owned()));
        format!("file:SECRETS/{name}")
    }

    /// Writes the file and the secrets it names into this folder.
    pub(crate) fn write(&self, folder: &Path, admin_key: &str) -> String {
        let secrets = folder.join("secrets");
        std::fs::create_dir_all(&secrets).expect("a folder for secrets");
        let admin = ("admin".to_owned(), admin_key.to_owned());
        for (name, text) in self.secrets.iter().chain([&admin]) {
            std::fs::write(secrets.join(name), text).expect("a secret");
        }
        let head = format!(
            "listen = \"127.0.0.1:0\"\ndata = \"{}\"\nplugins = \"{}\"\nadmin_key = \"file:SECRETS/admin\"\n",
            folder.join("data").display(),
            folder.join("plugins").display(),
        );
        let text = format!("{head}{}\n{}", self.top, self.rest);
        text.replace("file:SECRETS", &format!("file:{}", secrets.display()))
    }
}
