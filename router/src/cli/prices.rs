//! `tidegate prices`

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use clap::Subcommand;
use http::Request;
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};
use tidegate_prices::{Part, Price, PriceBook, Table, refresh};
use tidegate_store::ChangeKind;

use super::audited::{self, Change};
use super::{Context, Failure, show};
use crate::clock;
use crate::gateway::prices_path;
use crate::upstream::Client;

const LARGEST: usize = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Prices {
    /// Show the price of a model, in US dollars per million tokens.
    Show {
        /// Vendor.
        vendor: String,
        /// Model.
        model: String,
    },
    /// Take prices over from a file or address: Tidegate's own form, Portkey's (with --vendor) or LiteLLM's. A running
    /// gateway uses them within a second.
    Refresh {
        /// Path, or http(s) address.
        #[arg(long)]
        from: String,
        /// Whose prices they are, where the file does not say.
        #[arg(long)]
        vendor: Option<String>,
    },
}

pub(super) fn run(context: &Context, command: Prices) -> Result<(), Failure> {
    match command {
        Prices::Show { vendor, model } => price(context, &vendor, &model),
        Prices::Refresh { from, vendor } => take_over(context, &from, vendor.as_deref()),
    }
}

fn overrides(data: &Path) -> Result<Option<Table>, Failure> {
    let path = prices_path(data);
    match std::fs::read(&path) {
        Ok(bytes) => Table::parse(&bytes).map(Some).map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn price(context: &Context, vendor: &str, model: &str) -> Result<(), Failure> {
    let settings = context.settings()?;
    let book = overrides(&settings.data)?
        .map_or_else(PriceBook::embedded, |table| PriceBook::with_overrides(&table));
    let Some(price) = book.lookup(vendor, model) else {
        return Err(format!("no price is known for {model} at {vendor}"));
    };
    let rates = |price: &Price| -> Vec<(&'static str, String)> {
        Part::ALL.iter().map(|part| (part.name(), price.rates.of(*part).dollars_per_million())).collect()
    };
    if context.json {
        let rates: serde_json::Map<String, serde_json::Value> =
            rates(&price).into_iter().map(|(name, rate)| (name.to_owned(), rate.into())).collect();
        return show::json(&json!({
            "vendor": vendor, "model": model, "usd_per_million_tokens": rates,
            "max_output": price.max_output, "context": price.context, "may_reason": price.may_reason,
        }));
    }
    let rows: Vec<Vec<String>> =
        rates(&price).into_iter().map(|(name, rate)| vec![name.to_owned(), rate]).collect();
    show::table(&["TOKENS", "USD PER MILLION"], &rows);
    Ok(())
}

fn take_over(context: &Context, from: &str, vendor: Option<&str>) -> Result<(), Failure> {
    let (settings, mut store) = context.open()?;
    let bytes = if from.starts_with("http://") || from.starts_with("https://") {
        fetch(from)?
    } else {
        std::fs::read(from).map_err(|error| format!("{from}: {error}"))?
    };
    let refreshed = refresh::parse(&bytes, vendor).map_err(|error| format!("{from}: {error}"))?;
    let mut newer = refreshed.table;
    newer.date = show::moment(clock::unix()).chars().take(10).collect();
    newer.note = format!("taken over from {from}");
    let models = newer.len();
    let table = match overrides(&settings.data)? {
        Some(mut known) => {
            known.date.clone_from(&newer.date);
            known.note.clone_from(&newer.note);
            known.merge(newer);
            known
        }
        None => newer,
    };
    let path = prices_path(&settings.data);
    // Written aside and renamed, so that a running gateway never reads half a file.
    let aside = path.with_extension("json.new");
    std::fs::write(&aside, table.to_string())
        .and_then(|()| std::fs::rename(&aside, &path))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    // Prices lie in a file: it is there first, and nobody uses it before the change is noted.
    let change = Change {
        command: "prices refresh",
        resource: "prices",
        id: "",
        action: "refresh",
        workspace: None,
        before: Value::Null,
        after: json!({"from": from.split('?').next(), "vendor": vendor, "models": models}),
    };
    audited::write(store.as_mut(), change, &[])?;
    store.note_change(ChangeKind::Prices, "").map_err(|error| error.to_string())?;
    if context.json {
        let skipped: Vec<Value> = refreshed
            .skipped
            .iter()
            .map(|skipped| json!({"model": skipped.model, "reason": skipped.reason.to_string()}))
            .collect();
        return show::json(&json!({"ok": true, "models": models, "file": path, "skipped": skipped}));
    }
    for skipped in &refreshed.skipped {
        show::line(&format!("left out {}: {}", skipped.model, skipped.reason));
    }
    show::line(&format!("{models} prices taken over into {}", path.display()));
    Ok(())
}

fn fetch(url: &str) -> Result<Vec<u8>, Failure> {
    actix_web::rt::System::new().block_on(async {
        let request = Request::get(url).body(Bytes::new()).map_err(|error| format!("{url}: {error}"))?;
        // The operator names the address on the command line: private ones are fine.
        let response = Client::new(Duration::from_secs(10))
            .send(request, true)
            .await
            .map_err(|failure| format!("{url}: {failure:?}"))?;
        if !response.status().is_success() {
            return Err(format!("{url} answered {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        body.map(|body| body.to_bytes().to_vec()).map_err(|error| format!("{url}: {error}"))
    })
}
