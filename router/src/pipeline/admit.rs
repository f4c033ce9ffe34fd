//! One ask to admit: the key and every budget at once; all grant or all give back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tidegate_prices::{NanoUsd, Price, tokens};
use tidegate_providers::{Endpoint, Fields};

use super::demand::Demand;
use super::docket::Docket;
use super::estimate::{self, Input};
use crate::actors::Unavailable;
use crate::actors::budget::BudgetHandle;
use crate::actors::key::{KeyHandle, KeyRefusal, Wish};
use crate::actors::permit::{Hold, KeyPermit};
use crate::actors::provider::ProviderHandle;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::limits::{Exhausted, RateKind, RateView, Refusal, model_allowed};
use crate::routing::fallback::Reach;
use crate::settings::Unpriced;

/// What inference needs.
pub const SCOPE: &str = "completions.write";
/// Output tokens that a stream's first hold affords; more is asked for on the way. Small, so that many parallel
/// streams fit a small budget.
const FIRST_SLICE: u64 = 64;
/// No call is admitted that could not write even this much.
const LEAST_OUTPUT: u64 = 16;
/// Longest answer of a model whose table entry says none; sent upstream as the limit when money is held for it.
const DEFAULT_MAX_OUTPUT: u64 = 16_384;
/// Context of a model whose table entry says none.
const DEFAULT_CONTEXT: u64 = 128_000;
/// An image without a listed price is billed by tokens; this is the dearest single image vendors document.
const IMAGE_TOKENS: u64 = 6_500;
/// Bodies above this are tokenized on a thread that may block.
const INLINE_BYTES: usize = 16 << 10;

/// An attempt was let in.
pub(super) struct Admission {
    /// The key's tightest limits.
    pub views: Vec<RateView>,
    /// What its budgets hold.
    pub holds: Vec<Hold>,
    /// The model's price.
    pub price: Option<Arc<Price>>,
    /// Likely input tokens, for settling when the vendor reports none.
    pub likely_input: u64,
    /// What of each hold is for input, in nano-dollars.
    pub input_cost: i64,
    /// Whether the stream is metered against its holds; else its worst case is held.
    pub metered: bool,
    /// Output limit to send upstream because the holds afford no more.
    pub cap: Option<u64>,
    /// Whether only the answer can say what it costs.
    pub unmeasured: bool,
}

/// A refusal, and whether another target could be let in.
pub(super) struct Refused {
    /// What the caller is told.
    pub error: Box<GatewayError>,
    /// [`Reach::Target`] or [`Reach::Request`].
    pub reach: Reach,
}

impl Refused {
    fn target(error: GatewayError) -> Self {
        Self { error: Box::new(error), reach: Reach::Target }
    }

    fn request(error: GatewayError) -> Self {
        Self { error: Box::new(error), reach: Reach::Request }
    }
}

struct Bill {
    input_cost: i64,
    need: i64,
    want: i64,
}

