//! Guards of a running stream, between decoder and encoder.
//!
//! Every text of the answer (per choice: text, reasoning, refusal, and each tool call's arguments) is a channel of its
//! own. New text waits until every check has judged it; then it leaves, masked. Windows run when something new is
//! there, but small pieces not more often than [`PACE`], so that a fast stream costs few calls and a slow one has no
//! delay beyond the lookahead. A choice's end, the answer's end and an error close the texts: their last windows run
//! before the event goes on.
//!
//! A check without windows that may forbid or change holds the whole stream to its end, where it is judged like a
//! whole answer. One that can only fail judges at the end as well, but holds nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_plugin_host::Hook;
use tidegate_providers::{Endpoint, Event};

use super::before::inform;
use super::channel::Channel;
use super::exhibit::{Exhibit, NoBody};
use super::held;
use super::key::{Key, Kind};
use super::queue::Queue;
use super::results::{CheckResult, HookResult, HookResults};
use super::scene::Scene;
use super::side::{BoundCheck, BoundHook, Side, millis};
use super::watcher::{Watcher, knows_windows, round};

/// Shortest time between two rounds of windows for pieces smaller than [`SOON`].
const PACE: Duration = Duration::from_millis(20);
/// So many bytes are judged without waiting.
const SOON: usize = 1 << 10;
/// More text is never held back; the stream is refused instead, as nothing may leave unjudged.
const MOST_HELD: usize = 16 << 20;
/// Manifest word of a check that never blocks and never changes, so that nothing need wait for it.
const FAILS_ONLY: &str = "fails-only";

/// The guards of one stream.
pub(in crate::pipeline) struct StreamGuard {
    side: Arc<Side>,
    /// Hooks that only inform.
    informing: Arc<Side>,
    scene: Arc<Scene>,
    watchers: Vec<Watcher>,
    /// Checks that judge the whole answer at its end and hold nothing: hook and place in it.
    at_end: Vec<(usize, usize)>,
    /// Whether everything waits for the end.
    holds: bool,
    channels: Vec<(Key, Channel)>,
    /// Whole texts for the checks at the end.
    whole: Vec<(Key, String)>,
    waiting: Queue,
    /// The event under way, and what may leave: both outlive a turn that is cut off.
    current: Option<Event>,
    turn: Turn,
    /// Bytes of text that wait in a held stream.
    waiting_bytes: usize,
    open_choices: Vec<u32>,
    /// Whether a tool was called.
    called: bool,
    started: Instant,
    judged_at: Option<Instant>,
    unseen_since: Option<Instant>,
    results: HookResults,
}

/// What a turn of the guards gives.
#[derive(Default)]
pub(in crate::pipeline) struct Turn {
    /// What may leave.
    pub(in crate::pipeline) events: Vec<Event>,
    /// Whether the stream must end here.
    pub(in crate::pipeline) denied: bool,
}

impl StreamGuard {
    /// Prepares the guards of a stream. `before`: results of hooks before the request.
    pub(in crate::pipeline) async fn new(
        side: Arc<Side>,
        informing: Arc<Side>,
        scene: Arc<Scene>,
        in_order: bool,
        before: HookResults,
    ) -> Self {
        let (mut watchers, mut at_end) = (Vec::new(), Vec::new());
        let holds = side
            .hooks
            .iter()
            .any(|bound| bound.checks.iter().any(|check| holds(bound, check)) || builds(bound));
        for (at, bound) in side.hooks.iter().enumerate().filter(|_| !holds) {
            for (index, check) in bound.checks.iter().enumerate() {
                if knows_windows(check) {
                    watchers.push(Watcher::new(at, index, check, &side.tenant).await);
                } else {
                    at_end.push((at, index));
                }
            }
        }
        let patience = watchers.iter().map(|watcher| watcher.needs.lookahead).max().unwrap_or(0);
        Self {
            side,
            informing,
            scene,
            watchers,
            at_end,
            holds,
            channels: Vec::new(),
            whole: Vec::new(),
            waiting: Queue::new(in_order, patience),
            current: None,
            turn: Turn::default(),
            waiting_bytes: 0,
            open_choices: Vec::new(),
            called: false,
            started: Instant::now(),
            judged_at: None,
            unseen_since: None,
            results: before,
        }
    }

