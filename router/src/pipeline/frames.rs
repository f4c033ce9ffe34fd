//! Splits a byte stream into SSE frames without changing a byte: the passthrough lane's scanner.
//!
//! A frame ends with a blank line (`\n\n`, `\r\n\r\n` or `\r\r`; WHATWG HTML, server-sent events). Whole frames leave as
//! slices of what came in; a frame that is cut by a read waits for its rest, so that an error event never lands
//! inside one.

use bytes::{Bytes, BytesMut};

/// A frame that has begun with so many bytes is searched for its end only.
const GLANCE: usize = 4 << 10;

/// What to do with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it on.
    Forward,
    /// Swallow it.
    Hide,
    /// Keep it and everything after it until asked again.
    Pause,
}

/// Says what to do with frames.
pub(super) trait Judge {
    /// Judges the frame that `bytes` begin with, where it is known at first sight: how long it is, and what to do.
    fn glance(&mut self, bytes: &[u8]) -> Option<(usize, Verdict)>;

    /// Judges a frame by its joined data. `frame` is all of it.
    fn judge(&mut self, data: &str, frame: &[u8]) -> Verdict;
}

/// Why scanning stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// More bytes are needed.
    Hungry,
    /// The judge paused.
    Paused,
}

/// The scanner.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes that were not judged yet.
    rest: Bytes,
    /// How far `rest` was searched for the end of its first frame.
    searched: usize,
}

impl Frames {
    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.rest.is_empty() {
            self.rest = bytes;
        } else {
            // What was joined before is ours alone and grows in place: a huge frame is not copied for each read.
            let rest = std::mem::take(&mut self.rest);
            let mut joined = rest.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            joined.extend_from_slice(&bytes);
            self.rest = joined.freeze();
        }
    }

    /// Returns how many bytes wait.
    #[must_use]
    pub(super) fn waiting(&self) -> usize {
        self.rest.len()
    }

    /// Judges every whole frame that waits, in order, and returns those to forward. The judge sees the frame's
    /// joined data; comments and empty frames are forwarded unseen.
    pub(super) fn scan(&mut self, judge: &mut impl Judge) -> (Bytes, Stop) {
        let mut out = Run::default();
        // Neighbours that are forwarded leave as one slice.
        let mut passed = 0;
        loop {
            if passed == self.rest.len() {
                self.searched = 0;
                out.push(std::mem::take(&mut self.rest));
                return (out.finish(), Stop::Hungry);
            }
            // A large frame that comes in many reads is not looked at from its start with each of them.
            let glances = self.searched.saturating_sub(passed) < GLANCE;
            let known = if glances { judge.glance(&self.rest[passed..]) } else { None };
            let known = known.map(|(length, verdict)| (passed + length, verdict));
            let judged = known.or_else(|| {
                let end = self.frame_end(passed)?;
                Some((end, verdict(&self.rest[passed..end], judge)))
            });
            let Some((end, verdict)) = judged else {
                out.push(self.rest.split_to(passed));
                self.searched -= passed;
                return (out.finish(), Stop::Hungry);
            };
            match verdict {
                Verdict::Forward => passed = end,
                Verdict::Hide => {
                    out.push(self.rest.split_to(passed));
                    drop(self.rest.split_to(end - passed));
                    passed = 0;
                }
                Verdict::Pause => {
                    out.push(self.rest.split_to(passed));
                    self.searched = 0;
                    return (out.finish(), Stop::Paused);
                }
            }
            self.searched = passed;
        }
    }

    /// Judges what is left at the end of the stream as if a blank line followed.
    pub(super) fn finish(&mut self, judge: &mut impl Judge) -> Bytes {
        let rest = std::mem::take(&mut self.rest);
        self.searched = 0;
        if rest.iter().all(u8::is_ascii_whitespace) || verdict(&rest, judge) != Verdict::Forward {
            return Bytes::new();
        }
        let mut whole = BytesMut::from(&rest[..]);
        whole.extend_from_slice(if rest.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        whole.freeze()
    }

    /// Returns where the frame that begins at `start` ends, its blank line included.
    fn frame_end(&mut self, start: usize) -> Option<usize> {
        let bytes = &self.rest[..];
        let mut at = self.searched.max(start);
        while let Some(found) = memchr::memchr(b'\n', &bytes[at..]) {
            let next = at + found + 1;
            match bytes.get(next..) {
                // A frame of nothing but a line end.
                _ if next == start + 1 || (next == start + 2 && bytes[start] == b'\r') => return Some(next),
                Some([b'\n', ..]) => return Some(next + 1),
                Some([b'\r', b'\n', ..]) => return Some(next + 2),
                // The blank line may be cut: look at this line end again with the next read.
                Some([] | [b'\r']) => {
                    self.searched = next - 1;
                    return None;
                }
                _ => at = next,
            }
        }
        let end = bare_end(bytes, start, self.searched);
        self.searched = bytes.len();
        end
    }
}

/// Returns where a frame ends whose lines end with CR alone, as the standard allows. Asked only where a frame has no end.
fn bare_end(bytes: &[u8], start: usize, searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(1).max(start);
    let end = from + memchr::memmem::find(&bytes[from..], b"\r\r")? + 2;
    memchr::memchr(b'\n', &bytes[start..end]).is_none().then_some(end)
}

