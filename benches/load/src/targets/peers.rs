//! Gateways of others, in the versions below. They are installed into the cache folder when `--install` says so, through
//! the ordinary clients of their registries, and started without keys, limits, budgets and logs.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Launch, free_port};
use crate::process::Process;
use crate::script::MODEL;

/// With the newest adapter between Node and Hono that its range allows, every stream is a 500: "immutable" headers.
const PORTKEY: &str = r#"{
  "private": true,
  "dependencies": {"@portkey-ai/gateway": "1.15.2"},
  "overrides": {"@hono/node-server": "1.13.8"}
}"#;
const LITELLM: &str = "litellm[proxy]==1.106.2";

/// A peer that answers soon: its process, its address, what requests to it carry, and what it consists of.
pub(super) struct Peer {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
    pub(super) headers: String,
    pub(super) files: PathBuf,
}

/// Returns the folder of what is installed: `TIDEGATE_CACHE`, or `tidegate` in the user's cache folder.
fn cache() -> PathBuf {
    let named = std::env::var_os("TIDEGATE_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    named.unwrap_or_else(|| home().join(".cache/tidegate")).join("peers")
}

/// Installs a peer by its target's name.
pub(crate) fn install(name: &str) -> io::Result<()> {
    let folder = cache().join(name);
    std::fs::create_dir_all(&folder)?;
    match name {
        "portkey" => {
            std::fs::write(folder.join("package.json"), PORTKEY)?;
            run(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&folder))
        }
        "litellm" => {
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", LITELLM]))
        }
        _ => Err(io::Error::other(format!("{name:?} can't be installed; portkey and litellm can"))),
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    if command.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?} failed"))) }
}

fn installed(name: &str, file: &str) -> io::Result<PathBuf> {
    let path = cache().join(name).join(file);
    if path.exists() {
        return Ok(path);
    }
    Err(io::Error::other(format!("{name} is not installed: add --install {name}")))
}

/// Starts Portkey's gateway: the vendor and its address come with each request.
pub(super) fn portkey(upstream: SocketAddr, launch: &Launch) -> io::Result<Peer> {
    let script = installed("portkey", "node_modules/@portkey-ai/gateway/build/start-server.js")?;
    let address = free_port()?;
    let mut command = launch.command("node");
    command.arg(&script).arg(format!("--port={}", address.port())).arg("--headless");
    command.env("NODE_ENV", "production").env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1,localhost");
    let headers = format!(
        "authorization: Bearer sk-of-nobody\r\nx-portkey-provider: openai\r\n\
         x-portkey-custom-host: http://{upstream}/v1\r\n"
    );
    Ok(Peer { process: Process::quiet(&mut command)?, address, headers, files: cache().join("portkey") })
}

/// Starts LiteLLM's proxy with one worker.
pub(super) fn litellm(folder: &Path, upstream: SocketAddr, launch: &Launch) -> io::Result<Peer> {
    let program = installed("litellm", "bin/litellm")?;
    let address = free_port()?;
    let file = folder.join("litellm.yaml");
    let config = format!(
        "model_list:\n  - model_name: {MODEL}\n    litellm_params:\n      model: openai/{MODEL}\n      \
         api_base: http://{upstream}/v1\n      api_key: sk-of-nobody\n"
    );
    std::fs::write(&file, config)?;
    let mut command = launch.command(program);
    command.arg("--config").arg(&file).args(["--host", "127.0.0.1", "--num_workers", "1", "--port"]);
    command.arg(address.port().to_string()).current_dir(folder);
    command
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        .env("LITELLM_TELEMETRY", "False");
    // No key, as with the other peers.
    command.env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true");
    let headers = "authorization: Bearer sk-of-nobody\r\n".to_owned();
    Ok(Peer { process: Process::quiet(&mut command)?, address, headers, files: cache().join("litellm") })
}
