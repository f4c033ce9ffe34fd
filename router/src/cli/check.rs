//! `tidegate check`

use serde_json::json;

use super::{Context, Failure, show};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let settings = context.settings()?;
    let file = context
        .path
        .as_ref()
        .map_or_else(|| "no settings file, defaults".to_owned(), |path| path.display().to_string());
    if context.json {
        let slugs: Vec<&str> = settings.providers.iter().map(|provider| provider.slug.as_str()).collect();
        let keys: Vec<&str> = settings.keys.iter().map(|key| key.settings.name.as_str()).collect();
        return show::json(&json!({
            "ok": true, "file": file, "listen": settings.listen, "providers": slugs, "keys": keys,
            "configs": settings.configs.keys().collect::<Vec<_>>(),
        }));
    }
    show::line(&format!("{file}: good"));
    for provider in &settings.providers {
        show::line(&format!("  provider @{} ({})", provider.slug, provider.vendor));
    }
    for key in &settings.keys {
        show::line(&format!("  key {}", key.settings.name));
    }
    Ok(())
}
