//! One ask to admit: the key and every budget at once; all grant or all give back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join3};
use tidegate_prices::Price;
use tidegate_providers::{Endpoint, Fields};
use tidegate_store::Unit;

use super::bill::{Bill, Owed, bill};
use super::demand::Demand;
use super::docket::Docket;
use super::estimate::{self, Input};
use super::levels::{self, Permits};
use super::refusals::{budget_refusal, key_refusal};
use super::request::{BudgetShown, Caller};
use crate::actors::Unavailable;
use crate::actors::budget::{BudgetHandle, Short, reserve_all, reserve_shared};
use crate::actors::key::{KeyHandle, KeyRefusal, Wish};
use crate::actors::permit::{Hold, KeyPermit, LimiterPermit};
use crate::actors::provider::ProviderHandle;
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::limits::{RateView, model_allowed};
use crate::routing::fallback::Reach;
use crate::settings::Unpriced;

/// What inference needs.
pub const SCOPE: &str = "completions.write";
/// Context of a model whose table entry says none.
const DEFAULT_CONTEXT: u64 = 128_000;
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
    /// What of each hold is for input.
    pub owed: Owed,
    /// What limits of its workspace, integration and policies let in.
    pub permits: Vec<LimiterPermit>,
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

impl Admission {
    /// Returns what an answer says of the budget that has least left.
    #[must_use]
    pub(super) fn tightest(&self) -> Option<BudgetShown> {
        // Of two shares a/b and c/d the first is less where ad is less than cb.
        let times = |one: &Hold, other: &Hold| i128::from(one.left()) * i128::from(other.limit().max(1));
        let tightest = self.holds.iter().min_by(|one, other| times(one, other).cmp(&times(other, one)))?;
        let resets_at = tightest.budget().period_end(clock::unix());
        Some(BudgetShown { unit: tightest.unit(), limit: tightest.limit(), left: tightest.left(), resets_at })
    }
}

impl Refused {
    pub(super) fn target(error: GatewayError) -> Self {
        Self { error: Box::new(error), reach: Reach::Target }
    }

    pub(super) fn request(error: GatewayError) -> Self {
        Self { error: Box::new(error), reach: Reach::Request }
    }
}