/// Asks the key, its budgets and the provider's budget, all at once. The key is asked once per request: its permit
/// is kept in the docket for the attempts to come, also when a budget refuses this one.
///
/// # Errors
/// The first refusal: 401, 403, 412, 429 or 503, and how far it reaches. No hold stays taken.
pub(super) async fn admit(
    gateway: &Gateway,
    key: &Arc<KeyHandle>,
    docket: &Docket,
    provider: &Arc<ProviderHandle>,
    demand: &Demand<'_>,
) -> Result<Admission, Refused> {
    let record = key.record();
    let price = gateway.prices.price(provider, demand.model);
    let price =
        price.map(
            |price| {
                if demand.per_mille == 1_000 { price } else { Arc::new(price.scaled(demand.per_mille)) }
            },
        );
    let mut budgets = Vec::new();
    for id in record.budget.iter().chain(&provider.record().budget) {
        let found = gateway.book.budget(id).await.map_err(GatewayError::from).map_err(Refused::request)?;
        let Some(budget) = found else {
            let error = GatewayError::new(ErrorKind::Unavailable, format!("budget {id} is not to be found"));
            return Err(Refused::request(error));
        };
        budgets.push(budget);
    }
    let unmeasured = demand.endpoint == Endpoint::Other;
    if unmeasured {
        let slug = &provider.record().slug;
        let allowed = super::proxy::may_use(&record, slug, provider.record().budget.is_some());
        // Another target's provider may have no budget; the key is the same for all.
        let of_key = record.budget.is_some();
        allowed.map_err(|error| if of_key { Refused::request(error) } else { Refused::target(error) })?;
    }
    if !budgets.is_empty() {
        check_money(gateway, provider, demand.model, price.is_some() || unmeasured)?;
    }
    let mut input = demand.fields.map_or_else(Input::default, estimate::input);
    if demand.stored_input {
        // How much is stored is not to be seen here; a model reads no more than its context.
        input.bound += price.as_ref().and_then(|price| price.context).unwrap_or(DEFAULT_CONTEXT);
    }
    let charged = price.as_deref().filter(|price| !price.is_free());
    let metered =
        demand.stream && charged.is_some_and(|price| !price.may_reason) && demand.endpoint.wire().is_some();
    let bill = |tokens: u64| {
        charged.map_or(Bill { input_cost: 0, need: 0, want: 0 }, |price| bill(price, demand, tokens, metered))
    };
    let wish = Wish {
        scope: SCOPE,
        // A path may name no model; whoever may use such paths at all was asked above.
        model: (!unmeasured || !demand.model.is_empty())
            .then(|| (provider.record().slug.as_str().into(), demand.model.into())),
        tokens: u32::try_from(input.likely.saturating_add(demand.max_tokens.unwrap_or(0)))
            .unwrap_or(u32::MAX),
    };
    let mut owed = bill(input.bound);
    let (admitted, mut holds) =
        join(admitted(key, docket.is_admitted(), wish), reserve(&budgets, &owed)).await;
    let admitted = admitted.map_err(GatewayError::from).map_err(Refused::request)?.map_err(|refusal| {
        let error = key_refusal(&refusal, key, &format!("@{}/{}", provider.record().slug, demand.model));
        // The key may not use this model; another target may have one that it may use.
        if refusal == KeyRefusal::Model { Refused::target(error) } else { Refused::request(error) }
    })?;
    if let Some(permit) = admitted {
        docket.admitted(permit);
    }
    let views = docket.views();
    if let (Ok(Err(_)), Some(fields)) = (&holds, demand.fields) {
        // The bound did not fit; the exact count may.
        let exact =
            if demand.stored_input { u64::MAX } else { count(fields, provider.vendor().slug()).await };
        if exact < input.bound {
            owed = bill(exact);
            holds = reserve(&budgets, &owed).await;
        }
    }
    let holds = match holds.map_err(Refused::request)? {
        Ok(holds) => holds,
        Err((budget, exhausted)) => {
            let mut error = budget_refusal(&budget, &exhausted, Some(owed.need));
            error.views = views;
            return Err(Refused::target(error));
        }
    };
    if metered && !holds.is_empty() && !tokens::is_warm() {
        // Its first use takes tens of milliseconds; without money to watch it is never loaded.
        let _loaded = tokio::task::spawn_blocking(tokens::warm).await;
    }
    let cap = match (charged, holds.iter().map(Hold::amount).min()) {
        (Some(price), Some(held)) if !metered && demand.endpoint.wire().is_some() => {
            let left = NanoUsd(u64::try_from(held - owed.input_cost).unwrap_or(0));
            let affords = price.tokens_for(left) / demand.n.max(1);
            let asked = demand.max_tokens.unwrap_or(u64::MAX);
            (affords < asked).then_some(affords)
        }
        _ => None,
    };
    Ok(Admission {
        views,
        holds,
        price,
        likely_input: if unmeasured { 0 } else { input.likely },
        input_cost: owed.input_cost,
        metered,
        cap,
        unmeasured,
    })
}

/// Asks the key alone, for an answer that costs nothing. Returns its tightest limits.
///
/// # Errors
/// The key's refusal, and how far it reaches.
pub(super) async fn admit_key(
    key: &Arc<KeyHandle>,
    docket: &Docket,
    slug: &str,
    model: &str,
) -> Result<Vec<RateView>, Refused> {
    let wish = Wish { scope: SCOPE, model: Some((slug.into(), model.into())), tokens: 0 };
    let asked = admitted(key, docket.is_admitted(), wish).await;
    let admitted = asked.map_err(GatewayError::from).map_err(Refused::request)?.map_err(|refusal| {
        let error = key_refusal(&refusal, key, &format!("@{slug}/{model}"));
        if refusal == KeyRefusal::Model { Refused::target(error) } else { Refused::request(error) }
    })?;
    if let Some(admitted) = admitted {
        docket.admitted(admitted);
    }
    Ok(docket.views())
}

