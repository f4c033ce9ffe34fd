//! Pure state machines behind the actors. Time is an argument; nothing here waits, locks or logs.

mod allow;
mod breaker;
mod gate;
mod rate;
mod spend;
mod tally;

pub use allow::model_allowed;
pub use breaker::{Breaker, BreakerRules, BreakerView, Pass, Sign};
pub use gate::{Gate, Grant, Refusal};
pub use rate::{RateKind, RateLimit, RateView};
pub use spend::{Exhausted, Spend, granted};
