//! Portkey's results, and streams.

mod observed;
mod streams;
