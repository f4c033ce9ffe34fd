//! IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::finder::{follows, is_word};

/// Eight groups of four digits, or six of them and an address of four numbers.
pub(crate) const LONGEST: usize = 45;

/// Returns the end of the address that starts here.
pub(crate) fn end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if follows(bytes, start, |byte| is_word(byte) || byte == b'.' || byte == b':') {
        return None;
    }
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let run = bytes.get(start..)?.iter().take(LONGEST + 1).take_while(|&&byte| is_part(byte)).count();
    let run = text.get(start..start + run)?.trim_end_matches(['.', ':']);
    // "::" alone ends with what was cut off.
    let end = start + run.len();
    if run.len() > LONGEST || bytes.get(end).is_some_and(|&byte| is_word(byte)) {
        return None;
    }
    (is_v4(run) || is_v6(run)).then_some(end)
}

fn is_v4(run: &str) -> bool {
    run.parse::<Ipv4Addr>().is_ok()
}

/// A time like 12:30 or a path like a::b is none.
fn is_v6(run: &str) -> bool {
    let parted = run.matches(':').count() >= 3
        || run.contains("::") && run.contains(|digit: char| digit.is_ascii_digit());
    parted && run.parse::<Ipv6Addr>().is_ok()
}
