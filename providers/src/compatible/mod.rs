//! Vendors that speak OpenAI's wire, a table row each.
