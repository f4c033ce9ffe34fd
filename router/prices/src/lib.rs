//! Money, model prices and token counts.
//!
//! Everything here is pure: bytes and numbers in, numbers out. No file is opened and no socket used; the
//! router's CLI fetches and writes. No float takes part in arithmetic on money.
//!
//! Units, everywhere in this crate:
//!
//! | What | In memory | In files and settings |
//! |---|---|---|
//! | an amount | [`NanoUsd`], 10⁻⁹ dollars | dollars |
//! | a price of tokens or characters | [`PicoUsd`] per one, 10⁻¹² dollars | dollars per million |
//! | a price per request, minute or image | [`PicoUsd`] per one | dollars per one |
//!
//! Failure behaviour: a model without a price is `None`, never zero. A cost is rounded up, what an amount
//! affords is rounded down, and arithmetic that would overflow stays at the largest value.
//!
//! ```
//! use tidegate_prices::{NanoUsd, PriceBook};
//! use tidegate_providers::Usage;
//!
//! let book = PriceBook::embedded();
//! let price = book.lookup("openai", "gpt-4o-2024-08-06").expect("a well-known model");
//! let usage = Usage { input: 1_000, output: 100, ..Usage::default() };
//! assert_eq!(price.cost(&usage).total, "0.0035".parse::<NanoUsd>().unwrap());
//! ```

mod book;
mod cost;
mod custom;
mod decimal;
mod fields;
mod media;
mod money;
mod name;
mod part;
mod pico;
mod price;
pub mod refresh;
mod table;
pub mod tokens;

pub use book::PriceBook;
pub use cost::Cost;
pub use custom::CustomPrices;
pub use decimal::DecimalError;
pub use fields::PriceError;
pub use money::{NanoUsd, dollars};
pub use part::{Part, Rates};
pub use pico::PicoUsd;
pub use price::{Kind, Price, Tier};
pub use table::{Table, TableError, Vendor};