/// Asks the key, unless an earlier attempt of the request did; then only the model is another one.
async fn admitted(
    key: &Arc<KeyHandle>,
    already: bool,
    wish: Wish,
) -> Result<Result<Option<KeyPermit>, KeyRefusal>, Unavailable> {
    if !already {
        return Ok(key.admit(wish).await?.map(Some));
    }
    let allowed =
        wish.model.is_none_or(|(provider, model)| model_allowed(&key.record().models, &provider, &model));
    Ok(if allowed { Ok(None) } else { Err(KeyRefusal::Model) })
}

fn check_money(
    gateway: &Gateway,
    provider: &ProviderHandle,
    model: &str,
    priced: bool,
) -> Result<(), Refused> {
    if !gateway.ledger.healthy() {
        let mut error =
            GatewayError::new(ErrorKind::Unavailable, "spend can't be recorded right now; try again");
        error.retry_after = Some(Duration::from_secs(1));
        return Err(Refused::request(error));
    }
    if !priced && gateway.settings().unpriced == Unpriced::Deny {
        let error = GatewayError::new(
            ErrorKind::Unpriced,
            format!(
                "Model {model} has no price at provider {}, and this key has a budget; set prices for it, or unpriced = \"free\"",
                provider.record().slug
            ),
        );
        return Err(Refused::target(error.at("model")));
    }
    Ok(())
}

/// Returns what must and what should be held.
fn bill(price: &Price, demand: &Demand<'_>, input_tokens: u64, metered: bool) -> Bill {
    let nanos = |amount: NanoUsd| amount.as_i64();
    let quantities = demand.quantities;
    match demand.endpoint {
        Endpoint::ImageGenerations | Endpoint::ImageEdits => {
            let count = quantities.images.max(1);
            let listed = price.image_cost(
                quantities.image_quality.as_deref(),
                quantities.image_size.as_deref(),
                count,
            );
            let cost = listed.unwrap_or_else(|| {
                price
                    .rates
                    .media_output_cost(IMAGE_TOKENS * count)
                    .saturating_add(price.media_input_bound(input_tokens))
            });
            whole(nanos(cost))
        }
        Endpoint::Speech => {
            let listed = price.speech_cost(quantities.characters);
            // Speech billed by tokens: a character is spoken in well under two audio tokens.
            let by_tokens = price
                .rates
                .media_output_cost(quantities.characters * 2)
                .saturating_add(price.input_bound(quantities.characters));
            whole(nanos(listed.unwrap_or(by_tokens)))
        }
        Endpoint::Transcriptions | Endpoint::Translations => {
            let listed = price.audio_cost(quantities.audio_ms);
            // About ten audio tokens a second and as many words.
            let by_tokens = price
                .media_input_bound(quantities.audio_ms / 100)
                .saturating_add(price.output_cost(quantities.audio_ms / 100));
            whole(nanos(listed.unwrap_or(by_tokens)))
        }
        Endpoint::Embeddings => whole(nanos(price.input_bound_without_hour_cache(input_tokens))),
        // Vendors count for nothing.
        Endpoint::CountTokens => whole(0),
        // Nobody knows; a budget with nothing left at all still refuses.
        Endpoint::Other => whole(1),
        Endpoint::Chat | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages => {
            let hour_cache = demand.fields.is_some_and(|fields| {
                fields.raw("messages").is_some_and(|raw| raw.contains("\"1h\""))
                    || fields.raw("system").is_some_and(|raw| raw.contains("\"1h\""))
            });
            let input_cost = nanos(if hour_cache {
                price.input_bound(input_tokens)
            } else {
                price.input_bound_without_hour_cache(input_tokens)
            });
            let longest = demand.max_tokens.unwrap_or_else(|| price.max_output.unwrap_or(DEFAULT_MAX_OUTPUT));
            let longest = longest.saturating_mul(demand.n.max(1));
            let wanted = if metered { longest.min(FIRST_SLICE) } else { longest };
            // A limit that the client named is held whole; without one, what the budget affords becomes the limit.
            let least =
                if metered || demand.max_tokens.is_none() { longest.min(LEAST_OUTPUT) } else { longest };
            Bill {
                input_cost,
                need: input_cost.saturating_add(nanos(price.output_cost(least))),
                want: input_cost.saturating_add(nanos(price.output_cost(wanted))),
            }
        }
    }
}

fn whole(cost: i64) -> Bill {
    Bill { input_cost: cost, need: cost, want: cost }
}

