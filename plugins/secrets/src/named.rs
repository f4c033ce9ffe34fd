//! Values that are called a secret by the word before them, and look random.

use crate::formats::is_token;

/// How far before a value its name may reach: `"client_secret_password" : "`.
pub(crate) const BEFORE: usize = 40;
/// So many characters of a value say whether it is random.
const SAMPLE: usize = 64;
/// A sample and what may follow it.
pub(crate) const DECIDES: usize = SAMPLE + 2;

/// A name, and what a value must have to count: so many characters, so many bits of surprise in each. Keys and tokens
/// are also words of everyday talk about data.
const NAMES: [(&str, usize, f32); 9] = [
    ("key", 16, 3.5),
    ("token", 16, 3.5),
    ("credential", 16, 3.5),
    ("credentials", 16, 3.5),
    ("secret", 10, 2.8),
    ("password", 10, 2.8),
    ("passwd", 10, 2.8),
    ("passphrase", 10, 2.8),
    ("pwd", 10, 2.8),
];

/// Returns whether a byte can be part of a value.
pub(crate) fn is_value(byte: u8) -> bool {
    is_token(byte) || b"+/=.~!@#$%^&*".contains(&byte)
}

/// Returns the end of the value that starts here.
pub(crate) fn end(bytes: &[u8], start: usize) -> Option<usize> {
    let before = bytes.get(start.saturating_sub(BEFORE)..start)?;
    let (shortest, bits) = name_of(before)?;
    let value = bytes.get(start..)?;
    // A sentence's full stop is not part of it.
    let goes_on = |at: usize| value.get(at).is_some_and(|&byte| is_value(byte));
    let length = (0..value.len())
        .take_while(|&at| {
            goes_on(at) && (!value.get(at).is_some_and(|byte| b".!".contains(byte)) || goes_on(at + 1))
        })
        .count();
    let sample = value.get(..length.min(SAMPLE))?;
    (length >= shortest && looks_random(sample, bits)).then_some(start + length)
}

/// Returns what is asked of a value after this text. It ends with a name, a sign, and maybe a quote: `api_key = "`,
/// `password is `, `token: `.
fn name_of(before: &[u8]) -> Option<(usize, f32)> {
    let quoted = before
        .strip_suffix(b"\"")
        .or_else(|| before.strip_suffix(b"'"))
        .or_else(|| before.strip_suffix(b"`"));
    let before = trim(quoted.unwrap_or(before));
    let signs: [&[u8]; 5] = [b"=>", b":=", b"=", b":", b" is"];
    let before = trim(signs.iter().find_map(|sign| before.strip_suffix(*sign))?);
    let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
    let is_last = |name: &str| {
        let at = before.len().checked_sub(name.len());
        at.and_then(|at| before.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(name.as_bytes()))
    };
    NAMES.iter().find(|(name, ..)| is_last(name)).map(|&(_, shortest, bits)| (shortest, bits))
}

fn trim(mut text: &[u8]) -> &[u8] {
    // Four spaces at most, so that the name stays within reach.
    for _ in 0..4 {
        text = text.strip_suffix(b" ").unwrap_or(text);
    }
    text
}

/// Letters and digits, and at least so many bits of surprise in each character.
fn looks_random(sample: &[u8], least: f32) -> bool {
    let mut counts = [0_u32; 256];
    for &byte in sample {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let length = sample.len() as f32;
    let bits: f32 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = count as f32 / length;
            -share * share.log2()
        })
        .sum();
    let digits = sample.iter().any(u8::is_ascii_digit);
    let letters = sample.iter().any(u8::is_ascii_alphabetic);
    digits && letters && bits >= least
}
