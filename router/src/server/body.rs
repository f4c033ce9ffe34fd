//! The body of a request, on its way from the connection to the handler: bounded, without a copy.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use actix_web::error::PayloadError;
use bytes::Bytes;
use tokio_stream::Stream;

/// Bytes that wait for the handler before no more are read from the client.
const AHEAD: usize = 32 << 10;

#[derive(Default)]
struct Shared {
    pieces: VecDeque<Bytes>,
    held: usize,
    end: Option<Result<(), PayloadError>>,
    reader: Option<Waker>,
    feeder: Option<Waker>,
}

/// The handler's end.
pub(crate) struct Body(Rc<RefCell<Shared>>);

/// The connection's end. If it goes before the end of the body, that is incomplete.
pub(super) struct Feeder(Weak<RefCell<Shared>>);

/// Makes both ends.
pub(super) fn body() -> (Feeder, Body) {
    let shared = Rc::new(RefCell::default());
    (Feeder(Rc::downgrade(&shared)), Body(shared))
}

impl Feeder {
    /// Returns whether more may be read. If not, the connection is woken when the handler took some. A body that
    /// nobody reads any more is wanted: it is thrown away.
    pub(super) fn wants(&self, cx: &Context<'_>) -> bool {
        let Some(shared) = self.0.upgrade() else { return true };
        let mut shared = shared.borrow_mut();
        let wants = shared.held < AHEAD;
        if !wants {
            shared.feeder = Some(cx.waker().clone());
        }
        wants
    }

    /// Passes bytes on.
    pub(super) fn feed(&self, piece: Bytes, cx: &Context<'_>) {
        self.change(cx, |shared| {
            shared.held += piece.len();
            shared.pieces.push_back(piece);
        });
    }

    /// Ends the body, well or not.
    pub(super) fn end(&self, end: Result<(), PayloadError>, cx: &Context<'_>) {
        self.change(cx, |shared| shared.end = Some(end));
    }

    /// The handler is polled after each change by the connection's own task; only others are woken.
    fn change(&self, cx: &Context<'_>, change: impl FnOnce(&mut Shared)) {
        let Some(shared) = self.0.upgrade() else { return };
        let reader = {
            let mut shared = shared.borrow_mut();
            change(&mut shared);
            shared.reader.take()
        };
        if let Some(reader) = reader.filter(|reader| !reader.will_wake(cx.waker())) {
            reader.wake();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        let Some(shared) = self.0.upgrade() else { return };
        let reader = {
            let mut shared = shared.borrow_mut();
            if shared.end.is_some() {
                return;
            }
            shared.end = Some(Err(PayloadError::Incomplete(None)));
            shared.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.0.borrow_mut();
        if let Some(piece) = shared.pieces.pop_front() {
            shared.held -= piece.len();
            if shared.held < AHEAD
                && let Some(feeder) = shared.feeder.take()
                && !feeder.will_wake(cx.waker())
            {
                feeder.wake();
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        match shared.end.replace(Ok(())) {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                shared.end = None;
                shared.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(feeder) = self.0.borrow_mut().feeder.take() {
            feeder.wake();
        }
    }
}
