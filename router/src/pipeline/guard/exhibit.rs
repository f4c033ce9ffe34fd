//! What checks judge, and what masks make of it.

use std::sync::Arc;

use tidegate_plugin_host::{Piece, Subject};
use tidegate_providers::json_text::JsonText;

use super::masks::{Mask, apply, merge};

/// A subject whose tool arguments are shown decoded, with the JSON text they came from.
pub(super) struct Exhibit {
    /// What checks are given.
    pub(super) subject: Arc<Subject>,
    /// By piece: the JSON text behind it, for tool arguments.
    raw: Vec<Option<String>>,
    changed: Vec<bool>,
    /// The JSON body that the pieces were found in; `None` where there is none that a check could write anew.
    pub(super) body: Option<String>,
}

/// Where exhibits come from: a request or an answer.
pub(super) trait Frame {
    /// Shows a body; `None` when it is none.
    fn show(&self, body: String) -> Option<Exhibit>;
    /// Writes an exhibit's body with its changes.
    fn write(&self, exhibit: &Exhibit) -> Option<String>;
}

/// Texts without a body: forms and streams.
pub(super) struct NoBody;

impl Frame for NoBody {
    fn show(&self, _body: String) -> Option<Exhibit> {
        None
    }
    fn write(&self, _exhibit: &Exhibit) -> Option<String> {
        None
    }
}

impl Exhibit {
    /// Makes an exhibit of a subject without pieces.
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject: Arc::new(subject), raw: Vec::new(), changed: Vec::new(), body: None }
    }

    /// Returns the subject to be changed; a call that still runs keeps its own.
    fn subject(&mut self) -> &mut Subject {
        Arc::make_mut(&mut self.subject)
    }

    /// Adds a piece. `json`: the text is JSON, which checks see decoded.
    pub(super) fn add(&mut self, kind: &str, role: &str, index: u32, text: String, json: bool) {
        let (text, raw) = if json { (decoded(&text), Some(text)) } else { (text, None) };
        self.subject().pieces.push(Piece { kind: kind.to_owned(), role: role.to_owned(), index, text });
        self.raw.push(raw);
        self.changed.push(false);
    }

    /// Says something of the whole.
    pub(super) fn say(&mut self, name: &str, value: String) {
        self.subject().extra.push((name.to_owned(), value));
    }

    /// Applies masks, by piece.
    pub(super) fn mask(&mut self, masks: &[(usize, Mask)]) {
        if masks.is_empty() {
            return;
        }
        for (index, piece) in Arc::make_mut(&mut self.subject).pieces.iter_mut().enumerate() {
            let own: Vec<Mask> =
                masks.iter().filter(|(piece, _)| *piece == index).map(|(_, mask)| mask.clone()).collect();
            if own.is_empty() {
                continue;
            }
            let own = merge(own);
            match &mut self.raw[index] {
                None => piece.text = apply(&piece.text, &own),
                Some(raw) => {
                    let mut json = JsonText::default();
                    json.push(raw);
                    json.finish();
                    let masks: Vec<_> = own.into_iter().map(|mask| (mask.range, mask.replacement)).collect();
                    *raw = json.release(json.decoded().len(), &masks);
                    piece.text = decoded(raw);
                }
            }
            self.changed[index] = true;
        }
    }

    /// Returns whether a piece changed.
    pub(super) fn is_changed(&self) -> bool {
        self.changed.contains(&true)
    }

    /// Returns the pieces that changed, by index, as they stand in the body.
    pub(super) fn changes(&self) -> impl Iterator<Item = (usize, &str)> {
        let pieces = self.subject.pieces.iter().zip(&self.raw).zip(&self.changed).enumerate();
        pieces
            .filter(|(_, (_, changed))| **changed)
            .map(|(index, ((piece, raw), _))| (index, raw.as_deref().unwrap_or(&piece.text)))
    }
}

fn decoded(raw: &str) -> String {
    let mut json = JsonText::default();
    json.push(raw);
    json.finish();
    json.decoded().to_owned()
}
