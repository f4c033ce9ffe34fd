//! Which models providers offer: what the operator says, else what the vendor lists, else what the price table knows.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::DashMap;
use futures_util::future::join_all;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Limited};
use tidegate_prices::{CustomPrices, Table};
use tokio::time::timeout;

use crate::actors::provider::ProviderHandle;
use crate::upstream::Client;

/// How long a vendor's list is believed; a failed question is asked again sooner.
const FRESH: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(30);
/// Clients wait for model pickers: no vendor may make them wait longer.
const PATIENCE: Duration = Duration::from_secs(3);
const LARGEST: usize = 16 << 20;

struct Listed {
    at: Instant,
    ids: Option<Arc<Vec<String>>>,
}

/// Model lists by provider.
#[derive(Default)]
pub struct ModelLists {
    lists: DashMap<String, Listed>,
}

impl ModelLists {
    /// Forgets what vendors said, after providers changed.
    pub fn forget(&self) {
        self.lists.clear();
    }

    /// Returns slug and models of each provider.
    pub async fn of(&self, client: &Client, providers: &[Arc<ProviderHandle>]) -> Vec<(String, Vec<String>)> {
        join_all(
            providers.iter().map(|provider| async {
                (provider.record().slug.clone(), self.of_one(client, provider).await)
            }),
        )
        .await
    }

    async fn of_one(&self, client: &Client, provider: &ProviderHandle) -> Vec<String> {
        let record = provider.record();
        let priced: CustomPrices = serde_json::from_value(record.prices.clone()).unwrap_or_default();
        let mut ids: BTreeSet<String> =
            priced.models().filter(|name| *name != "*").map(str::to_owned).collect();
        ids.extend(record.extra_models.iter().cloned());
        if !record.models.is_empty() {
            ids.extend(record.models.iter().cloned());
        } else if let Some(listed) = self.listed(client, provider).await {
            ids.extend(listed.iter().cloned());
        } else {
            ids.extend(known_models(&record.vendor));
        }
        ids.into_iter().collect()
    }

    async fn listed(&self, client: &Client, provider: &ProviderHandle) -> Option<Arc<Vec<String>>> {
        let slug = provider.place();
        if let Some(known) = self.lists.get(slug) {
            let believed = if known.ids.is_some() { FRESH } else { RETRY };
            if known.at.elapsed() < believed {
                return known.ids.clone();
            }
        }
        let ids = timeout(PATIENCE, ask(client, provider)).await.ok().flatten().map(Arc::new);
        self.lists.insert(slug.to_owned(), Listed { at: Instant::now(), ids: ids.clone() });
        ids
    }
}

async fn ask(client: &Client, provider: &ProviderHandle) -> Option<Vec<String>> {
    let vendor = provider.vendor();
    let url = vendor.models_url(provider.credential())?;
    let mut request = Request::get(url).body(Bytes::new()).ok()?;
    request.headers_mut().extend(vendor.headers(provider.credential(), &HeaderMap::new()).ok()?);
    let response = client.send(request, provider.record().trusted).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = Limited::new(response.into_body(), LARGEST).collect().await.ok()?.to_bytes();
    Some(vendor.read_models(&body)).filter(|ids| !ids.is_empty())
}

/// Returns the models that the price table knows of a vendor.
#[must_use]
pub fn known_models(vendor: &str) -> Vec<String> {
    static TABLE: OnceLock<Option<Table>> = OnceLock::new();
    let table = TABLE.get_or_init(|| Table::embedded().ok());
    let found = table.as_ref().and_then(|table| table.vendors.get(vendor));
    found.map(|vendor| vendor.models.keys().cloned().collect()).unwrap_or_default()
}