/// Asks the key, its budgets and those of every level above, and all their limits, at once. The key and its workspace
/// are asked once per request: their permits are kept in the docket for the attempts to come, also when a budget
/// refuses this one.
///
/// # Errors
/// The first refusal: 401, 403, 412, 429 or 503, and how far it reaches. No hold stays taken.
pub(super) async fn admit(
    gateway: &Gateway,
    caller: &Caller,
    docket: &Docket,
    provider: &Arc<ProviderHandle>,
    demand: &Demand<'_>,
) -> Result<Admission, Refused> {
    let key = &caller.key;
    let record = &caller.record;
    let price = gateway.prices.price(provider, demand.model);
    let price =
        price.map(
            |price| {
                if demand.per_mille == 1_000 { price } else { Arc::new(price.scaled(demand.per_mille)) }
            },
        );
    let of_provider = provider.record();
    let mut levels = levels::of(gateway, caller, of_provider, demand).map_err(Refused::target)?;
    let budgets = levels.budgets(gateway).await.map_err(Refused::request)?;
    let unmeasured = demand.endpoint == Endpoint::Other;
    if unmeasured {
        let slug = &provider.record().slug;
        let allowed = super::proxy::may_use(record, slug, budgets.len() > record.budget.iter().len());
        // Another target's provider may have no budget; the key is the same for all.
        let of_key = record.budget.is_some();
        allowed.map_err(|error| if of_key { Refused::request(error) } else { Refused::target(error) })?;
    }
    if !budgets.is_empty() {
        let counts_money = budgets.iter().any(|budget| budget.unit() == Unit::Cost);
        check_money(gateway, provider, demand.model, !counts_money || price.is_some() || unmeasured)?;
    }
    let mut input = demand.fields.map_or_else(Input::default, estimate::input);
    if demand.stored_input {
        // How much is stored is not to be seen here; a model reads no more than its context.
        input.bound += price.as_ref().and_then(|price| price.context).unwrap_or(DEFAULT_CONTEXT);
    }
    let charged = price.as_deref().filter(|price| !price.is_free());
    let is_counted = budgets.iter().any(|budget| match budget.unit() {
        Unit::Cost => charged.is_some(),
        Unit::Tokens => true,
        Unit::Requests => false,
    });
    let reasons = price.as_ref().is_some_and(|price| price.may_reason);
    let metered = is_counted && demand.stream && !reasons && demand.endpoint.wire().is_some();
    let wish = Wish {
        scope: SCOPE,
        // A path may name no model; whoever may use such paths at all was asked above.
        model: (!record.models.is_empty() && (!unmeasured || !demand.model.is_empty()))
            .then(|| (provider.record().slug.as_str().into(), demand.model.into())),
        tokens: u32::try_from(input.likely.saturating_add(demand.max_tokens.unwrap_or(0)))
            .unwrap_or(u32::MAX),
    };
    let tokens = wish.tokens;
    let mut owed = bill(charged, demand, input.bound, metered);
    let already = docket.is_admitted();
    // All are asked before the first is waited for, and answer together.
    let (asked, reserving) = (admitted(key, already, wish), reserve(gateway, &budgets, &owed));
    let (permits, admitted, mut holds) = if gateway.shards.cluster().is_none() {
        (levels.admit(gateway, already, tokens).await, asked.await, reserving.await)
    } else {
        // Each may have to ask Redis besides.
        Box::pin(join3(levels.admit(gateway, already, tokens), asked, reserving)).await
    };
    let admitted = admitted.map_err(GatewayError::from).map_err(Refused::request)?.map_err(|refusal| {
        let error = key_refusal(&refusal, key, &format!("@{}/{}", provider.record().slug, demand.model));
        // The key may not use this model; another target may have one that it may use.
        if refusal == KeyRefusal::Model { Refused::target(error) } else { Refused::request(error) }
    })?;
    let Permits { of_request, of_attempt } = permits?;
    if let Some(permit) = admitted {
        docket.admitted(permit, of_request);
    }
    let views = docket.views(&of_attempt);
    if let (Ok(Err(_)), Some(fields)) = (&holds, demand.fields) {
        // The bound did not fit; the exact count may.
        let exact = if demand.stored_input {
            u64::MAX
        } else {
            Box::pin(count(fields, provider.vendor().slug())).await
        };
        if exact < input.bound {
            owed = bill(charged, demand, exact, metered);
            holds = reserve(gateway, &budgets, &owed).await;
        }
    }
    let holds = match holds.map_err(Refused::request)? {
        Ok(holds) => holds,
        Err((budget, exhausted)) => {
            let (need, _) = owed.of(budget.unit());
            let mut error = budget_refusal(&budget, &exhausted, Some(need));
            error.views = views;
            return Err(Refused::target(error));
        }
    };
    let affords = holds.iter().map(|hold| owed.owed.affords(hold, price.as_deref())).min();
    let cap = match affords {
        Some(affords) if is_counted && !metered && demand.endpoint.wire().is_some() => {
            let affords = affords / demand.n.max(1);
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
        owed: owed.owed,
        permits: of_attempt,
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
        docket.admitted(admitted, Vec::new());
    }
    Ok(docket.views(&[]))
}

/// Asks the key at once, unless an earlier attempt of the request did; then only the model is another one.
fn admitted(
    key: &Arc<KeyHandle>,
    already: bool,
    wish: Wish,
) -> impl Future<Output = Result<Result<Option<KeyPermit>, KeyRefusal>, Unavailable>> {
    let asked = if already {
        let is_allowed =
            wish.model.is_none_or(|(provider, model)| model_allowed(&key.record().models, &provider, &model));
        Err(if is_allowed { Ok(None) } else { Err(KeyRefusal::Model) })
    } else {
        Ok(key.admit(wish))
    };
    async move {
        match asked {
            Ok(asked) => Ok(asked.await?.map(Some)),
            Err(known) => Ok(known),
        }
    }
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

/// Asks all budgets at once; what comes back waits for their answers.
fn reserve(
    gateway: &Gateway,
    budgets: &[Arc<BudgetHandle>],
    bill: &Bill,
) -> impl Future<Output = Result<Result<Vec<Hold>, Short>, GatewayError>> {
    let of = |budget: &BudgetHandle| bill.of(budget.unit());
    let reserving = if gateway.shards.cluster().is_none() {
        Either::Left(reserve_all(budgets, of))
    } else {
        // Boxed: an attempt should carry no state of a cluster that it is not in.
        Either::Right(Box::pin(reserve_shared(budgets, of)))
    };
    async move { Ok(reserving.await?) }
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
