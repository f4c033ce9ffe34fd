//! Makes bytes safe for the SSE reader: valid UTF-8, no byte order mark, whole characters.
//!
//! The reader (eventsource-stream 0.2.3) panics at a byte order mark and waits for ever behind an invalid byte; the
//! SSE standard strips the first and replaces the second.

use bytes::{Bytes, BytesMut};

const BOM: &[u8] = b"\xef\xbb\xbf";
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Cleans one stream, read by read.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    /// The beginning of a character whose rest is not here yet; at most three bytes.
    cut: Vec<u8>,
    begun: bool,
}

impl Cleaner {
    /// Returns what is whole, and keeps the beginning of a character that is cut.
    pub(super) fn clean(&mut self, bytes: Bytes) -> Bytes {
        if self.begun && self.cut.is_empty() && std::str::from_utf8(&bytes).is_ok() {
            return bytes;
        }
        let mut all = std::mem::take(&mut self.cut);
        all.extend_from_slice(&bytes);
        if !self.begun {
            if all.len() < BOM.len() && BOM.starts_with(&all) {
                self.cut = all;
                return Bytes::new();
            }
            self.begun = true;
            if all.starts_with(BOM) {
                all.drain(..BOM.len());
            }
        }
        let mut out = BytesMut::with_capacity(all.len());
        let mut rest = &all[..];
        while let Err(error) = std::str::from_utf8(rest) {
            let (good, bad) = rest.split_at(error.valid_up_to());
            out.extend_from_slice(good);
            let Some(length) = error.error_len() else {
                self.cut = bad.to_vec();
                return out.freeze();
            };
            out.extend_from_slice(REPLACEMENT);
            rest = &bad[length..];
        }
        out.extend_from_slice(rest);
        out.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clean(pieces: &[&[u8]]) -> Vec<u8> {
        let mut cleaner = Cleaner::default();
        pieces.iter().flat_map(|piece| cleaner.clean(Bytes::copy_from_slice(piece)).to_vec()).collect()
    }

    #[test]
    fn a_byte_order_mark_goes_wherever_it_is_cut() {
        for cut in 0..=5 {
            let text = "\u{feff}dé".as_bytes();
            assert_eq!(clean(&[&text[..cut], &text[cut..]]), "dé".as_bytes());
        }
        assert_eq!(clean(&["a\u{feff}".as_bytes()]), "a\u{feff}".as_bytes());
    }

    #[test]
    fn an_invalid_byte_is_replaced_and_holds_nothing_up() {
        assert_eq!(clean(&[b"data: a\xffb\n\n"]), "data: a\u{fffd}b\n\n".as_bytes());
    }

    proptest! {
        #[test]
        fn any_cut_of_any_text_gives_the_text(text in "\\PC{0,40}", cut in 0usize..160) {
            prop_assume!(!text.starts_with('\u{feff}'));
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(clean(&[&bytes[..cut], &bytes[cut..]]), bytes);
        }

        #[test]
        fn any_bytes_become_text(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..60) {
            let cut = cut.min(bytes.len());
            prop_assert!(std::str::from_utf8(&clean(&[&bytes[..cut], &bytes[cut..]])).is_ok());
        }
    }
}
