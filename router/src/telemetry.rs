//! Log lines by tracing: INFO for life events, never per request.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// Life events of Tidegate; what strangers send to the port is no event, and workers start quietly.
const DEFAULT: &str = "info,actix_server=warn,actix_http=off";

/// Sets up log lines on standard error. Does nothing when they are set up already.
pub fn start(settings: &LogSettings) {
    let wanted = std::env::var("RUST_LOG").ok().or_else(|| settings.filter.clone());
    let filter = EnvFilter::new(wanted.as_deref().unwrap_or(DEFAULT));
    // A line that can't be written is lost: telling of it would be written there, too, and fail for good.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let _already_set_up = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}