    /// Returns whether the answer leaves only at its end.
    pub(in crate::pipeline) fn is_held(&self) -> bool {
        self.holds
    }

    /// Returns the results so far.
    pub(in crate::pipeline) fn results(&self) -> &HookResults {
        &self.results
    }

    /// Returns the choices that began and did not end.
    pub(in crate::pipeline) fn open_choices(&self) -> &[u32] {
        &self.open_choices
    }

    /// Returns whether a denied answer may still be ended like others. An open call of a tool is ended in OpenAI's
    /// responses with arguments, and nobody shall call it.
    pub(in crate::pipeline) fn may_finish(&self) -> bool {
        self.scene.endpoint != Endpoint::Responses || !self.called
    }

    /// Takes an event from the vendor.
    pub(in crate::pipeline) fn push(&mut self, event: Event) {
        if let Some((key, text)) = Key::of(&event) {
            self.waiting_bytes += text.len();
            self.unseen_since.get_or_insert_with(Instant::now);
            self.begin(key.choice);
        }
        if let Event::ToolStart { choice, .. } = &event {
            self.called = true;
            self.begin(*choice);
        }
        self.waiting.push(event);
    }

    /// Returns when windows should run although nothing more comes.
    pub(in crate::pipeline) fn due(&self) -> Option<Instant> {
        let since = self.unseen_since.filter(|_| !self.holds)?;
        Some(self.judged_at.map_or(since, |judged| (judged + PACE).max(since)))
    }

    /// Returns what may leave where no check need be asked for it now, as with most pieces; `None` where one must be.
    pub(in crate::pipeline) fn turn_unasked(&mut self) -> Option<Turn> {
        let must_ask = if self.turn.denied {
            true
        } else if self.holds {
            self.waiting.is_complete() || self.waiting_bytes > MOST_HELD
        } else {
            self.deliver_what_closes_nothing().is_some() || self.is_due() || self.held_back() > MOST_HELD
        };
        if must_ask {
            return None;
        }
        if !self.holds && self.unseen() == 0 {
            self.seen();
        }
        Some(std::mem::take(&mut self.turn))
    }

    /// Judges what waits and returns what may leave.
    pub(in crate::pipeline) async fn turn(&mut self) -> Turn {
        if self.holds {
            self.held().await;
        } else {
            self.advance().await;
        }
        if self.turn.denied && !self.holds {
            // The denial is the last word: results stand, what was held is gone.
            self.note(&[]);
            self.waiting.clear();
            self.channels.clear();
            self.unseen_since = None;
        }
        std::mem::take(&mut self.turn)
    }

    /// Handles the events of a stream that leaves while it runs.
    async fn advance(&mut self) {
        while let Some((closing, ends)) = self.deliver_what_closes_nothing() {
            self.close(closing).await;
            if ends && !self.turn.denied {
                self.conclude().await;
            }
            if self.turn.denied {
                return;
            }
            if let Some(event) = self.current.take() {
                self.deliver(event);
            }
        }
        if self.unseen() == 0 {
            self.seen();
        } else if self.is_due() {
            self.windows(Closing::Nothing, false).await;
        }
        self.turn.denied |= too_much(self.held_back());
    }

    /// Handles events up to one that completes a text or ends the answer, which stays the current one. Returns what it
    /// closes, and whether it is the end.
    fn deliver_what_closes_nothing(&mut self) -> Option<(Closing, bool)> {
        loop {
            let event = self.current.take().or_else(|| self.waiting.next(&self.channels))?;
            let ends = matches!(event, Event::End | Event::Error(_));
            let closing = self.closes(&event);
            if ends || self.channels.iter().any(|open| closing.closes_open(open)) {
                self.current = Some(event);
                return Some((closing, ends));
            }
            self.deliver(event);
        }
    }

    /// Returns how many bytes some check was not shown yet.
    fn unseen(&self) -> usize {
        self.channels.iter().map(|(_, channel)| channel.unseen()).sum()
    }

    /// Whether windows should run now.
    fn is_due(&self) -> bool {
        let unseen = self.unseen();
        unseen >= SOON || unseen > 0 && self.due().is_some_and(|due| due <= Instant::now())
    }

