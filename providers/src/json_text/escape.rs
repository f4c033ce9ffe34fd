//! Escape sequences of JSON strings.

/// What stands at a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// So many bytes that stand for a character.
    Char(char, usize),
    /// So many bytes that mean nothing in JSON.
    Bad(usize),
    /// The rest has yet to come.
    Cut,
}

/// Reads the escape that `text` begins with. `is_last` says that nothing follows the text.
pub(super) fn read(text: &str, is_last: bool) -> Escape {
    let Some(name) = text[1..].chars().next() else {
        return if is_last { Escape::Bad(1) } else { Escape::Cut };
    };
    let char = match name {
        '"' | '\\' | '/' => name,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unicode(text.as_bytes(), is_last),
        _ => return Escape::Bad(1 + name.len_utf8()),
    };
    Escape::Char(char, 2)
}

fn unicode(text: &[u8], is_last: bool) -> Escape {
    let unit = match unit(text) {
        Unit::Whole(unit) => unit,
        Unit::Cut if !is_last => return Escape::Cut,
        Unit::Cut => return Escape::Bad(text.len()),
        Unit::None(len) => return Escape::Bad(len),
    };
    if let Some(char) = char::from_u32(unit) {
        return Escape::Char(char, 6);
    }
    // Half of a character. Alone it is valid JSON, but no text.
    let alone = Escape::Char(char::REPLACEMENT_CHARACTER, 6);
    if unit >= 0xDC00 {
        return alone;
    }
    match self::unit(&text[6..]) {
        Unit::Whole(low @ 0xDC00..=0xDFFF) => {
            let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            char::from_u32(code).map_or(alone, |char| Escape::Char(char, 12))
        }
        Unit::Cut if !is_last => Escape::Cut,
        _ => alone,
    }
}

enum Unit {
    /// `\u` and four digits.
    Whole(u32),
    /// The beginning of it, with nothing behind.
    Cut,
    /// Something else from this byte on.
    None(usize),
}

fn unit(text: &[u8]) -> Unit {
    let mut unit = 0;
    for at in 0..6 {
        let Some(&byte) = text.get(at) else { return Unit::Cut };
        let fits = match at {
            0 => byte == b'\\',
            1 => byte == b'u',
            _ => byte.is_ascii_hexdigit(),
        };
        if !fits {
            return Unit::None(at);
        }
        if at > 1 {
            unit = unit * 16 + char::from(byte).to_digit(16).unwrap_or_default();
        }
    }
    Unit::Whole(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_characters() {
        for (text, char) in
            [("\\n", '\n'), ("\\\"x", '"'), ("\\/", '/'), ("\\u00e9 ", 'é'), ("\\u0000", '\0')]
        {
            let len = if text.contains('u') { 6 } else { 2 };
            assert_eq!(read(text, false), Escape::Char(char, len), "{text}");
        }
        assert_eq!(read("\\ud83D\\uDE00", false), Escape::Char('😀', 12));
    }

    #[test]
    fn half_a_pair_is_a_replacement_character() {
        let alone = Escape::Char('\u{fffd}', 6);
        for text in
            ["\\ud83d x", "\\ud83d\\n", "\\ud83d\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\ud83d\\u00x"]
        {
            assert_eq!(read(text, false), alone, "{text}");
        }
        assert_eq!(read("\\ud83d", true), alone);
        assert_eq!(read("\\ud83d\\ude0", true), alone);
    }

    #[test]
    fn every_beginning_of_a_pair_waits_for_the_rest() {
        let pair = "\\ud83d\\ude00";
        for end in 1..pair.len() {
            assert_eq!(read(&pair[..end], false), Escape::Cut, "{}", &pair[..end]);
        }
    }

    #[test]
    fn bad_escapes_end_before_what_may_be_good() {
        assert_eq!(read("\\x", false), Escape::Bad(2));
        assert_eq!(read("\\ö", false), Escape::Bad(3));
        assert_eq!(read("\\u0\"", false), Escape::Bad(3));
        assert_eq!(read("\\u00", true), Escape::Bad(4));
        assert_eq!(read("\\", true), Escape::Bad(1));
    }
}
