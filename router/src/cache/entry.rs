//! One kept answer, in memory and as bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::digest::Key;

/// What serialised entries begin with: format version 1.
const MAGIC: &[u8; 4] = b"TGC1";
/// What an entry takes besides its own bytes: the slot in the map, the counted pointer, allocations' heads. Measured by
/// the test of the memory bound.
const OVERHEAD: usize = 384;

/// A part of a recorded stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Milliseconds from the start of the recording.
    pub after_ms: u32,
    /// Its length in bytes.
    pub length: u32,
}

/// An answer as a client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was made, milliseconds since the epoch.
    pub made_ms: i64,
    /// When it is thrown away, milliseconds since the epoch.
    pub until_ms: i64,
    /// What it cost.
    pub cost_nano_usd: Option<i64>,
    /// Its content type.
    pub content_type: Box<str>,
    /// How guards judged the stream, where some did.
    pub guarded: Box<str>,
    /// The pieces of a stream, in order; `None` for a whole answer.
    pub pieces: Option<Box<[Piece]>>,
    /// The bytes.
    pub body: Bytes,
}

impl Entry {
    /// Returns the bytes of memory that it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let pieces = self.pieces.as_deref().map_or(0, size_of_val);
        self.body.len() + self.content_type.len() + self.guarded.len() + pieces + OVERHEAD
    }

    /// Writes the entry, with the key that it belongs to.
    #[must_use]
    pub fn to_bytes(&self, key: &Key) -> Vec<u8> {
        let pieces = self.pieces.as_deref().unwrap_or_default();
        let mut out = Vec::with_capacity(self.body.len() + pieces.len() * 8 + 256);
        out.put_slice(MAGIC);
        out.put_slice(&key.digest);
        out.put_i64_le(self.made_ms);
        out.put_i64_le(self.until_ms);
        out.put_u8(u8::from(self.cost_nano_usd.is_some()));
        out.put_i64_le(self.cost_nano_usd.unwrap_or(0));
        for text in [&self.content_type, &self.guarded] {
            out.put_u32_le(u32::try_from(text.len()).unwrap_or(0));
            out.put_slice(text.as_bytes());
        }
        out.put_u8(u8::from(self.pieces.is_some()));
        out.put_u32_le(u32::try_from(pieces.len()).unwrap_or(0));
        for piece in pieces {
            out.put_u32_le(piece.after_ms);
            out.put_u32_le(piece.length);
        }
        out.put_slice(&self.body);
        out
    }

    /// Reads an entry; `None` when the bytes are none, or another key's.
    #[must_use]
    pub fn from_bytes(key: &Key, bytes: Vec<u8>) -> Option<Self> {
        let mut rest = Bytes::from(bytes);
        if take(&mut rest, 4)? != MAGIC[..] || take(&mut rest, 32)? != key.digest[..] {
            return None;
        }
        let made_ms = rest.try_get_i64_le().ok()?;
        let until_ms = rest.try_get_i64_le().ok()?;
        let priced = rest.try_get_u8().ok()? != 0;
        let cost = rest.try_get_i64_le().ok()?;
        let mut text = || {
            let length = rest.try_get_u32_le().ok()? as usize;
            Some(std::str::from_utf8(&take(&mut rest, length)?).ok()?.into())
        };
        let (content_type, guarded) = (text()?, text()?);
        let streamed = rest.try_get_u8().ok()? != 0;
        let count = rest.try_get_u32_le().ok()? as usize;
        if count.checked_mul(8).is_none_or(|bytes| bytes > rest.len()) {
            return None;
        }
        let mut pieces = Vec::with_capacity(count);
        for _ in 0..count {
            pieces.push(Piece { after_ms: rest.get_u32_le(), length: rest.get_u32_le() });
        }
        let total: usize = pieces.iter().map(|piece| piece.length as usize).sum();
        if streamed && total != rest.len() {
            return None;
        }
        Some(Self {
            made_ms,
            until_ms,
            cost_nano_usd: priced.then_some(cost),
            content_type,
            guarded,
            pieces: streamed.then(|| pieces.into_boxed_slice()),
            body: rest,
        })
    }
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (rest.len() >= length).then(|| rest.split_to(length))
}

/// Copies bytes into a buffer of exactly their length: a slice would keep all of the buffer that it is cut from.
#[must_use]
pub(super) fn exact(bytes: &[u8]) -> Bytes {
    let mut own = BytesMut::with_capacity(bytes.len());
    own.put_slice(bytes);
    own.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> Key {
        Key { tenant: [1; 8], digest: [byte; 32] }
    }

    fn entry(body: Vec<u8>, lengths: Option<Vec<u32>>) -> Entry {
        let piece = |(at, length): (usize, u32)| Piece { after_ms: at as u32 * 7, length };
        Entry {
            made_ms: 1_790_000_000_123,
            until_ms: 1_790_000_100_123,
            cost_nano_usd: Some(-1),
            content_type: "text/event-stream".into(),
            guarded: "windows".into(),
            pieces: lengths.map(|lengths| lengths.into_iter().enumerate().map(piece).collect()),
            body: body.into(),
        }
    }

    #[test]
    fn another_keys_entry_is_none() {
        let entry = entry(b"{}".to_vec(), None);
        let bytes = entry.to_bytes(&key(1));
        assert_eq!(Entry::from_bytes(&key(1), bytes.clone()), Some(entry));
        assert_eq!(Entry::from_bytes(&key(2), bytes), None);
    }

    proptest! {
        #[test]
        fn entries_survive_being_written_and_cut_ones_are_none(lengths in proptest::collection::vec(0u32..50, 0..20), cut in 1usize..40) {
            let body: Vec<u8> = (0..lengths.iter().sum::<u32>()).map(|at| at as u8).collect();
            let entry = entry(body, Some(lengths));
            let bytes = entry.to_bytes(&key(1));
            prop_assert_eq!(Entry::from_bytes(&key(1), bytes.clone()), Some(entry));
            prop_assert_eq!(Entry::from_bytes(&key(1), bytes[..bytes.len() - cut].to_vec()), None);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut whole = [&MAGIC[..], &[1; 32]].concat();
            whole.extend_from_slice(&bytes);
            let _any = Entry::from_bytes(&key(1), whole);
            let _any = Entry::from_bytes(&key(1), bytes);
        }
    }
}