    /// Lets go what no check waits for: without checks of windows nothing is held.
    fn seen(&mut self) {
        self.let_go();
        self.unseen_since = None;
    }

    /// Returns how many bytes of text wait to leave.
    fn held_back(&self) -> usize {
        self.channels.iter().map(|(_, channel)| channel.held()).sum::<usize>() + self.waiting.deferred()
    }

    /// Returns which texts are complete once an event comes.
    fn closes(&self, event: &Event) -> Closing {
        match (Key::of(event), event) {
            (Some((key, _)), _) if self.waiting.is_in_order() => Closing::Others(key),
            (_, Event::ToolStart { choice, .. }) if self.waiting.is_in_order() => Closing::Choice(*choice),
            (_, Event::Signature { choice, .. }) => {
                Closing::One(Key { choice: *choice, kind: Kind::Reasoning })
            }
            (_, Event::Finish { choice, .. }) => Closing::Choice(*choice),
            (_, Event::End | Event::Error(_)) => Closing::All,
            _ => Closing::Nothing,
        }
    }

    /// Adds text to its channel; lets any other event go.
    fn deliver(&mut self, event: Event) {
        let Some((key, text)) = Key::of(&event) else {
            match &event {
                Event::Finish { choice, .. } => self.open_choices.retain(|open| open != choice),
                Event::Signature { choice, .. } => {
                    let signed = Key { choice: *choice, kind: Kind::Reasoning };
                    // A signature over other text would be refused by the vendor later.
                    if self.channels.iter().any(|(key, channel)| *key == signed && channel.was_masked()) {
                        return;
                    }
                }
                _ => {}
            }
            self.turn.events.push(event);
            return;
        };
        if !self.at_end.is_empty() || !self.informing.is_empty() {
            match self.whole.iter_mut().find(|(known, _)| *known == key) {
                Some((_, whole)) => whole.push_str(text),
                None => self.whole.push((key, text.to_owned())),
            }
        }
        let at = self.channels.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            let needs = self.watchers.iter().map(|watcher| watcher.needs);
            self.channels.push((key, Channel::new(needs, key.is_json())));
            self.channels.len() - 1
        });
        self.channels[at].1.push(text);
    }

    fn begin(&mut self, choice: u32) {
        if !self.open_choices.contains(&choice) {
            self.open_choices.push(choice);
        }
    }

    /// Runs the last windows of texts that are complete.
    async fn close(&mut self, closing: Closing) {
        if self.turn.denied || !self.channels.iter().any(|open| closing.closes_open(open)) {
            return;
        }
        for (_, channel) in self.channels.iter_mut().filter(|(key, _)| closing.closes(*key)) {
            channel.end();
        }
        self.windows(closing, true).await;
    }

    /// Runs one round of windows, the last ones of texts that close, and lets go what may leave.
    async fn windows(&mut self, closing: Closing, last: bool) {
        let wanted = |key: Key| !last || closing.closes(key);
        self.judged_at = Some(Instant::now());
        self.turn.denied |= round(&self.side, &mut self.watchers, &mut self.channels, &wanted, last).await;
        if self.turn.denied {
            return;
        }
        self.let_go();
        if self.channels.iter().all(|(_, channel)| channel.unseen() == 0) {
            self.unseen_since = None;
        }
    }

    /// Lets go what every check has judged.
    fn let_go(&mut self) {
        for (key, channel) in &mut self.channels {
            let text = channel.release();
            if !text.is_empty() {
                self.turn.events.push(key.event(text));
            }
        }
    }

    /// Runs the checks that judge the whole answer and hold nothing, and sums up.
    async fn conclude(&mut self) {
        let mut late = Vec::new();
        if !self.at_end.is_empty() {
            let exhibit = self.exhibit(&self.side, &self.whole);
            for (hook, check) in &self.at_end {
                let bound = &self.side.hooks[*hook].checks[*check];
                late.push(((*hook, *check), bound.ask(&self.side.tenant, &exhibit.subject).await.0));
            }
        }
        if !self.informing.is_empty() {
            inform(self.informing.clone(), self.exhibit(&self.informing, &self.whole));
        }
        self.at_end.clear();
        self.note(&late);
    }

    /// Sums the watchers up, with the results of checks that judged at the end.
    fn note(&mut self, late: &[((usize, usize), CheckResult)]) {
        let mut results = Vec::with_capacity(self.side.hooks.len());
        for (at, bound) in self.side.hooks.iter().enumerate() {
            let own = self.watchers.iter().filter(|watcher| watcher.hook == at);
            let blocked = own.clone().any(|watcher| watcher.blocked);
            let mut checks: Vec<(usize, CheckResult)> =
                own.map(|watcher| (watcher.check, watcher.result())).collect();
            checks.extend(
                late.iter()
                    .filter(|((hook, _), _)| *hook == at)
                    .map(|((_, check), result)| (*check, result.clone())),
            );
            checks.sort_by_key(|(check, _)| *check);
            let checks = checks.into_iter().map(|(_, result)| result).collect();
            results.push(HookResult::new(&bound.hook, checks, blocked, millis(self.started)));
        }
        self.results.after(results);
    }

    /// Handles what waits in a stream that is held to its end.
    async fn held(&mut self) {
        if !self.waiting.is_complete() {
            self.turn.denied = too_much(self.waiting_bytes);
            return;
        }
        let events = self.waiting.all();
        let texts = held::texts(&events);
        let mut exhibit = self.exhibit(&self.side, &texts);
        let judged = self.side.judge(&mut exhibit, &NoBody).await;
        self.waiting.clear();
        self.results.after(judged.results);
        if !self.informing.is_empty() {
            inform(self.informing.clone(), self.exhibit(&self.informing, &texts));
        }
        self.turn.denied = judged.denied;
        if !self.turn.denied {
            let changes: Vec<(Key, String)> = exhibit
                .changes()
                .filter_map(|(index, text)| Some((texts.get(index)?.0, text.to_owned())))
                .collect();
            self.turn.events = held::replay(events, &changes);
            self.open_choices.clear();
        }
    }

    fn exhibit(&self, side: &Side, texts: &[(Key, String)]) -> Exhibit {
        let subject = self.scene.subject(side, Hook::Output, None, None);
        let mut exhibit = Exhibit::new(subject);
        for (key, text) in texts {
            exhibit.add(key.kind.word(), "assistant", key.choice, text.clone(), key.is_json());
        }
        exhibit
    }
}

