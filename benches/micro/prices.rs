//! What does it cost to know what something costs? Look-ups against a plain map, costs against floats, token counts
//! against a quarter of the bytes.

mod table;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use tidegate_prices::{Price, PriceBook, tokens};
use tidegate_providers::Usage;

use crate::table::{Group, Table};

const WORD: &str = " harbour";
const PIECE: &str = " harbour master opens the gate.";

fn look_up(group: &mut Group<'_>) {
    let book = PriceBook::embedded();
    let price = book.lookup("openai", "gpt-4o").expect("a price");
    let map: HashMap<(&str, &str), Arc<Price>> = [(("openai", "gpt-4o"), price)].into_iter().collect();
    group.bench("map", |b| b.iter(|| map.get(&black_box(("openai", "gpt-4o"))).cloned()));
    for (name, vendor, model) in [
        ("known name", "openai", "gpt-4o"),
        ("dated name", "openai", "gpt-4o-2030-01-01"),
        ("another vendor's price", "azure-openai", "gpt-4o"),
        ("behind openrouter", "openrouter", "anthropic/claude-opus-5.5"),
    ] {
        assert!(book.lookup(vendor, model).is_some(), "{vendor} {model}");
        group.bench(name, |b| b.iter(|| book.lookup(black_box(vendor), black_box(model))));
    }
    group.bench("unknown name", |b| b.iter(|| book.lookup(black_box("openai"), black_box("gpt-404"))));
}

fn cost(group: &mut Group<'_>) {
    let book = PriceBook::embedded();
    let usage = Usage { input: 12_345, cached_input: 8_192, output: 678, reasoning: 128, ..Usage::default() };
    let rates = (2.5e-6, 1.25e-6, 10e-6);
    group.bench("floats", |b| {
        b.iter(|| {
            let (usage, (input, cached, output)) = (black_box(&usage), black_box(rates));
            let fresh = usage.input - usage.cached_input;
            fresh as f64 * input + usage.cached_input as f64 * cached + usage.output as f64 * output
        });
    });
    for (name, vendor, model) in
        [("flat price", "openai", "gpt-4o"), ("price with tiers", "google", "gemini-2.5-pro")]
    {
        let price = book.lookup(vendor, model).expect("a price");
        group.bench(name, |b| b.iter(|| price.cost(black_box(&usage))));
    }
}

fn count(group: &mut Group<'_>) {
    let text = PIECE.repeat(33);
    group.bench("bytes by 4", |b| b.iter(|| black_box(WORD).len().div_ceil(4)));
    group.bench("a word", |b| b.iter(|| tokens::count_piece(black_box(WORD))));
    group.bench("31 bytes", |b| b.iter(|| tokens::count_piece(black_box(PIECE))));
    group.bench("1 KB", |b| b.iter(|| tokens::count(black_box(&text))));
}

fn main() {
    let mut table = Table::new();
    table.group("look up a price", 1, look_up);
    table.group("cost of an answer", 1, cost);
    table.group("count tokens", 1, count);
    table.print();
}
