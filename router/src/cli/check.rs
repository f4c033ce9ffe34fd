//! `tidegate check`

use clap::Args;
use serde_json::{Value, json};
use tidegate_config::Plan;

use super::explain::{self, Explain};
use super::{Context, Failure, show};
use crate::settings::Settings;

#[derive(Args, Debug)]
pub(super) struct Check {
    /// Say what would become of a request, and why, without sending it.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    request: Explain,
}

pub(super) fn run(context: &Context, command: Check) -> Result<(), Failure> {
    if command.explain {
        return explain::run(context, command.request);
    }
    let settings = context.settings()?;
    let file = context
        .path
        .as_ref()
        .map_or_else(|| "no settings file, defaults".to_owned(), |path| path.display().to_string());
    let notes = notes(&settings);
    if context.json {
        let slugs: Vec<&str> = settings.providers.iter().map(|provider| provider.slug.as_str()).collect();
        let keys: Vec<&str> = settings.keys.iter().map(|key| key.settings.name.as_str()).collect();
        let notes: Vec<Value> = notes
            .iter()
            .map(|(config, path, message)| json!({"config": config, "path": path, "message": message}))
            .collect();
        return show::json(&json!({
            "ok": true, "file": file, "listen": settings.listen, "providers": slugs, "keys": keys,
            "configs": settings.configs.keys().collect::<Vec<_>>(), "notes": notes,
        }));
    }
    show::line(&format!("{file}: good"));
    for provider in &settings.providers {
        show::line(&format!("  provider @{} ({})", provider.slug, provider.vendor));
    }
    for key in &settings.keys {
        show::line(&format!("  key {}", key.settings.name));
    }
    for config in settings.configs.keys() {
        show::line(&format!("  config {config}"));
    }
    for (config, path, message) in notes {
        show::line(&format!("  note: config {config}: {path} {message}"));
    }
    Ok(())
}

/// Lists what has no effect in declared configs, or another one than with Portkey, and what is nowhere yet: config,
/// path, message.
fn notes(settings: &Settings) -> Vec<(String, String, String)> {
    let inline = settings.keys.iter().filter_map(|key| {
        let config = key.settings.config.as_ref().filter(|config| !settings.configs.contains_key(*config))?;
        Some((format!("of key {}", key.settings.name), config))
    });
    let saved = settings.configs.iter().map(|(id, json)| (id.clone(), json));
    let mut notes = Vec::new();
    for (name, json) in saved.chain(inline) {
        // Loading refused what can't be read.
        let Ok(plan) = Plan::parse(json) else { continue };
        for note in plan.notes() {
            notes.push((name.clone(), note.path.clone(), note.message.clone()));
        }
        for (path, message) in settings.doubts(&plan) {
            notes.push((name.clone(), path, message));
        }
    }
    notes
}
