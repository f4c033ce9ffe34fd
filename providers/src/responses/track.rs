//! What of each output item was told already, so that each letter is told once.
//!
//! The wire says most things three times: in deltas, in the event that ends a piece or an item, and in the last
//! event. Servers leave out any of the three, give items other ids or other numbers from event to event, or number
//! nothing at all. So what an event says as a whole is held against what was told before: what goes on from there
//! is told, anything else is a repetition.

use serde_json::value::RawValue;

use super::item::Opened;
use super::snapshot::{Kind, Piece, PieceKind, Snapshot};
use crate::event::Event;

/// Between two thoughts of one item: each is a paragraph.
pub(super) const PARAGRAPH: &str = "\n\n";

/// Where an event belongs, as far as it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'e> {
    /// `output_index`
    pub(super) index: Option<u64>,
    /// `item_id`, or the `id` of the item itself; may be empty.
    pub(super) id: &'e str,
}

/// The items of one response.
#[derive(Debug, Default)]
pub(super) struct Items {
    list: Vec<Item>,
    calls: u32,
    refused: bool,
}

#[derive(Debug)]
struct Item {
    index: Option<u64>,
    id: String,
    kind: Kind,
    told: Vec<Told>,
    call: Call,
    /// What the vendor wants back was told.
    sealed: bool,
    /// The last event's items were held against it.
    settled: bool,
}

#[derive(Debug)]
struct Told {
    kind: PieceKind,
    index: u64,
    text: String,
}

#[derive(Debug, Default)]
struct Call {
    /// The vendor's id of the call.
    id: String,
    /// Number within the answer, once its name is known. Arguments wait for it.
    number: Option<u32>,
}

impl Items {
    /// Returns whether there is a call.
    pub(super) fn called(&self) -> bool {
        self.calls > 0
    }

    /// Returns whether something was refused.
    pub(super) fn refused(&self) -> bool {
        self.refused
    }

    /// Tells a delta.
    pub(super) fn delta(&mut self, place: Place<'_>, piece: &Piece<'_>, out: &mut Vec<Event>) {
        let at = self.find_or_add(place, piece.kind.home());
        self.tell(at, piece.kind, piece.index, &piece.text, out);
    }

    /// Tells what is new of a piece that is said as a whole.
    pub(super) fn whole(&mut self, place: Place<'_>, piece: &Piece<'_>, out: &mut Vec<Event>) {
        let at = self.find_or_add(place, piece.kind.home());
        self.catch_up(at, piece, out);
    }

    /// Tells what is new of an item that begins.
    pub(super) fn begin(&mut self, place: Place<'_>, item: &Snapshot<'_>, out: &mut Vec<Event>) {
        if item.kind() == Kind::Other {
            return;
        }
        // A number that comes again with another id begins another item.
        let at = self.find_same(place, item.kind()).unwrap_or_else(|| self.add(place, item.kind()));
        self.hold_against(at, item, out);
    }

    /// Tells what is new of an item that is done.
    pub(super) fn end(&mut self, place: Place<'_>, item: &Snapshot<'_>, out: &mut Vec<Event>) {
        if item.kind() != Kind::Other {
            let known = self.find_same(place, item.kind()).or_else(|| self.find_call(item));
            let at = known.unwrap_or_else(|| self.find_or_add(place, item.kind()));
            self.hold_against(at, item, out);
            self.seal(at, item, out);
        }
    }

    /// Tells what is new in the last event's items.
    pub(super) fn settle(&mut self, output: &[&RawValue], out: &mut Vec<Event>) {
        let items: Vec<Snapshot<'_>> = output.iter().map(|raw| Snapshot::read(Some(raw))).collect();
        // Those with a name that was heard before come first, lest another takes their place.
        let mut found: Vec<Option<usize>> = Vec::with_capacity(items.len());
        for item in &items {
            let at = self.find_call(item).or_else(|| {
                let same = |known: &Item| !item.id().is_empty() && known.id == item.id();
                self.list.iter().position(|known| same(known) && known.kind == item.kind() && !known.settled)
            });
            if let Some(at) = at {
                self.list[at].settled = true;
            }
            found.push(at);
        }
        for (number, (item, at)) in (0..).zip(items.iter().zip(found)) {
            if item.kind() == Kind::Other {
                continue;
            }
            let at = at.or_else(|| self.find_unsettled(number, item.kind())).unwrap_or_else(|| {
                let place = Place { index: Some(number), id: item.id() };
                self.add(place, item.kind())
            });
            self.list[at].settled = true;
            self.hold_against(at, item, out);
            self.seal(at, item, out);
        }
    }

    fn find_unsettled(&self, number: u64, kind: Kind) -> Option<usize> {
        let open = |item: &Item| item.kind == kind && !item.settled;
        let here = self.list.iter().position(|item| open(item) && item.index == Some(number));
        here.or_else(|| self.list.iter().position(open))
    }

    fn find_call(&self, item: &Snapshot<'_>) -> Option<usize> {
        let id = item.call_id();
        let same = |known: &Item| known.kind == item.kind() && known.call.id == id && !known.settled;
        self.list.iter().position(|known| !id.is_empty() && same(known))
    }

    /// Finds the item with this very number and id.
    fn find_same(&self, place: Place<'_>, kind: Kind) -> Option<usize> {
        let known = !place.id.is_empty() || place.index.is_some();
        let same =
            |item: &Item| item.kind == kind && item.index == place.index && item.id == place.id && known;
        self.list.iter().rposition(same)
    }

