//! What of a request is still to be written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::body::{OutBody, Upload};
use super::call::Call;
use super::connect::Link;
use super::exchange::Broken;
use super::head::{self, Length};

/// Bodies up to this many bytes are copied behind their heads: one write of one piece.
const SMALL: usize = 16 << 10;

/// What is still to be written.
#[derive(Debug)]
pub(super) struct Unsent {
    /// The head, a small body with it; then the line of a chunk.
    lead: Bytes,
    /// A large body, or a piece of one.
    piece: Bytes,
    /// Where more comes from.
    upload: Option<Upload>,
    /// Whether pieces are chunks; else how much of them was announced.
    length: Length,
    /// A byte went out.
    begun: bool,
    flushed: bool,
}

impl Unsent {
    /// Takes a request apart. Gives a copy of it back where `again` asks for one and it can be had.
    pub(super) fn new(call: Call, again: bool) -> (Self, Option<Call>) {
        let Call { method, envelope, body } = call;
        let mut lead;
        let mut unsent = Self {
            lead: Bytes::new(),
            piece: Bytes::new(),
            upload: None,
            length: Length::Known(0),
            begun: false,
            flushed: false,
        };
        let mut copy = None;
        match body {
            OutBody::Whole(bytes) => {
                let room = envelope.lines.len() + 256 + if bytes.len() <= SMALL { bytes.len() } else { 0 };
                lead = Vec::with_capacity(room);
                head::write(&method, &envelope, Length::Known(bytes.len() as u64), &mut lead);
                if bytes.len() <= SMALL {
                    lead.extend_from_slice(&bytes);
                } else {
                    unsent.piece = bytes.clone();
                }
                copy = again.then_some(Call { method, envelope, body: OutBody::Whole(bytes) });
            }
            OutBody::Upload(upload) => {
                lead = Vec::with_capacity(envelope.lines.len() + 256);
                unsent.length = upload.length().map_or(Length::Unknown, Length::Known);
                head::write(&method, &envelope, unsent.length, &mut lead);
                unsent.upload = Some(upload);
            }
        }
        unsent.lead = lead.into();
        (unsent, copy)
    }

    /// Returns whether all of it was written.
    pub(super) fn is_done(&self) -> bool {
        self.flushed
    }

    /// Returns whether anything was written.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Writes as much as the connection takes.
    ///
    /// # Errors
    /// Writing failed, or the body ended too early.
    pub(super) fn poll(&mut self, link: &mut Link, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.flushed {
            return Poll::Ready(Ok(()));
        }
        loop {
            while self.lead.has_remaining() || self.piece.has_remaining() {
                ready!(self.poll_write(link, context))?;
            }
            let Some(upload) = &mut self.upload else {
                ready!(Pin::new(&mut *link).poll_flush(context))?;
                self.flushed = true;
                (self.lead, self.piece) = (Bytes::new(), Bytes::new());
                return Poll::Ready(Ok(()));
            };
            match upload.poll(context) {
                Poll::Ready(Some(piece)) => self.put(piece?),
                Poll::Ready(None) => {
                    self.upload = None;
                    match self.length {
                        Length::Unknown => self.lead = Bytes::from_static(b"0\r\n\r\n"),
                        Length::Known(0) => {}
                        Length::Known(_) => {
                            let short = "it is shorter than announced".to_owned();
                            return Poll::Ready(Err(super::body::UploadFailure::Broken(short).into()));
                        }
                    }
                }
                Poll::Pending => {
                    ready!(Pin::new(&mut *link).poll_flush(context))?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Takes the next piece of an upload.
    fn put(&mut self, mut piece: Bytes) {
        match &mut self.length {
            Length::Known(left) => {
                // More than was announced would be taken for another request.
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                self.piece = piece;
            }
            Length::Unknown if piece.is_empty() => {}
            Length::Unknown => {
                let mut chunk = Vec::with_capacity(piece.len() + 20);
                chunk.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                chunk.extend_from_slice(&piece);
                chunk.extend_from_slice(b"\r\n");
                self.lead = chunk.into();
            }
        }
    }

    fn poll_write(&mut self, link: &mut Link, context: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let link = Pin::new(link);
        let written = if self.piece.is_empty() {
            ready!(link.poll_write(context, &self.lead))?
        } else {
            let slices = [IoSlice::new(&self.lead), IoSlice::new(&self.piece)];
            ready!(link.poll_write_vectored(context, &slices[usize::from(self.lead.is_empty())..]))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
        }
        self.begun = true;
        let of_lead = written.min(self.lead.len());
        self.lead.advance(of_lead);
        self.piece.advance(written - of_lead);
        Poll::Ready(Ok(()))
    }
}