fn verdict(frame: &[u8], judge: &mut impl Judge) -> Verdict {
    // A frame with bytes that are no text leaves as it came, but is looked at and counted like any other.
    let mut text = String::from_utf8_lossy(frame);
    if frame.ends_with(b"\r\r") {
        text = text.replace('\r', "\n").into();
    }
    let mut data = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("data:")?;
        Some(rest.strip_prefix(' ').unwrap_or(rest))
    });
    let Some(first) = data.next() else { return Verdict::Forward };
    match data.next() {
        None => judge.judge(first, frame),
        Some(second) => {
            let joined = [first, second].into_iter().chain(data).collect::<Vec<_>>().join("\n");
            judge.judge(&joined, frame)
        }
    }
}

/// Collects forwarded slices: one costs nothing, more are copied together.
#[derive(Default)]
struct Run {
    first: Bytes,
    joined: Option<BytesMut>,
}

impl Run {
    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if let Some(joined) = &mut self.joined {
            joined.extend_from_slice(&piece);
        } else if self.first.is_empty() {
            self.first = piece;
        } else {
            let mut joined = BytesMut::with_capacity((self.first.len() + piece.len()) * 2);
            joined.extend_from_slice(&self.first);
            joined.extend_from_slice(&piece);
            self.joined = Some(joined);
        }
    }

    fn finish(self) -> Bytes {
        self.joined.map_or(self.first, BytesMut::freeze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl<F: FnMut(&str) -> Verdict> Judge for F {
        fn glance(&mut self, _bytes: &[u8]) -> Option<(usize, Verdict)> {
            None
        }

        fn judge(&mut self, data: &str, _frame: &[u8]) -> Verdict {
            self(data)
        }
    }

    fn run(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let (mut seen, mut out) = (Vec::new(), Vec::new());
        let mut frames = Frames::default();
        for piece in pieces {
            frames.push(Bytes::copy_from_slice(piece));
            let (bytes, stop) = frames.scan(&mut |data: &str| {
                seen.push(data.to_owned());
                Verdict::Forward
            });
            assert_eq!(stop, Stop::Hungry);
            out.extend_from_slice(&bytes);
        }
        out.extend_from_slice(&frames.finish(&mut |data: &str| {
            seen.push(data.to_owned());
            Verdict::Forward
        }));
        (seen, out)
    }

    const STREAM: &[u8] =
        ": hi\n\ndata: {\"a\":\"é😀\"}\n\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\n\ndata:[DONE]\n\n".as_bytes();

    #[test]
    fn every_cut_gives_the_same_frames_and_bytes() {
        let whole = run(&[STREAM]);
        assert_eq!(whole.0, ["{\"a\":\"é😀\"}", "1\n2", "[DONE]"]);
        assert_eq!(whole.1, STREAM);
        for first in 0..=STREAM.len() {
            for second in first..=STREAM.len() {
                let cut = run(&[&STREAM[..first], &STREAM[first..second], &STREAM[second..]]);
                assert_eq!(cut, whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn lines_may_end_with_cr_alone() {
        let stream = b"event: x\rdata: 1\r\r: hi\r\rdata: 2\rdata: 3\r\r";
        let whole = run(&[stream]);
        assert_eq!(whole, (vec!["1".into(), "2\n3".into()], stream.to_vec()));
        for cut in 0..=stream.len() {
            assert_eq!(run(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_missing_last_blank_line_loses_nothing() {
        assert_eq!(
            run(&[b"data: 1\n\ndata: 2"]),
            (vec!["1".into(), "2".into()], b"data: 1\n\ndata: 2\n\n".to_vec())
        );
        assert_eq!(run(&[b"data: 2\n"]).1, b"data: 2\n\n");
    }

    #[test]
    fn a_paused_frame_comes_again() {
        let mut frames = Frames::default();
        frames.push(Bytes::from_static(b"data: 1\n\ndata: 2\n\n"));
        let mut pause = true;
        let mut judge = |data: &str| {
            if data == "2" && std::mem::take(&mut pause) { Verdict::Pause } else { Verdict::Forward }
        };
        assert_eq!(frames.scan(&mut judge), (Bytes::from_static(b"data: 1\n\n"), Stop::Paused));
        assert_eq!(frames.scan(&mut judge), (Bytes::from_static(b"data: 2\n\n"), Stop::Hungry));
    }

    #[test]
    fn hidden_frames_do_not_leave() {
        let mut frames = Frames::default();
        frames.push(Bytes::from_static(b"data: 1\n\ndata: 2\n\ndata: 3\n\n"));
        let (out, _) =
            frames.scan(&mut |data: &str| if data == "2" { Verdict::Hide } else { Verdict::Forward });
        assert_eq!(out, Bytes::from_static(b"data: 1\n\ndata: 3\n\n"));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_cuts_pass_unchanged(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), any::<u8>()], 0..200),
            cut in 0usize..200,
        ) {
            let mut bytes = bytes;
            bytes.extend_from_slice(b"\n\n");
            let cut = cut.min(bytes.len());
            let (whole, parts) = (run(&[&bytes]), run(&[&bytes[..cut], &bytes[cut..]]));
            prop_assert_eq!(&whole, &parts);
            prop_assert!(whole.1.starts_with(&bytes) || bytes.starts_with(&whole.1));
        }
    }
}
