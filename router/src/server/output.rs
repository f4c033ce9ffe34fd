//! What waits to be written to a client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite;

/// What is kept of the buffer between two pieces of an answer.
const KEPT: usize = 1 << 10;

/// The write buffer of a connection.
#[derive(Default)]
pub(super) struct Output {
    bytes: BytesMut,
    written: usize,
    blocked: bool,
}

impl Output {
    /// Returns where to write to.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Returns how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Returns whether the client has not yet taken what was there.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Gives the memory back. Nothing must wait.
    pub(super) fn release(&mut self) {
        debug_assert_eq!(self.len(), 0, "something waits to be written");
        self.bytes = BytesMut::new();
    }

    /// Writes all there is.
    pub(super) fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.blocked = true;
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut *io).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.blocked = false;
        self.written = 0;
        if self.bytes.capacity() > KEPT {
            self.bytes = BytesMut::new();
        } else {
            self.bytes.clear();
        }
        Poll::Ready(Ok(()))
    }
}
