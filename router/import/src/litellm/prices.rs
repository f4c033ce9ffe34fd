//! Prices of deployments.

use crate::decimal;
use crate::draft::Draft;
use crate::error::ImportError;
use crate::place::Place;

/// LiteLLM's prices of one token, and the names of prices of a million here.
pub(super) const NAMES: [(&str, &str); 6] = [
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("cache_read_input_token_cost", "cached_input"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("input_cost_per_audio_token", "audio_input"),
];

/// Reads prices from the places that may hold them, the first one first.
pub(super) fn read(
    places: &[Option<&Place<'_>>],
    draft: &mut Draft,
) -> Result<Vec<(&'static str, String)>, ImportError> {
    let mut prices: Vec<(&'static str, String)> = Vec::new();
    let mut at = None;
    for (theirs, ours) in NAMES {
        let Some(place) = places.iter().flatten().find_map(|place| place.get(theirs)) else { continue };
        let Some((price, is_cut)) = decimal::per_million(&place.text()?) else {
            return Err(place.wrong("a price of one token like 0.0000015 is expected"));
        };
        if is_cut {
            draft.note(place.path.clone(), "is cut to a millionth of a dollar for a million tokens");
        }
        at = at.or(Some(place.path));
        prices.push((ours, price));
    }
    let Some(at) = at else { return Ok(prices) };
    // Both go together here.
    for (name, position) in [("input", 0), ("output", 1)] {
        if !prices.iter().any(|(known, _)| *known == name) {
            draft.note(at.clone(), format!("no price of {name} stands beside it; 0 is written"));
            prices.insert(position.min(prices.len()), (name, "0.0".to_owned()));
        }
    }
    Ok(prices)
}
