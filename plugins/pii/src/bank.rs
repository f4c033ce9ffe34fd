//! International bank account numbers.

use super::finder::{follows, is_word};

/// 34 letters and digits in groups of four.
pub(crate) const LONGEST: usize = 42;

/// Lengths by country, of the IBAN registry.
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24\
    FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25\
    MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23\
    ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

fn length_of(country: &[u8]) -> Option<usize> {
    LENGTHS.as_bytes().chunks_exact(4).find_map(|entry| {
        let (name, length) = entry.split_at_checked(2)?;
        let same = name.eq_ignore_ascii_case(country);
        same.then(|| length.iter().fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0')))
    })
}

/// Returns the end of the IBAN that starts here, in groups of four or in one: the country's length, and the remainder
/// of ISO 7064 right.
pub(crate) fn end(bytes: &[u8], start: usize) -> Option<usize> {
    let country = bytes.get(start..start + 2)?;
    let checked = bytes.get(start + 2..start + 4)?.iter().all(u8::is_ascii_digit);
    if !checked || follows(bytes, start, is_word) {
        return None;
    }
    let length = length_of(country)?;
    let mut letters = Vec::with_capacity(length);
    let mut at = start;
    while letters.len() < length {
        let byte = *bytes.get(at)?;
        at += 1;
        if byte.is_ascii_alphanumeric() {
            letters.push(byte.to_ascii_uppercase());
        } else if !b" -".contains(&byte)
            || !letters.len().is_multiple_of(4)
            || follows(bytes, at - 1, |byte| b" -".contains(&byte))
        {
            return None;
        }
    }
    let alone = !bytes.get(at).is_some_and(|&byte| is_word(byte));
    (alone && remainder(&letters) == 1).then_some(at)
}

/// The first four characters count as the last.
fn remainder(letters: &[u8]) -> u32 {
    let (head, tail) = letters.split_at(letters.len().min(4));
    tail.iter().chain(head).fold(0, |rest, &letter| {
        let value =
            if letter.is_ascii_digit() { u32::from(letter - b'0') } else { u32::from(letter - b'A') + 10 };
        (if value > 9 { rest * 100 } else { rest * 10 } + value) % 97
    })
}