    fn find_or_add(&mut self, place: Place<'_>, kind: Kind) -> usize {
        let find =
            |same: &dyn Fn(&Item) -> bool| self.list.iter().rposition(|item| item.kind == kind && same(item));
        let by_id = || find(&|item: &Item| !place.id.is_empty() && item.id == place.id);
        let found = self.find_same(place, kind).or_else(|| match place.index {
            // Some servers give an item another id in each event.
            Some(_) => find(&|item: &Item| item.index == place.index)
                .or_else(|| by_id().filter(|at| self.list[*at].index.is_none())),
            None if place.id.is_empty() => find(&|_| true),
            None => by_id(),
        });
        found.unwrap_or_else(|| self.add(place, kind))
    }

    fn add(&mut self, place: Place<'_>, kind: Kind) -> usize {
        self.list.push(Item {
            index: place.index,
            id: place.id.to_owned(),
            kind,
            told: Vec::new(),
            call: Call::default(),
            sealed: false,
            settled: false,
        });
        self.list.len() - 1
    }

    /// Tells what an item says beyond what was told of it.
    fn hold_against(&mut self, at: usize, item: &Snapshot<'_>, out: &mut Vec<Event>) {
        if item.kind() == Kind::Call {
            self.name_call(at, item, out);
        }
        let pieces = item.pieces();
        for piece in &pieces {
            // Pieces without a number, or with another one here, make the same text.
            let of_kind = pieces.iter().filter(|other| other.kind == piece.kind);
            if !self.list[at].has_told(piece.kind, of_kind.map(|piece| &*piece.text)) {
                self.catch_up(at, piece, out);
            }
        }
    }

    fn catch_up(&mut self, at: usize, piece: &Piece<'_>, out: &mut Vec<Event>) {
        let told = self.list[at].told(piece.kind, piece.index).unwrap_or_default();
        if let Some(rest) = piece.text.strip_prefix(told).map(str::to_owned) {
            self.tell(at, piece.kind, piece.index, &rest, out);
        }
    }

    fn tell(&mut self, at: usize, kind: PieceKind, index: u64, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let item = &mut self.list[at];
        let is_next = item.told(kind, index).is_none() && !item.told.is_empty();
        item.note(kind, index, text);
        let (choice, text) = (0, text.to_owned());
        match kind {
            PieceKind::Text => out.push(Event::Text { choice, text }),
            PieceKind::Refusal => {
                self.refused = true;
                out.push(Event::Refusal { choice, text });
            }
            PieceKind::Thought | PieceKind::Summary if is_next => {
                out.push(Event::Reasoning { choice, text: format!("{PARAGRAPH}{text}") });
            }
            PieceKind::Thought | PieceKind::Summary => out.push(Event::Reasoning { choice, text }),
            PieceKind::Arguments => {
                if let Some(tool) = item.call.number {
                    out.push(Event::ToolArguments { choice, tool, json: text });
                }
            }
        }
    }

    /// Begins a call once its name is known, with the arguments that waited for it.
    fn name_call(&mut self, at: usize, item: &Snapshot<'_>, out: &mut Vec<Event>) {
        let call = &mut self.list[at].call;
        if call.number.is_some() || item.name().is_empty() {
            return;
        }
        let tool = self.calls;
        self.calls += 1;
        call.number = Some(tool);
        item.call_id().clone_into(&mut call.id);
        out.push(Event::ToolStart {
            choice: 0,
            tool,
            id: id_of_call(item, tool),
            name: item.name().to_owned(),
            signature: item.signature().map(str::to_owned),
        });
        if let Some(waiting) = self.list[at].told(PieceKind::Arguments, 0) {
            out.push(Event::ToolArguments { choice: 0, tool, json: waiting.to_owned() });
        }
    }

    /// Tells once what the vendor wants back. Only an item that is done has it whole.
    fn seal(&mut self, at: usize, item: &Snapshot<'_>, out: &mut Vec<Event>) {
        if item.kind() == Kind::Reasoning
            && !self.list[at].sealed
            && let Some(opened) = item.opened()
        {
            self.list[at].sealed = true;
            out.push(match opened {
                Opened::Signature(signature) => Event::Signature { choice: 0, signature },
                Opened::Redacted(data) => Event::RedactedReasoning { choice: 0, data },
            });
        }
    }
}

impl Item {
    fn told(&self, kind: PieceKind, index: u64) -> Option<&str> {
        let told = self.told.iter().find(|told| told.kind == kind && told.index == index);
        told.map(|told| told.text.as_str())
    }

    fn note(&mut self, kind: PieceKind, index: u64, text: &str) {
        match self.told.iter_mut().find(|told| told.kind == kind && told.index == index) {
            Some(told) => told.text.push_str(text),
            None => self.told.push(Told { kind, index, text: text.to_owned() }),
        }
    }

    /// Returns whether what was told of this kind is this text, in whatever pieces.
    fn has_told<'t>(&self, kind: PieceKind, text: impl Iterator<Item = &'t str>) -> bool {
        let told = self.told.iter().filter(|told| told.kind == kind);
        told.flat_map(|told| told.text.bytes()).eq(text.flat_map(str::bytes))
    }
}

/// Returns the id that a call's result must name; a server that gives none shall not make two calls alike.
pub(super) fn id_of_call(item: &Snapshot<'_>, number: u32) -> String {
    let known = [item.call_id(), item.id()].into_iter().find(|id| !id.is_empty());
    known.map_or_else(|| format!("call_{number}"), str::to_owned)
}