type Short = (Arc<BudgetHandle>, Exhausted);

async fn reserve(
    budgets: &[Arc<BudgetHandle>],
    bill: &Bill,
) -> Result<Result<Vec<Hold>, Short>, GatewayError> {
    if budgets.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let answers = join_all(budgets.iter().map(|budget| budget.reserve(bill.need, bill.want))).await;
    let mut holds = Vec::with_capacity(budgets.len());
    for (budget, answer) in budgets.iter().zip(answers) {
        match answer? {
            Ok(hold) => holds.push(hold),
            Err(exhausted) => return Ok(Err((budget.clone(), exhausted))),
        }
    }
    Ok(Ok(holds))
}

async fn count(fields: &Fields<'_>, vendor: &'static str) -> u64 {
    let bytes = fields.to_vec();
    if bytes.len() <= INLINE_BYTES {
        return estimate::exact(fields, vendor);
    }
    let counting = tokio::task::spawn_blocking(move || {
        Fields::parse(&bytes).map_or(u64::MAX, |fields| estimate::exact(&fields, vendor))
    });
    counting.await.unwrap_or(u64::MAX)
}

fn key_refusal(refusal: &KeyRefusal, key: &KeyHandle, model: &str) -> GatewayError {
    match refusal {
        KeyRefusal::Revoked => GatewayError::new(ErrorKind::Key, "Invalid API Key"),
        KeyRefusal::Expired => GatewayError::new(ErrorKind::KeyExpired, "API Key Expired"),
        KeyRefusal::Scope(scope) => {
            GatewayError::new(ErrorKind::Scope, format!("This API key lacks the scope {scope}"))
        }
        KeyRefusal::Model => {
            let message = format!("Model {model} is not allowed for API key {}", key.record().name);
            GatewayError::new(ErrorKind::Model, message).at("model")
        }
        KeyRefusal::Limit { refusal, views } => {
            let mut error = limit_refusal(refusal, &format!("API key {}", key.record().name));
            error.views.clone_from(views);
            error
        }
    }
}

/// Makes the 429 of a limit of `whose`, or the 503 of its breaker.
pub(super) fn limit_refusal(refusal: &Refusal, whose: &str) -> GatewayError {
    match *refusal {
        Refusal::Rate { kind, limit, per, wait } => {
            let what = match kind {
                RateKind::Requests => "requests",
                RateKind::Tokens => "tokens",
            };
            let per = format!("{per:?}").to_lowercase();
            let mut error = GatewayError::new(
                ErrorKind::RateLimit,
                format!(
                    "Rate limit reached for {whose}: {limit} {what} per {per}. Try again in {:.1} s",
                    wait.as_secs_f64()
                ),
            );
            error.retry_after = Some(wait);
            error
        }
        Refusal::Concurrency { limit } => {
            let mut error = GatewayError::new(
                ErrorKind::RateLimit,
                format!("Too many requests at the same time for {whose}: {limit} are allowed"),
            );
            error.retry_after = Some(Duration::from_secs(1));
            error
        }
        Refusal::Open { wait } => {
            let seconds = wait.as_secs_f64();
            let message = format!(
                "Too many of the last requests to {whose} failed; it is left alone for {seconds:.1} s (circuit breaker)"
            );
            let mut error = GatewayError::new(ErrorKind::CircuitOpen, message);
            error.retry_after = Some(wait);
            error
        }
    }
}

/// Makes the 412 of a budget; `need` is what a request would have had to hold.
#[must_use]
pub(super) fn budget_refusal(
    budget: &BudgetHandle,
    exhausted: &Exhausted,
    need: Option<i64>,
) -> GatewayError {
    let dollars = |nanos: i64| NanoUsd(u64::try_from(nanos).unwrap_or(0)).to_string();
    let record = budget.record();
    let whose = match record.id.split_once(':') {
        Some(("provider", slug)) => format!("provider {slug}"),
        _ => format!("API key {}", record.name),
    };
    let mut message = format!(
        "Budget exceeded for {whose}: limit {} USD, spent {} USD",
        dollars(exhausted.limit),
        dollars(exhausted.spent)
    );
    if exhausted.held > 0 {
        message.push_str(&format!(", held by other requests {} USD", dollars(exhausted.held)));
    }
    match need {
        Some(need) => message.push_str(&format!("; this request needs {} USD", dollars(need))),
        None => message.push_str("; this answer used the rest"),
    }
    GatewayError::new(ErrorKind::Budget, message)
}
