//! What checks judge, and what masks make of it.

use tidegate_plugin_host::{Piece, Subject};
use tidegate_providers::json_text::JsonText;

use super::masks::{Mask, apply, merge};

/// A subject whose tool arguments are shown decoded, with the JSON text they came from.
pub(super) struct Exhibit {
    /// What checks are given.
    pub(super) subject: Subject,
    /// By piece: the JSON text behind it, for tool arguments.
    raw: Vec<Option<String>>,
    changed: Vec<bool>,
}

impl Exhibit {
    /// Makes an exhibit of a subject without pieces.
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, raw: Vec::new(), changed: Vec::new() }
    }

    /// Adds a piece. `json`: the text is JSON, which checks see decoded.
    pub(super) fn add(&mut self, kind: &str, role: &str, index: u32, text: String, json: bool) {
        let (text, raw) = if json { (decoded(&text), Some(text)) } else { (text, None) };
        self.subject.pieces.push(Piece { kind: kind.to_owned(), role: role.to_owned(), index, text });
        self.raw.push(raw);
        self.changed.push(false);
    }

    /// Applies masks, by piece.
    pub(super) fn mask(&mut self, masks: &[(usize, Mask)]) {
        if masks.is_empty() {
            return;
        }
        for (index, piece) in self.subject.pieces.iter_mut().enumerate() {
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
