//! `tidegate provider`

use clap::Subcommand;
use serde_json::{Value, json};
use tidegate_store::{Origin, ProviderRecord, Store, Write};

use super::audited::{self, Change};
use super::{Context, Failure, pair, show, store_is_there};
use crate::sealing;
use crate::settings::{check_slug, resolve_secret, vendors};
use crate::upstream::address::check_base_url;

#[derive(Debug, Subcommand)]
pub(super) enum Provider {
    /// Add or replace a provider.
    Add {
        /// Name after the `@`.
        slug: String,
        /// Vendor; the slug without.
        #[arg(long)]
        vendor: Option<String>,
        /// `env:NAME`, `file:PATH`, or `-` to read the key from standard input. Stored encrypted.
        #[arg(long)]
        api_key: Option<String>,
        /// Base URL in place of the vendor's.
        #[arg(long)]
        base_url: Option<String>,
        /// Allow a private or loopback address.
        #[arg(long)]
        trusted: bool,
        /// Vendor-specific fields, like `azure_resource_name=my-resource`.
        #[arg(long = "option", value_name = "NAME=VALUE", value_parser = pair)]
        options: Vec<(String, String)>,
    },
    /// List providers of settings, environment and store.
    List,
    /// Remove a provider from the store.
    Remove {
        /// Its slug.
        slug: String,
    },
    /// List the vendors that this version knows.
    Vendors,
}

pub(super) fn run(context: &Context, command: Provider) -> Result<(), Failure> {
    match command {
        Provider::Vendors => vendors(context),
        Provider::List => list(context),
        Provider::Remove { slug } => {
            let (_, mut store) = context.open_known()?;
            let Some(before) = stored(store.as_ref(), &slug)? else {
                return Err(format!("the store has no provider \"{slug}\""));
            };
            let writes = [Write::DeleteProvider(slug.clone())];
            write(store.as_mut(), &slug, "delete", (before, Value::Null), &writes)?;
            show::done(context, &format!("provider @{slug} is removed"))
        }
        Provider::Add { slug, vendor, api_key, base_url, trusted, options } => {
            let vendor = vendor.unwrap_or_else(|| slug.clone());
            check_slug(&slug)?;
            let Some(dialect) = tidegate_providers::registry::find(&vendor) else {
                return Err(format!("vendor {}", vendors::unknown(&vendor)));
            };
            if let Some(url) = &base_url {
                check_base_url(url, trusted)?;
            }
            let options = options.into_iter().collect();
            vendors::check(dialect, base_url.as_deref(), &options)?;
            let secret = match api_key.as_deref() {
                Some("-") => Some(read_line()?),
                Some(reference) => {
                    let resolved = resolve_secret(reference, &|name| std::env::var(name).ok())?;
                    Some(resolved.reveal().to_owned())
                }
                None if dialect.key_optional() || base_url.is_some() => None,
                None => return Err(format!("vendor {vendor} needs --api-key")),
            };
            let (settings, mut store) = context.open()?;
            let sealed = match secret {
                Some(secret) => {
                    let master = sealing::master_key(store.as_mut(), &settings);
                    let master = master.map_err(|error| error.to_string())?;
                    Some(master.seal(&secret).map_err(|error| error.to_string())?)
                }
                None => None,
            };
            let record = ProviderRecord {
                origin: Origin::Store,
                base_url,
                trusted,
                api_key: sealed,
                options,
                ..ProviderRecord::named(&slug, vendor)
            };
            let before = stored(store.as_ref(), &slug)?;
            let action = if before.is_some() { "update" } else { "create" };
            let shown = (before.unwrap_or_default(), audited::provider(&record));
            let writes = [Write::PutProvider(Box::new(record))];
            write(store.as_mut(), &slug, action, shown, &writes)?;
            show::done(
                context,
                &format!("provider @{slug} is set up; a running gateway has it within a second"),
            )
        }
    }
}

/// Shows a provider of the store; `None` where there is none.
fn stored(store: &dyn Store, slug: &str) -> Result<Option<Value>, Failure> {
    let all = store.providers().map_err(|error| error.to_string())?;
    Ok(all.iter().find(|it| it.slug == slug).map(audited::provider))
}

fn write(
    store: &mut dyn Store,
    slug: &str,
    action: &str,
    (before, after): (Value, Value),
    writes: &[Write],
) -> Result<(), Failure> {
    let command = if action == "delete" { "provider remove" } else { "provider add" };
    let change = Change { command, resource: "provider", id: slug, action, workspace: None, before, after };
    audited::write(store, change, writes)
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    let line = line.trim();
    if line.is_empty() { Err("no key on standard input".to_owned()) } else { Ok(line.to_owned()) }
}

fn list(context: &Context) -> Result<(), Failure> {
    let settings = context.settings()?;
    // Those of settings and environment are there before the first start, too.
    let stored = match store_is_there(&settings) {
        Ok(()) => context.open_known()?.1.providers().map_err(|error| error.to_string())?,
        Err(_) => Vec::new(),
    };
    let mut all: Vec<&ProviderRecord> = settings.providers.iter().collect();
    all.extend(
        stored
            .iter()
            .filter(|record| !settings.providers.iter().any(|declared| declared.slug == record.slug)),
    );
    if context.json {
        let shown: Vec<Value> = all
            .iter()
            .map(|record| {
                json!({"slug": record.slug, "vendor": record.vendor, "origin": record.origin, "base_url": record.base_url, "has_key": record.api_key.is_some()})
            })
            .collect();
        return show::json(&shown);
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|record| {
            let key = if record.api_key.is_some() { "set" } else { "none" };
            let from = match record.origin {
                Origin::Store => "store",
                Origin::Settings => "settings or environment",
            };
            let base = record.base_url.clone().unwrap_or_default();
            vec![format!("@{}", record.slug), record.vendor.clone(), key.to_owned(), from.to_owned(), base]
        })
        .collect();
    show::table(&["SLUG", "VENDOR", "KEY", "FROM", "BASE URL"], &rows);
    Ok(())
}

fn vendors(context: &Context) -> Result<(), Failure> {
    let mut all: Vec<_> = tidegate_providers::registry::all().collect();
    all.sort_by_key(|vendor| vendor.slug());
    if context.json {
        let shown: Vec<Value> = all
            .iter()
            .map(|vendor| json!({"vendor": vendor.slug(), "base_url": vendor.default_base(), "key_variables": vendor.key_variables()}))
            .collect();
        return show::json(&shown);
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|vendor| {
            let base = vendor.default_base().unwrap_or("needs base_url or options");
            vec![vendor.slug().to_owned(), vendor.key_variables().join(", "), base.to_owned()]
        })
        .collect();
    show::table(&["VENDOR", "KEY VARIABLE", "BASE URL"], &rows);
    Ok(())
}
