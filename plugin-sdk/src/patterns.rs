//! Guards that look for something in text. Authors write how to find one hit; checks and windows follow from it, so a
//! stream gets the verdict of the whole answer however it is cut.
//!
//! Why that holds: both sides search from left to right, and go on after each hit. Where a window lets text go, the
//! search stands exactly there: a hit that reaches farther keeps its text back from its start. So the next window
//! takes up the search at its first unreleased byte, and the overlap is only looked at, never searched.

use serde_json::{Value, json};

use crate::call::{Piece, Subject};
use crate::verdict::{Judgement, Mask, Reason, Span, Verdict};
use crate::window::{StreamWindow, WindowAnswer, WindowNeeds, WindowVerdict};

/// Something that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// What it is, for results and logs; never its text.
    pub label: String,
    /// What stands there instead where hits are masked.
    pub replacement: String,
}

impl Hit {
    /// Returns a hit.
    #[must_use]
    pub fn new(start: usize, end: usize, label: &str, replacement: impl Into<String>) -> Self {
        Self { start, end, label: label.to_owned(), replacement: replacement.into() }
    }
}

/// How far a finder must see, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Before the start of a hit.
    pub before: u32,
    /// After the start of a hit, to know that it is one; and after its end, to know that it ends there. The longest
    /// possible hit and a character more will always do. A hit that is recognised by its first bytes may be longer.
    pub after: u32,
}

/// Finds hits.
pub trait Finder {
    /// Returns how far it must see.
    fn reach(&self) -> Reach;

    /// Returns the first hit that starts at `from` or later. What is before `from` is for looking only.
    ///
    /// Text that comes later must not change a hit with `reach().after` bytes behind its end, nor make or unmake one
    /// with so many bytes behind its start.
    fn next(&self, text: &str, from: usize) -> Option<Hit>;
}

/// What a guard does with hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Replaces them.
    Mask,
    /// Fails with this reason.
    Fail(Reason),
    /// Blocks with this reason.
    Block(Reason),
}

/// A guard made of a finder.
///
/// ```
/// use tidegate_plugin_sdk::patterns::{Action, Finder, Hit, PatternGuard, Reach};
/// use tidegate_plugin_sdk::{CheckError, CheckInfo, Judgement, Manifest, Params, Plugin};
/// use tidegate_plugin_sdk::{StreamWindow, Subject, WindowAnswer, WindowNeeds, testing};
///
/// struct Secret;
///
/// impl Finder for Secret {
///     fn reach(&self) -> Reach {
///         Reach { before: 0, after: 6 }
///     }
///
///     fn next(&self, text: &str, from: usize) -> Option<Hit> {
///         let start = from + text[from..].find("secret")?;
///         Some(Hit::new(start, start + 6, "secret", "***"))
///     }
/// }
///
/// const GUARD: PatternGuard<Secret> = PatternGuard::new(Secret, Action::Mask);
///
/// struct Hush;
///
/// impl Plugin for Hush {
///     fn manifest() -> Manifest {
///         Manifest::new("hush", "1.0.0").check(CheckInfo::new("words").streams().mutates())
///     }
///     fn check(_: &str, _: &Params, subject: &Subject) -> Result<Judgement, CheckError> {
///         Ok(GUARD.check(subject))
///     }
///     fn needs(_: &str, _: &Params) -> Result<WindowNeeds, CheckError> {
///         Ok(GUARD.needs())
///     }
///     fn window(_: &str, _: &Params, window: &StreamWindow) -> Result<WindowAnswer, CheckError> {
///         Ok(GUARD.window(window))
///     }
/// }
///
/// assert_eq!(testing::stream::<Hush>("words", "{}", &["a sec", "ret is out"])?.text, "a *** is out");
/// testing::assert_streams_like_whole::<Hush>("words", "{}", "secret, secretsecre");
/// # Ok::<(), CheckError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PatternGuard<F> {
    finder: F,
    action: Action,
}

