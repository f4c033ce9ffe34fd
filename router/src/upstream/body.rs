//! Bodies of requests to vendors: whole, or streamed as the client sends them.
//!
//! A streamed body can be sent once. It holds no more than a few pieces: the client is not read before the vendor took
//! what there was.

use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Pieces that wait between the client's socket and the vendor's.
const WAITING: usize = 2;

/// A body for a vendor.
#[derive(Debug)]
pub enum OutBody {
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Upload(Upload),
}

/// Why a client's body ended too early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UploadFailure {
    /// It is larger than is let through.
    #[error("the body exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The client sent nothing for too long.
    #[error("no more of the body came for {ms} ms")]
    Slow {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The client broke off.
    #[error("the body could not be read: {0}")]
    Broken(String),
}

/// Where a client's body is put, piece by piece.
#[derive(Debug)]
pub struct UploadSender {
    pieces: mpsc::Sender<Bytes>,
    failure: Arc<OnceLock<UploadFailure>>,
    complete: Arc<OnceLock<()>>,
}

/// A client's body on its way to a vendor.
#[derive(Debug)]
pub struct Upload {
    pieces: mpsc::Receiver<Bytes>,
    failure: Arc<OnceLock<UploadFailure>>,
    complete: Arc<OnceLock<()>>,
    /// What is still to come, where the client announced it.
    length: Option<u64>,
}

/// Makes a body that is streamed; `length` is what the client announced.
#[must_use]
pub fn upload(length: Option<u64>) -> (UploadSender, Upload) {
    let (sender, pieces) = mpsc::channel(WAITING);
    let (failure, complete) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
    let sender = UploadSender { pieces: sender, failure: failure.clone(), complete: complete.clone() };
    (sender, Upload { pieces, failure, complete, length })
}

impl UploadSender {
    /// Puts a piece; false when nobody wants more.
    pub async fn put(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Waits until nobody wants more.
    pub async fn unwanted(&self) {
        self.pieces.closed().await;
    }

    /// Says that this was all.
    pub fn end(self) {
        let _first = self.complete.set(());
    }

    /// Says why there is no more. A sender that is dropped without a word broke off.
    pub fn fail(self, why: UploadFailure) {
        let _first = self.failure.set(why);
    }
}

impl Upload {
    /// Returns where it will stand why the body ended too early.
    #[must_use]
    pub fn failure(&self) -> Arc<OnceLock<UploadFailure>> {
        self.failure.clone()
    }

    /// Returns the next piece.
    ///
    /// # Errors
    /// Why the body ended too early.
    pub async fn next(&mut self) -> Option<Result<Bytes, UploadFailure>> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// Returns how much is still to come, where the client announced it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadFailure>>> {
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(piece) => {
                self.length = self.length.map(|length| length.saturating_sub(piece.len() as u64));
                Some(Ok(piece))
            }
            None if self.complete.get().is_some() => None,
            None => Some(Err(self
                .failure
                .get_or_init(|| UploadFailure::Broken("the client left".to_owned()))
                .clone())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_ends_only_when_its_sender_says_so() {
        let (sender, mut body) = upload(Some(3));
        assert_eq!(body.length(), Some(3));
        assert!(sender.put(Bytes::from_static(b"abc")).await);
        sender.end();
        assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"abc"))));
        assert_eq!(body.next().await, None);
        let (sender, mut body) = upload(None);
        drop(sender);
        assert!(matches!(body.next().await, Some(Err(UploadFailure::Broken(_)))));
        let (sender, mut body) = upload(None);
        sender.fail(UploadFailure::TooLarge { limit: 1 });
        assert_eq!(body.next().await, Some(Err(UploadFailure::TooLarge { limit: 1 })));
    }

    #[tokio::test]
    async fn a_sender_learns_that_nobody_wants_more() {
        let (sender, body) = upload(None);
        drop(body);
        sender.unwanted().await;
        assert!(!sender.put(Bytes::new()).await);
    }
}
