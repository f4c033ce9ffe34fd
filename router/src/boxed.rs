//! Futures that are made where they live.

use std::pin::Pin;

/// Makes a future on the heap. `Box::pin` makes it on the stack and moves it: a future of a whole request is many
/// kilobytes, of which only what it begins with is written here.
#[inline(always)]
pub(crate) fn boxed<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let place = Box::new_uninit();
    Box::into_pin(Box::write(place, make()))
}
