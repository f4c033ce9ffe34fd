//! Where in the file a mistake is, and what was probably meant.

/// Returns the name on the line of an offset, as `name: `; values are left out, they may be secrets.
pub(super) fn name_at(text: &str, offset: usize) -> String {
    let start = text[..offset.min(text.len())].rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    match line.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() => format!("{}: ", name.trim()),
        _ => String::new(),
    }
}

/// Returns where in a table the member that a message begins with (`provider.api_key: …`) stands.
pub(super) fn place_of(text: &str, table: usize, message: &str) -> usize {
    let path = message.split([':', '[', ' ']).next().unwrap_or_default();
    let Some(member) = path.split('.').nth(1) else { return table };
    let mut at = table;
    for (number, line) in text[table..].split_inclusive('\n').enumerate() {
        if number > 0 && line.trim_start().starts_with('[') {
            break;
        }
        if line.trim_start().strip_prefix(member).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return at;
        }
        at += line.len();
    }
    table
}

/// Returns where the member that a message begins with (`listen: …`, `cors.origins: …`) stands in the file.
pub(super) fn place_in(text: &str, message: &str) -> Option<usize> {
    let path = message.split(':').next()?;
    let (table, member) = path.rsplit_once('.').unwrap_or(("", path));
    let (mut at, mut inside) = (0, "");
    for line in text.split_inclusive('\n') {
        let words = line.trim_start();
        let name = words.split('=').next().unwrap_or_default().trim();
        if let Some(head) = words.strip_prefix('[') {
            inside = head.split(']').next().unwrap_or_default().trim();
        } else if (inside == table && name == member) || (inside.is_empty() && name == path) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Adds the nearest accepted name to serde's "unknown field" messages.
pub(super) fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown ") {
        return message.to_owned();
    }
    let Some(unknown) = names.next() else { return message.to_owned() };
    let nearest =
        names.max_by(|a, b| strsim::jaro_winkler(unknown, a).total_cmp(&strsim::jaro_winkler(unknown, b)));
    match nearest {
        Some(name) if strsim::jaro_winkler(unknown, name) > 0.75 => {
            format!("{message}; did you mean `{name}`?")
        }
        _ => message.to_owned(),
    }
}
