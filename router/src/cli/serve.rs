//! `tidegate serve`

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use clap::Args;

use super::{Context, Failure, show};
use crate::gateway::Gateway;
use crate::provision::Printed;
use crate::server::{bind, drain_on_signal};
use crate::{admin, notices, plugins, telemetry, watch};

/// Longest wait at the end for the store, on a full disk say.
/// How long notifications may take at the end.
const TELL_WITHIN: Duration = Duration::from_secs(3);
const FLUSH_WITHIN: Duration = Duration::from_secs(10);

#[derive(Args, Clone, Debug, Default)]
pub(super) struct Serve {
    /// Address to listen on, in place of the settings'.
    #[arg(long)]
    listen: Option<String>,
}

pub(super) fn run(context: &Context, command: &Serve) -> Result<(), Failure> {
    let started = Instant::now();
    let text =
        context.path.as_deref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let mut settings = context.settings()?;
    if let Some(listen) = &command.listen {
        settings.listen.clone_from(listen);
    }
    telemetry::start(&settings.log);
    System::new().block_on(async {
        let (gateway, printed) = Gateway::start(settings).map_err(|error| error.to_string())?;
        // Before the first request: its provider's secret may lie elsewhere.
        if gateway.read_references().await {
            gateway.reload_providers().await.map_err(|error| error.to_string())?;
        }
        let bound = bind(gateway.clone()).map_err(|error| error.to_string())?;
        for address in &bound.addresses {
            show::line(&format!("listening on http://{address}"));
        }
        welcome(&gateway, &printed, bound.addresses.first().map(ToString::to_string));
        tracing::info!(started_in_ms = started.elapsed().as_millis(), "ready");
        let handle = bound.server.handle();
        let tasks = [
            actix_web::rt::spawn(watch::store(gateway.clone())),
            actix_web::rt::spawn(watch::find_ollama(gateway.clone())),
            actix_web::rt::spawn(watch::secrets(gateway.clone())),
            actix_web::rt::spawn(watch::old_logs(gateway.clone())),
            actix_web::rt::spawn(notices::outage(gateway.clone())),
            actix_web::rt::spawn(plugins::watch(gateway.clone())),
            actix_web::rt::spawn(notices::watch(gateway.clone())),
            actix_web::rt::spawn(admin::rotate_keys(gateway.clone())),
            actix_web::rt::spawn(drain_on_signal(handle, bound.readiness)),
        ];
        let file = context
            .path
            .clone()
            .map(|path| actix_web::rt::spawn(watch::settings_file(gateway.clone(), path, text)));
        let served = bound.server.await.map_err(|error| error.to_string());
        gateway.shards.move_out();
        for task in tasks.into_iter().chain(file) {
            task.abort();
        }
        if let Some(cluster) = gateway.shards.cluster() {
            cluster.leave().await;
        }
        gateway.notices.stop(TELL_WITHIN).await;
        if tokio::time::timeout(FLUSH_WITHIN, gateway.ledger.flush()).await.is_err() {
            let waiting = gateway.ledger.view().waiting;
            return Err(format!("the store refuses to write: {waiting} ledger entries are lost"));
        }
        tracing::info!("stopped");
        served
    })
}

/// Says how to use the gateway, with the keys that were just made.
fn welcome(gateway: &Arc<Gateway>, printed: &Printed, address: Option<String>) {
    printed.print();
    let settings = gateway.settings();
    let providers: Vec<String> =
        gateway.book.providers().iter().map(|provider| format!("@{}", provider.record().slug)).collect();
    if providers.is_empty() {
        show::line(
            "providers: none yet. Set OPENAI_API_KEY (or another vendor's) and start again, or add a [[provider]] to tidegate.toml",
        );
    } else {
        show::line(&format!("providers: {}", providers.join(", ")));
    }
    let Some((_, key)) = printed.keys.first() else { return };
    let base = format!("http://{}/v1", address.unwrap_or_else(|| settings.listen.clone()));
    let model = example_model(gateway);
    show::line(&format!(
        "\ntry it:\n  curl -N {base}/chat/completions -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\\n    -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"Say hello\"}}]}}'",
        key.reveal()
    ));
    show::line(&format!(
        "\nOpen WebUI: Settings > Connections > OpenAI API > +\n  URL {base}\n  Key {}\n",
        key.reveal()
    ));
}

/// Returns a model that the first provider is likely to have.
fn example_model(gateway: &Gateway) -> String {
    let providers = gateway.book.providers();
    let Some(provider) = providers.first() else { return "@openai/gpt-4o-mini".to_owned() };
    let record = provider.record();
    let priced = record.prices.as_object().and_then(|prices| prices.keys().find(|name| *name != "*"));
    let model = match (record.models.first().or(priced), record.vendor.as_str()) {
        (Some(model), _) => model.as_str(),
        (None, "anthropic") => "claude-haiku-4-5",
        (None, "google") => "gemini-2.5-flash",
        (None, "groq") => "llama-3.3-70b-versatile",
        (None, "mistral-ai") => "mistral-small-latest",
        (None, "deepseek") => "deepseek-chat",
        (None, "x-ai") => "grok-4",
        (None, "ollama") => "llama3.2",
        (None, "openrouter") => "openai/gpt-4o-mini",
        (None, _) => "gpt-4o-mini",
    };
    format!("@{}/{model}", record.slug)
}
