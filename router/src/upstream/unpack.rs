//! Bodies that are packed: a vendor's, although it was asked not to, and those of clients. Gzip and deflate, unpacked as
//! they come.
//!
//! What is packed may be a thousand times larger when unpacked. It is unpacked in small pieces, each of which is taken
//! before the next, so that whoever reads can stop at its limit.

use std::io::{self, Write};

use bytes::{Buf, Bytes};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// So many packed bytes are unpacked at once: 4 MiB at most.
const PIECE: usize = 4 << 10;

/// Unpacks one body.
#[derive(Debug)]
pub(crate) struct Unpacking {
    coding: Coding,
    /// What is not unpacked yet.
    packed: Bytes,
    is_over: bool,
}

#[derive(Debug)]
enum Coding {
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// Of `deflate` the first byte tells which one it is: some servers leave zlib's head out.
    Unknown,
    Zlib(ZlibDecoder<Vec<u8>>),
    Deflate(DeflateDecoder<Vec<u8>>),
}

impl Unpacking {
    /// Begins; `None` where a coding can't be unpacked here.
    pub(crate) fn of(coding: &str) -> Option<Self> {
        let coding = match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Coding::Gzip(MultiGzDecoder::new(Vec::new())),
            "deflate" => Coding::Unknown,
            _ => return None,
        };
        Some(Self { coding, packed: Bytes::new(), is_over: false })
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, packed: Bytes) {
        self.packed = packed;
    }

    /// Returns the next unpacked bytes; `None` when more must be added.
    ///
    /// # Errors
    /// When the bytes are not what they are said to be.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.packed.is_empty() {
            let piece = self.packed.split_to(PIECE.min(self.packed.len()));
            let unpacked = self.unpack(&piece)?;
            if !unpacked.is_empty() {
                return Ok(Some(unpacked));
            }
        }
        Ok(None)
    }

    /// Ends where the body ends, and returns the last bytes once.
    ///
    /// # Errors
    /// When something is missing.
    pub(crate) fn finish(&mut self) -> io::Result<Option<Bytes>> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(None);
        }
        match &mut self.coding {
            Coding::Gzip(decoder) => decoder.try_finish()?,
            Coding::Zlib(decoder) => decoder.try_finish()?,
            Coding::Deflate(decoder) => decoder.try_finish()?,
            Coding::Unknown => {}
        }
        Ok(Some(self.taken()).filter(|bytes| !bytes.is_empty()))
    }

    fn unpack(&mut self, mut piece: &[u8]) -> io::Result<Bytes> {
        if let (Coding::Unknown, Some(first)) = (&self.coding, piece.chunk().first()) {
            self.coding = if first & 0x0f == 8 {
                Coding::Zlib(ZlibDecoder::new(Vec::new()))
            } else {
                Coding::Deflate(DeflateDecoder::new(Vec::new()))
            };
        }
        let decoder: &mut dyn Write = match &mut self.coding {
            Coding::Gzip(decoder) => decoder,
            Coding::Zlib(decoder) => decoder,
            Coding::Deflate(decoder) => decoder,
            Coding::Unknown => return Ok(Bytes::new()),
        };
        while !piece.is_empty() {
            let written = decoder.write(piece)?;
            if written == 0 {
                // Some servers write more behind the end.
                break;
            }
            piece = &piece[written..];
        }
        decoder.flush()?;
        Ok(self.taken())
    }

    fn taken(&mut self) -> Bytes {
        match &mut self.coding {
            Coding::Gzip(decoder) => std::mem::take(decoder.get_mut()).into(),
            Coding::Zlib(decoder) => std::mem::take(decoder.get_mut()).into(),
            Coding::Deflate(decoder) => std::mem::take(decoder.get_mut()).into(),
            Coding::Unknown => Bytes::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    /// Packs texts, each so that it can be unpacked before the next one comes.
    fn packed<W: Write>(mut encoder: W, out: impl Fn(&mut W) -> Vec<u8>, texts: &[&str]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        for text in texts {
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.flush().unwrap();
            pieces.push(out(&mut encoder));
        }
        pieces
    }

    fn all(unpacking: &mut Unpacking, packed: &[u8]) -> Vec<u8> {
        unpacking.push(Bytes::copy_from_slice(packed));
        let mut out = Vec::new();
        while let Some(bytes) = unpacking.next().unwrap() {
            out.extend_from_slice(&bytes);
        }
        out
    }

    #[test]
    fn every_piece_is_unpacked_when_it_comes() {
        let texts = ["data: one\n\n", "data: two\n\n"];
        let level = Compression::default();
        let gzip = packed(GzEncoder::new(Vec::new(), level), |gz| std::mem::take(gz.get_mut()), &texts);
        let zlib = packed(ZlibEncoder::new(Vec::new(), level), |z| std::mem::take(z.get_mut()), &texts);
        let raw = packed(DeflateEncoder::new(Vec::new(), level), |z| std::mem::take(z.get_mut()), &texts);
        for (coding, pieces) in [("gzip", gzip), ("Deflate", zlib), ("deflate", raw)] {
            let mut unpacking = Unpacking::of(coding).unwrap();
            for (piece, text) in pieces.iter().zip(texts) {
                assert_eq!(all(&mut unpacking, piece), text.as_bytes(), "{coding}");
            }
        }
        assert!(Unpacking::of("br").is_none());
    }

    #[test]
    fn a_large_text_comes_in_pieces_and_a_cut_one_is_an_error() {
        let text = "a".repeat(32 << 20);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let mut unpacking = Unpacking::of("gzip").unwrap();
        unpacking.push(packed.clone().into());
        let first = unpacking.next().unwrap().unwrap();
        assert!(first.len() < 6 << 20, "{}", first.len());
        let mut unpacking = Unpacking::of("gzip").unwrap();
        let mut length = all(&mut unpacking, &packed).len();
        length += unpacking.finish().unwrap().map_or(0, |bytes| bytes.len());
        assert_eq!(length, text.len());
        assert!(unpacking.finish().unwrap().is_none());
        let mut cut = Unpacking::of("gzip").unwrap();
        all(&mut cut, &packed[..packed.len() / 2]);
        assert!(cut.finish().is_err());
        let mut wrong = Unpacking::of("gzip").unwrap();
        wrong.push(Bytes::from_static(b"{\"no\":\"gzip, but long enough for its head\"}"));
        assert!(wrong.next().is_err());
    }
}
