//! Where the body of an answer ends, and which of the bytes are its own (RFC 9112, 6 and 7.1).

use bytes::BytesMut;

/// Longest line of a chunk's size, and most bytes of trailers.
const LONGEST_LINE: usize = 16 << 10;

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Everything until the connection closes.
    UntilClose,
    /// Nothing.
    Over,
}

/// Where in its chunks a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line of a chunk's size.
    Size {
        /// The size so far.
        size: u64,
        /// Whether a digit came.
        begun: bool,
        /// Whether the digits are over: blanks and extensions follow.
        over: bool,
        /// Bytes of the line.
        line: usize,
    },
    /// In its data, of which so much is left.
    Data(u64),
    /// In the line end after the data.
    DataEnd,
    /// In the trailers: bytes of all of them, and whether the line has any.
    Trailers {
        /// Bytes so far.
        bytes: usize,
        /// Bytes of the line that has begun, without its end.
        line: usize,
    },
}

/// The body breaks the rules of its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chunks of the body are malformed")]
pub(super) struct Malformed;

const NEXT_CHUNK: Chunk = Chunk::Size { size: 0, begun: false, over: false, line: 0 };

impl Framing {
    /// A body of chunks.
    pub(super) const CHUNKED: Self = Self::Chunked(NEXT_CHUNK);

    /// Returns whether the body is complete.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Over | Self::Length(0))
    }

    /// Puts the body's bytes out of what was read into `out`. Returns how much was used: less than all only where the
    /// body is over.
    ///
    /// # Errors
    /// [`Malformed`]
    pub(super) fn decode(&mut self, input: &[u8], out: &mut BytesMut) -> Result<usize, Malformed> {
        match self {
            Self::Over => Ok(0),
            Self::UntilClose => {
                out.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                out.extend_from_slice(&input[..taken]);
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunk) => {
                let mut rest = input;
                while !rest.is_empty() {
                    let (next, used) = chunk.step(rest, out)?;
                    rest = &rest[used..];
                    match next {
                        Some(next) => *chunk = next,
                        None => {
                            *self = Self::Over;
                            break;
                        }
                    }
                }
                Ok(input.len() - rest.len())
            }
        }
    }
}

impl Chunk {
    /// Reads on; `input` is not empty. Returns where it is then, or none at the end of the body, and how much it used.
    fn step(self, input: &[u8], out: &mut BytesMut) -> Result<(Option<Self>, usize), Malformed> {
        match self {
            Self::Data(left) => {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                out.extend_from_slice(&input[..taken]);
                let left = left - taken as u64;
                Ok((Some(if left == 0 { Self::DataEnd } else { Self::Data(left) }), taken))
            }
            Self::DataEnd => match input {
                [b'\r', b'\n', ..] => Ok((Some(NEXT_CHUNK), 2)),
                [b'\n', ..] => Ok((Some(NEXT_CHUNK), 1)),
                // Cut in the middle: what follows must be the rest of it.
                [b'\r'] => Ok((Some(Self::DataEnd), 1)),
                _ => Err(Malformed),
            },
            Self::Size { size, begun, over, line } => size_line(input, size, begun, over, line),
            Self::Trailers { bytes, line } => {
                let (mut bytes, mut line) = (bytes, line);
                for (at, byte) in input.iter().enumerate() {
                    bytes += 1;
                    match byte {
                        b'\n' if line == 0 => return Ok((None, at + 1)),
                        b'\n' => line = 0,
                        b'\r' => {}
                        _ => line += 1,
                    }
                    if bytes > LONGEST_LINE {
                        return Err(Malformed);
                    }
                }
                Ok((Some(Self::Trailers { bytes, line }), input.len()))
            }
        }
    }
}

fn size_line(
    input: &[u8],
    mut size: u64,
    mut begun: bool,
    mut over: bool,
    line: usize,
) -> Result<(Option<Chunk>, usize), Malformed> {
    for (at, byte) in input.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\n' if begun => {
                let next = if size == 0 { Chunk::Trailers { bytes: 0, line: 0 } } else { Chunk::Data(size) };
                return Ok((Some(next), at + 1));
            }
            b'\r' | b' ' | b'\t' | b';' if begun => {
                over = true;
                continue;
            }
            _ if over && line + at < LONGEST_LINE => continue,
            _ => return Err(Malformed),
        };
        if over {
            // Within an extension.
            if line + at >= LONGEST_LINE {
                return Err(Malformed);
            }
            continue;
        }
        if size >> 60 != 0 {
            return Err(Malformed);
        }
        size = size << 4 | u64::from(digit);
        begun = true;
    }
    Ok((Some(Chunk::Size { size, begun, over, line: line + input.len() }), input.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(pieces: &[&[u8]]) -> Result<(Vec<u8>, Framing, usize), Malformed> {
        let (mut framing, mut out, mut unused) = (Framing::CHUNKED, BytesMut::new(), 0);
        for piece in pieces {
            unused += piece.len() - framing.decode(piece, &mut out)?;
        }
        Ok((out.to_vec(), framing, unused))
    }

    #[test]
    fn chunks_end_where_they_say() {
        let body = b"4;name=\"f\"\r\nWiki\r\n05 \r\npedia\r\nA\r\n in chunks\r\n0\r\nx: y\r\n\r\nmore";
        assert_eq!(decoded(&[body]), Ok((b"Wikipedia in chunks".to_vec(), Framing::Over, 4)));
        for cut in 0..body.len() {
            assert_eq!(decoded(&[&body[..cut], &body[cut..]]), decoded(&[body]), "cut at {cut}");
        }
        assert!(!decoded(&[b"4\r\nWi"]).unwrap().1.is_over());
        assert!(!decoded(&[b"4\r\nWiki\r\n0\r\n"]).unwrap().1.is_over());
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for broken in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "4\r\nWikix",
            "11111111111111111\r\n",
            "4\r\nWiki\rx\r\n",
            " 4\r\nWiki\r\n",
        ] {
            assert_eq!(decoded(&[broken.as_bytes()]).map(|_| ()), Err(Malformed), "{broken:?}");
        }
        let endless = format!("4;{}", "x".repeat(LONGEST_LINE * 2));
        assert_eq!(decoded(&[endless.as_bytes()]).map(|_| ()), Err(Malformed));
        let endless = format!("0\r\n{}", "x: y\r\n".repeat(LONGEST_LINE));
        assert_eq!(decoded(&[endless.as_bytes()]).map(|_| ()), Err(Malformed));
    }

    #[test]
    fn a_length_is_kept() {
        let (mut framing, mut out) = (Framing::Length(5), BytesMut::new());
        assert_eq!(framing.decode(b"abc", &mut out), Ok(3));
        assert_eq!(framing.decode(b"defg", &mut out), Ok(2));
        assert!(framing.is_over());
        assert_eq!(&out[..], b"abcde");
    }

    proptest! {
        #[test]
        fn any_chunks_in_any_reads_give_the_body(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            reads in proptest::collection::vec(1usize..30, 1..60),
        ) {
            let mut sent = Vec::new();
            for chunk in &chunks {
                sent.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                sent.extend_from_slice(chunk);
                sent.extend_from_slice(b"\r\n");
            }
            sent.extend_from_slice(b"0\r\n\r\n");
            let (mut framing, mut out, mut rest) = (Framing::CHUNKED, BytesMut::new(), &sent[..]);
            for read in reads.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*read).min(rest.len()));
                prop_assert_eq!(framing.decode(now, &mut out), Ok(now.len()));
                rest = later;
            }
            prop_assert!(framing.is_over());
            prop_assert_eq!(out.to_vec(), chunks.concat());
        }
    }
}
