//! Puts other texts in the places of a request.

use serde_json::Value;

use super::slot::{Form, Slot, Step};

/// Why a text can't be put in its place. The body is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The body is not the one that the slot was found in.
    #[error("the body no longer has a text in this place")]
    Gone,
    /// The place holds JSON, and the new text is none.
    #[error("the place holds JSON and the new text is none: {0}")]
    NotJson(#[from] serde_json::Error),
    /// The place holds an object or array, and the new text is another kind of JSON.
    #[error("the place holds {0} and the new text is other JSON")]
    OtherJson(&'static str),
}

/// Puts one text in its place. For several use [`replace_all`]: a signed thought that changed is removed, and then
/// the slots found before no longer fit.
///
/// # Errors
/// [`ReplaceError`] says why not; the body is as it was.
pub fn replace(body: &mut Value, slot: &Slot, text: String) -> Result<(), ReplaceError> {
    replace_all(body, [(slot, text)])
}

/// Puts texts in their places, all or none. A text that stays the same changes nothing.
///
/// Signed thoughts that change are removed, and a message with nothing else in it as well. Vendors that want a thought
/// before a tool call of the turn under way may refuse the request then.
///
/// # Errors
/// [`ReplaceError`] says why not; the body is as it was.
pub fn replace_all<'s>(
    body: &mut Value,
    edits: impl IntoIterator<Item = (&'s Slot, String)>,
) -> Result<(), ReplaceError> {
    let mut values = Vec::new();
    let mut signed = Vec::new();
    for (slot, text) in edits {
        if text == slot.text {
            continue;
        }
        let place = &slot.place;
        let old = find(body, &place.path).ok_or(ReplaceError::Gone)?;
        let new = match (place.form, old) {
            (Form::String, Value::String(old)) if *old == slot.text => Value::String(text),
            (Form::Json, Value::Object(_) | Value::Array(_)) if same_json(old, &slot.text) => {
                json_like(old, &text)?
            }
            _ => return Err(ReplaceError::Gone),
        };
        match place.signed.and_then(|steps| place.path.get(..steps)) {
            Some(block) => signed.push(block.to_vec()),
            None => values.push((&place.path, new)),
        }
    }
    for (path, new) in values {
        if let Some(value) = find_mut(body, path) {
            *value = new;
        }
    }
    // From the back, so that what is still to go stands where it was found.
    signed.sort();
    signed.dedup();
    for path in signed.iter().rev() {
        remove_block(body, path);
    }
    Ok(())
}

fn same_json(value: &Value, text: &str) -> bool {
    let written = value.to_string();
    written == text
}

fn json_like(old: &Value, text: &str) -> Result<Value, ReplaceError> {
    let new: Value = serde_json::from_str(text)?;
    match (old, &new) {
        (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_)) => Ok(new),
        (Value::Object(_), _) => Err(ReplaceError::OtherJson("an object")),
        _ => Err(ReplaceError::OtherJson("an array")),
    }
}

fn find<'v>(value: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.get(name.as_ref()),
        Step::Index(index) => value.get(index),
    })
}

fn find_mut<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Member(name) => value.get_mut(name.as_ref()),
        Step::Index(index) => value.get_mut(index),
    })
}

/// Removes the entry of an array, and what has no sense without it.
fn remove_block(body: &mut Value, path: &[Step]) {
    let Some((Step::Index(index), list_path)) = path.split_last() else { return };
    let Some(Value::Array(list)) = find_mut(body, list_path) else { return };
    if *index < list.len() {
        list.remove(*index);
    }
    if !list.is_empty() {
        return;
    }
    let Some((Step::Member(name), owner_path)) = list_path.split_last() else { return };
    let Some(Value::Object(owner)) = find_mut(body, owner_path) else { return };
    let says_more = ["tool_calls", "function_call", "refusal", "content_blocks", "reasoning_content"];
    match name.as_ref() {
        "content" if says_more.iter().any(|name| owner.get(*name).is_some_and(|value| !value.is_null())) => {
            owner.insert("content".to_owned(), Value::Null);
        }
        // Vendors refuse a message without content.
        "content" if owner.contains_key("role") => remove_block(body, owner_path),
        "content_blocks" | "reasoning_details" => {
            owner.shift_remove(name.as_ref());
        }
        _ => {}
    }
}
