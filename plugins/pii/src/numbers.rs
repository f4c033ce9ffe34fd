//! Phone numbers, payment cards and US social security numbers.

use super::finder::{follows, is_word};

/// 15 digits (E.164) with up to two signs between them, a plus and brackets.
pub(crate) const LONGEST_PHONE: usize = 32;
/// 19 digits (ISO/IEC 7812) with a sign between each.
pub(crate) const LONGEST_CARD: usize = 37;

/// Digits from a position, with where each one ends. Signs between them are skipped, `gap` at most in a row.
struct Digits {
    values: Vec<u8>,
    ends: Vec<usize>,
    separated: bool,
}

impl Digits {
    fn read(bytes: &[u8], start: usize, most: usize, signs: &[u8], gap: usize) -> Self {
        let mut digits = Self { values: Vec::new(), ends: Vec::new(), separated: false };
        let mut at = start;
        let mut skipped = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte.is_ascii_digit() && digits.values.len() < most {
                digits.separated |= skipped > 0 && !digits.values.is_empty();
                digits.values.push(byte - b'0');
                digits.ends.push(at + 1);
                skipped = 0;
            } else if signs.contains(&byte) && skipped < gap {
                skipped += 1;
            } else {
                break;
            }
            at += 1;
        }
        digits
    }
}

fn goes_on(bytes: &[u8], end: usize) -> bool {
    bytes.get(end).is_some_and(|&byte| is_word(byte))
}

/// Returns the end of the payment card number that starts here: 13 to 19 digits of a known issuer, Luhn's sum right.
pub(crate) fn card_end(bytes: &[u8], start: usize) -> Option<usize> {
    let first = bytes.get(start)?;
    if !(b'2'..=b'6').contains(first) || follows(bytes, start, is_word) {
        return None;
    }
    let digits = Digits::read(bytes, start, 19, b" -", 1);
    (13..=digits.values.len()).rev().find_map(|count| {
        let end = *digits.ends.get(count - 1)?;
        (!goes_on(bytes, end) && luhn(digits.values.get(..count)?)).then_some(end)
    })
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| u32::from(if place % 2 == 1 { doubled(digit) } else { digit }))
        .sum();
    sum.is_multiple_of(10)
}

/// Returns the end of the social security number that starts here: 123-45-6789 or 123 45 6789, as far as such numbers
/// are given out.
pub(crate) fn ssn_end(bytes: &[u8], start: usize) -> Option<usize> {
    let number = bytes.get(start..start + 11)?;
    if follows(bytes, start, |byte| is_word(byte) || byte == b'-') {
        return None;
    }
    let sign = *number.get(3)?;
    let shaped = number.iter().enumerate().all(|(at, byte)| match at {
        3 | 6 => *byte == sign,
        _ => byte.is_ascii_digit(),
    });
    let (area, group, serial) = (number.get(..3)?, number.get(4..6)?, number.get(7..)?);
    let given_out = area != b"000" && area != b"666" && area.first() != Some(&b'9');
    let end = start + 11;
    let alone = !goes_on(bytes, end) && bytes.get(end) != Some(&b'-');
    (shaped && b"- ".contains(&sign) && given_out && group != b"00" && serial != b"0000" && alone)
        .then_some(end)
}

/// Returns the end of the phone number that starts here: international with a plus, North American, or national with a
/// leading 0 and something between its digits. Plain digits are not taken for a phone number.
pub(crate) fn phone_end(bytes: &[u8], start: usize) -> Option<usize> {
    let first = *bytes.get(start)?;
    let cuts = |byte: u8| is_word(byte) || b"+-./".contains(&byte);
    if follows(bytes, start, cuts) || first == b'(' && follows(bytes, start, |byte| byte == b'(') {
        return None;
    }
    match first {
        b'+' => international_end(bytes, start),
        b'(' | b'0'..=b'9' => north_american_end(bytes, start).or_else(|| national_end(bytes, start)),
        _ => None,
    }
}

fn alone(bytes: &[u8], end: usize) -> Option<usize> {
    (!goes_on(bytes, end)).then_some(end)
}

/// A capped read of the longest number; what lies beyond is not part of it.
fn within(bytes: &[u8], start: usize) -> &[u8] {
    bytes.get(..(start + LONGEST_PHONE).min(bytes.len())).unwrap_or(bytes)
}

fn international_end(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = Digits::read(within(bytes, start), start + 1, 15, b" -.()/", 2);
    let end = *digits.ends.last()?;
    let leads = bytes.get(start + 1).is_some_and(|byte| (b'1'..=b'9').contains(byte));
    if !leads || digits.values.len() < 8 { None } else { alone(bytes, end) }
}

fn north_american_end(bytes: &[u8], start: usize) -> Option<usize> {
    let country = if bytes.get(start) == Some(&b'1')
        && bytes.get(start + 1).is_some_and(|byte| b" -.".contains(byte))
    {
        start + 2
    } else {
        start
    };
    let opened = bytes.get(country) == Some(&b'(');
    let area = country + usize::from(opened);
    let number = |at: usize, count: usize| {
        bytes.get(at..at + count).filter(|digits| digits.iter().all(u8::is_ascii_digit))
    };
    // Area codes and exchanges start with 2 to 9.
    let is_code = |digits: &[u8]| digits.first().is_some_and(|&digit| digit >= b'2');
    number(area, 3).filter(|digits| is_code(digits))?;
    let mut at = area + 3;
    if opened {
        if bytes.get(at) != Some(&b')') {
            return None;
        }
        at += 1;
        at += usize::from(bytes.get(at).is_some_and(|byte| b" -.".contains(byte)));
    } else {
        bytes.get(at).filter(|byte| b" -.".contains(byte))?;
        at += 1;
    }
    number(at, 3).filter(|digits| is_code(digits))?;
    bytes.get(at + 3).filter(|byte| b" -.".contains(byte))?;
    number(at + 4, 4)?;
    alone(bytes, at + 8)
}

fn national_end(bytes: &[u8], start: usize) -> Option<usize> {
    let zero = start + usize::from(bytes.get(start) == Some(&b'('));
    if bytes.get(zero) != Some(&b'0') {
        return None;
    }
    let digits = Digits::read(within(bytes, start), zero, 13, b" -/()", 2);
    let end = *digits.ends.last()?;
    // Days, times and long numbers of other kinds have fewer digits, or nothing between them.
    if !digits.separated || digits.values.len() < 9 { None } else { alone(bytes, end) }
}