impl<F: Finder> PatternGuard<F> {
    /// Returns a guard that looks at all texts of a subject.
    #[must_use]
    pub const fn new(finder: F, action: Action) -> Self {
        Self { finder, action }
    }

    /// Judges all pieces of a subject.
    #[must_use]
    pub fn check(&self, subject: &Subject) -> Judgement {
        self.check_where(subject, |_| true)
    }

    /// Judges the pieces that are chosen.
    #[must_use]
    pub fn check_where(&self, subject: &Subject, chosen: impl Fn(&Piece) -> bool) -> Judgement {
        let (mut found, mut masks) = (Vec::new(), Vec::new());
        for (index, piece) in (0..).zip(&subject.pieces).filter(|(_, piece)| chosen(piece)) {
            let hits = self.hits(&piece.text, 0, piece.text.len());
            note(&mut found, &hits);
            let spans = spans(hits);
            if !spans.is_empty() {
                masks.push(Mask { piece: index, spans });
            }
        }
        if masks.is_empty() {
            return Judgement::pass();
        }
        let verdict = match &self.action {
            Action::Mask => Verdict::Mask(masks),
            Action::Fail(reason) => Verdict::Fail(reason.clone()),
            Action::Block(reason) => Verdict::Block(reason.clone()),
        };
        Judgement::from(verdict).with_data(&data(&found))
    }

    /// Returns what windows must show.
    #[must_use]
    pub fn needs(&self) -> WindowNeeds {
        let reach = self.finder.reach();
        // The last character before a hit may have four bytes of which the window would show three.
        WindowNeeds { lookahead: reach.after, overlap: if reach.before == 0 { 0 } else { reach.before + 3 } }
    }

    /// Judges a window of a stream.
    #[must_use]
    pub fn window(&self, window: &StreamWindow) -> WindowAnswer {
        let mut found: Vec<String> = serde_json::from_slice(&window.state).unwrap_or_default();
        let from = floor(&window.text, window.overlap as usize);
        let held = if window.last { 0 } else { self.finder.reach().after as usize };
        let hits = self.hits(&window.text, from, window.text.len().saturating_sub(held));
        note(&mut found, &hits);
        let spans = spans(hits);
        let verdict = match &self.action {
            _ if spans.is_empty() => WindowVerdict::Pass,
            Action::Mask => WindowVerdict::Mask(spans),
            Action::Fail(reason) => WindowVerdict::Fail(reason.clone()),
            Action::Block(reason) => WindowVerdict::Block(reason.clone()),
        };
        if found.is_empty() {
            return WindowAnswer { verdict, ..WindowAnswer::default() };
        }
        let state = serde_json::to_vec(&found).unwrap_or_default();
        WindowAnswer { verdict, state, data_json: Some(data(&found).to_string()) }
    }

    /// Returns the hits that start within `from..=until`. What starts later may still become something else.
    fn hits(&self, text: &str, mut from: usize, until: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        while from <= until {
            let Some(hit) = self.finder.next(text, from) else { break };
            // A finder that goes backwards would never end.
            if hit.start < from || hit.end < hit.start || hit.start > until {
                break;
            }
            let next = text.get(hit.start..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
            from = hit.end.max(hit.start + if hit.end == hit.start { next } else { 0 });
            hits.push(hit);
        }
        hits
    }
}

/// Remembers labels once: what is held back comes again, so counting would count twice.
fn note(found: &mut Vec<String>, hits: &[Hit]) {
    for hit in hits {
        if !found.contains(&hit.label) {
            found.push(hit.label.clone());
        }
    }
}

fn data(found: &[String]) -> Value {
    json!({ "found": found })
}

fn spans(hits: Vec<Hit>) -> Vec<Span> {
    hits.into_iter().filter_map(|hit| Span::new(hit.start, hit.end - hit.start, hit.replacement)).collect()
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default()
}
