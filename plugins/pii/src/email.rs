//! E-mail addresses, also with letters beyond ASCII.

/// RFC 5321: 64 bytes before the @, 254 in all.
pub(crate) const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte) || byte >= 0x80
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte) || byte >= 0x80
}

/// Returns the end of the address that starts here.
pub(crate) fn end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    // Where more than the longest name stands before the @, its last 64 bytes are masked rather than nothing.
    if super::finder::follows(bytes, start, is_local) && bytes.get(start + LONGEST_LOCAL) != Some(&b'@') {
        return None;
    }
    let local =
        bytes.get(start..)?.iter().take(LONGEST_LOCAL + 1).take_while(|&&byte| is_local(byte)).count();
    let at = start + local;
    // Punctuation like typographic quotes is no name, though its bytes are beyond ASCII.
    let is_name = text.get(start..at)?.contains(|letter: char| letter.is_alphanumeric());
    if !is_name || local > LONGEST_LOCAL || bytes.get(at) != Some(&b'@') {
        return None;
    }
    let most = LONGEST - local - 1;
    let run = bytes.get(at + 1..)?.iter().take(most).take_while(|&&byte| is_domain(byte)).count();
    (1..=run).rev().map(|length| at + 1 + length).find(|&end| {
        text.get(at + 1..end).is_some_and(|domain| {
            let whole_label = text.get(end..).is_none_or(|rest| {
                !rest.starts_with(|next: char| next.is_alphanumeric()) || end == start + LONGEST
            });
            whole_label && is_host(domain)
        })
    })
}

/// Labels with a dot between, the last one of two letters or more.
fn is_host(domain: &str) -> bool {
    let Some((before, last)) = domain.rsplit_once('.') else { return false };
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    let is_top = last.starts_with("xn--") || last.chars().all(char::is_alphabetic);
    is_top && last.chars().count() >= 2 && is_label(last) && before.split('.').all(is_label)
}
