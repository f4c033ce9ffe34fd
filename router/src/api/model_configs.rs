//! `GET /model-configs/pricing/{provider}/{model}` and `/model-configs/general/…`: what the price table knows, in
//! Portkey's words and cents per token. Prices are public: no key is needed.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};
use tidegate_prices::{Part, Price};

use super::offer::Offered;
use super::render;
use crate::error::{ErrorKind, GatewayError};
use crate::governance::providers::PRICES;
use crate::pipeline::Dialect;
use crate::server::Worker;

/// A cent in pico-dollars.
const CENT: f64 = 1e10;

/// Adds the routes, with Portkey's version prefixes and without.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    for version in ["", "/v1", "/v2"] {
        let at = |what: &str| {
            Offered::to_pages(&format!("{version}/model-configs/{what}/{{provider}}/{{model:.+}}"))
        };
        config
            .service(at("pricing").on(Method::GET, pricing).done())
            .service(at("general").on(Method::GET, general).done());
    }
}

async fn pricing(
    request: HttpRequest,
    worker: web::Data<Worker>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    answer(&request, &worker, &path, |price| json!({"pay_as_you_go": listed(price), "currency": "USD"}))
}

async fn general(
    request: HttpRequest,
    worker: web::Data<Worker>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    answer(&request, &worker, &path, |price| {
        let most = price.max_output.map(|most| json!({"key": "max_tokens", "minValue": 1, "maxValue": most}));
        json!({
            "type": {"primary": serde_json::to_value(price.kind).unwrap_or_default(), "supported": []},
            "params": most.into_iter().collect::<Vec<_>>(),
            "max_output_tokens": price.max_output,
            "context_window": price.context,
        })
    })
}

fn answer(
    request: &HttpRequest,
    worker: &Worker,
    (provider, model): &(String, String),
    show: impl Fn(&Price) -> Value,
) -> HttpResponse {
    match worker.gateway.prices.listed(provider, model) {
        Some(price) => render::document(request, worker, &show(&price)),
        None => {
            let message = format!("nothing is known of model \"{model}\" of {provider}");
            let error = GatewayError::new(ErrorKind::NotFound, message).at("model");
            render::refusal(request, worker, Dialect::OpenAi, &error)
        }
    }
}

/// Writes the prices of tokens; those that are as the plain ones are left out.
fn listed(price: &Price) -> Value {
    let mut all = Map::new();
    for (theirs, ours) in PRICES {
        let Some(part) = Part::ALL.into_iter().find(|part| part.name() == ours) else { continue };
        let plain = match part {
            Part::Input | Part::Output => None,
            Part::Reasoning | Part::AudioOutput | Part::ImageOutput => Some(Part::Output),
            _ => Some(Part::Input),
        };
        let rate = price.rates.of(part);
        if plain.is_some_and(|plain| price.rates.of(plain) == rate) {
            continue;
        }
        #[expect(clippy::cast_precision_loss, reason = "prices of tokens are far below 2^53 pico-dollars")]
        let cents = rate.0 as f64 / CENT;
        all.insert(theirs.to_owned(), json!({"price": cents}));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_shown_in_cents_per_token() {
        let price: Price =
            serde_json::from_str(r#"{"input":"2.50","output":"10","cached_input":"1.25"}"#).unwrap();
        let shown = listed(&price);
        assert_eq!(shown["request_token"]["price"], 0.00025);
        assert_eq!(shown["response_token"]["price"], 0.001);
        assert_eq!(shown["cache_read_input_token"]["price"], 0.000_125);
        assert!(shown.get("reasoning_token").is_none(), "{shown}");
    }
}