/// Which texts are complete.
#[derive(Clone, Copy, Debug)]
enum Closing {
    Nothing,
    One(Key),
    /// All of a choice but one: the client's dialect writes one after the other.
    Others(Key),
    Choice(u32),
    All,
}

impl Closing {
    fn closes(self, key: Key) -> bool {
        match self {
            Closing::Nothing => false,
            Closing::One(one) => key == one,
            Closing::Others(but) => key.choice == but.choice && key != but,
            Closing::Choice(choice) => key.choice == choice,
            Closing::All => true,
        }
    }

    /// Returns whether it completes a text that is not complete yet.
    fn closes_open(self, (key, channel): &(Key, Channel)) -> bool {
        self.closes(*key) && !channel.is_closed()
    }
}

/// Returns whether a check makes a stream wait for its end.
fn holds(bound: &BoundHook, check: &BoundCheck) -> bool {
    let Some(info) = check.plugin.as_ref().and_then(|plugin| plugin.check_info(&check.name)) else {
        // Nobody knows it, so it errs. Where that denies, nothing may leave before.
        return bound.hook.deny && check.fail_on_error;
    };
    let fails_only = info.extra.iter().any(|(name, value)| name == FAILS_ONLY && value == "true");
    !knows_windows(check) && (bound.hook.deny || info.mutates || !fails_only)
}

/// Returns whether checks of a hook build on each other's changes: they can't be asked window by window.
fn builds(bound: &BoundHook) -> bool {
    bound.hook.sequential && bound.checks.iter().filter(|check| check.mutates()).count() > 1
}

fn too_much(held: usize) -> bool {
    if held > MOST_HELD {
        tracing::warn!(bytes = held, "a guarded stream held back too much and was ended");
    }
    held > MOST_HELD
}
