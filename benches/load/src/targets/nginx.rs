//! nginx as a plain reverse proxy: one worker, upstream connections kept, no logs. Whole answers are buffered, as by
//! default; streams are not.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Launch, free_port};
use crate::process::Process;

/// Starts it and returns its addresses for whole answers and for streams.
pub(super) fn start(
    folder: &Path,
    upstream: SocketAddr,
    launch: &Launch,
) -> io::Result<(Process, SocketAddr, SocketAddr)> {
    let nginx = program()?;
    let (whole, stream) = (free_port()?, free_port()?);
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config(folder, upstream, whole, stream, launch.single))?;
    let mut command = launch.command(nginx);
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&file);
    Ok((Process::quiet(&mut command)?, whole, stream))
}

/// Returns where nginx is, or says that it is missing.
pub(super) fn program() -> io::Result<PathBuf> {
    super::program("nginx", &["/usr/sbin", "/usr/local/sbin"]).ok_or_else(|| {
        io::Error::other(
            "nginx is not installed; on Debian: apt install nginx-light (or leave it out by --targets)",
        )
    })
}

fn config(
    folder: &Path,
    upstream: SocketAddr,
    whole: SocketAddr,
    stream: SocketAddr,
    single: bool,
) -> String {
    let folder = folder.display();
    let master = if single { "master_process off;" } else { "" };
    let server = |listen: SocketAddr, more: &str| {
        format!(
            "server {{ listen {listen} backlog=4096; location / {{ proxy_pass http://upstream; \
             proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_read_timeout 600s; {more} }} }}"
        )
    };
    // Bodies stay in memory, as with everybody else.
    format!(
        "daemon off; {master} worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid; user root;\n\
         error_log stderr crit;\n\
         events {{ worker_connections 20000; }}\n\
         http {{\n\
         access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;\n\
         client_max_body_size 64m; client_body_buffer_size 16m; client_body_temp_path {folder}/body;\n\
         proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;\n\
         scgi_temp_path {folder}/scgi;\n\
         upstream upstream {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 600s; }}\n\
         {}\n{}\n}}\n",
        server(whole, ""),
        server(stream, "proxy_buffering off;"),
    )
}
