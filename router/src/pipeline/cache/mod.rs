//! Kept answers on the way of a request: between the guards before it and the first attempt.
//!
//! [`Wish`] says what config and headers want, [`identity`] what makes a request the same as another. Trip::cached looks
//! for an entry and gives a [`Hit`](Looked::Hit) or a [`Watch`], which keeps the answer that comes. Guards before the
//! request have judged by then: nothing that they deny is answered from here. What is kept is what a client got, so
//! guards after the request have judged it, and their versions and parameters are part of the key.

mod compared;
mod embed;
mod hit;
mod identity;
mod kept;
mod lookup;
mod record;
mod replay;
mod wish;

pub use kept::KeptStream;
pub(super) use lookup::{Looked, Seen};
