//! Texts of a whole answer.

use super::slot::TextKind;
use crate::answer::{Answer, Choice};
use crate::call::Part;

/// One text of an answer. All text of a choice is one, as OpenAI's clients see it; likewise its reasoning and its
/// refusal. Each tool call's arguments are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerSlot {
    /// What it is.
    pub kind: TextKind,
    /// Always `assistant`.
    pub role: &'static str,
    /// Index of the choice.
    pub index: u32,
    /// The text. Never empty.
    pub text: String,
    /// Which of the choice's tool calls, for arguments.
    call: usize,
}

/// Finds the texts of an answer: choice by choice, each in the order in which its parts begin.
#[must_use]
pub fn of_answer(answer: &Answer) -> Vec<AnswerSlot> {
    answer.choices.iter().zip(0..).flat_map(|(choice, index)| of_choice(choice, index)).collect()
}

fn of_choice(choice: &Choice, index: u32) -> Vec<AnswerSlot> {
    let mut slots: Vec<AnswerSlot> = Vec::new();
    let mut calls = 0;
    for part in &choice.parts {
        let Some((kind, text)) = text_of(part) else { continue };
        let mut call = 0;
        if kind == TextKind::ToolArguments {
            call = calls;
            calls += 1;
        }
        match slots.iter_mut().find(|slot| slot.kind == kind && slot.call == call) {
            Some(slot) => slot.text.push_str(text),
            None => slots.push(AnswerSlot { kind, role: "assistant", index, text: text.to_owned(), call }),
        }
    }
    slots.retain(|slot| !slot.text.is_empty());
    slots
}

fn text_of(part: &Part) -> Option<(TextKind, &str)> {
    match part {
        Part::Text { text, .. } => Some((TextKind::Text, text)),
        Part::Thinking { text, .. } => Some((TextKind::Reasoning, text)),
        Part::Refusal { text } => Some((TextKind::Refusal, text)),
        Part::ToolCall { arguments, .. } => Some((TextKind::ToolArguments, arguments)),
        _ => None,
    }
}

fn text_of_mut(part: &mut Part) -> Option<(TextKind, &mut String)> {
    match part {
        Part::Text { text, .. } => Some((TextKind::Text, text)),
        Part::Thinking { text, signature } => {
            *signature = None;
            Some((TextKind::Reasoning, text))
        }
        Part::Refusal { text } => Some((TextKind::Refusal, text)),
        Part::ToolCall { arguments, .. } => Some((TextKind::ToolArguments, arguments)),
        _ => None,
    }
}

/// Puts a text in the place of a slot; slots of the same answer stay good. A text that stays the same changes nothing.
///
/// Where several parts make up the text, the first takes all of it and the others go. Changed reasoning loses its
/// signatures, and the choice its log probabilities, which spell out the old text.
pub fn replace_in_answer(answer: &mut Answer, slot: &AnswerSlot, text: String) {
    let choice = usize::try_from(slot.index).ok().and_then(|index| answer.choices.get_mut(index));
    let Some(choice) = choice else { return };
    if text == slot.text {
        return;
    }
    choice.logprobs = None;
    let mut text = Some(text);
    let mut calls = 0;
    choice.parts.retain_mut(|part| {
        let is_call = matches!(part, Part::ToolCall { .. });
        let number = calls;
        calls += usize::from(is_call);
        if text_of(part).is_none_or(|(kind, _)| kind != slot.kind) || (is_call && number != slot.call) {
            return true;
        }
        let Some((_, old)) = text_of_mut(part) else { return true };
        match text.take() {
            Some(new) => {
                *old = new;
                true
            }
            None => false,
        }
    });
}
