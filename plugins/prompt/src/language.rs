//! Which language a text is in: by its script, and where several share one by their commonest words. A guess for
//! routing; short or mixed texts may have none.

/// Bytes of a text that are looked at; more do not make the guess better.
const SAMPLE: usize = 4096;

/// Scripts that tell, as ranges of characters. Kana before Han: Japanese has both.
const SCRIPTS: &[(&str, &[(char, char)])] = &[
    ("ja", &[('\u{3040}', '\u{30ff}')]),
    ("ko", &[('\u{1100}', '\u{11ff}'), ('\u{ac00}', '\u{d7af}')]),
    ("zh", &[('\u{3400}', '\u{4dbf}'), ('\u{4e00}', '\u{9fff}')]),
    ("ar", &[('\u{600}', '\u{6ff}')]),
    ("he", &[('\u{590}', '\u{5ff}')]),
    ("hi", &[('\u{900}', '\u{97f}')]),
    ("th", &[('\u{e00}', '\u{e7f}')]),
    ("el", &[('\u{370}', '\u{3ff}')]),
    ("ru", &[('\u{400}', '\u{4ff}')]),
];

/// The commonest words of languages in Latin script, between spaces.
const WORDS: &[(&str, &str)] = &[
    ("en", " the and of to is in that it you for with are this what how not have be on can do please "),
    ("de", " der die das und ist nicht ich ein eine zu mit den wie von auf für sie es im was bitte du kann "),
    ("fr", " le la les et est de des un une je que pour pas dans qui vous ce en il du comment avec sur "),
    ("es", " el la los las y es de que en un una por no con para cómo qué se del lo mi como está "),
    ("it", " il la di che e è un una per non in con sono come cosa del della mi gli si questo "),
    ("pt", " o a os as e é de que em um uma para não com como por do da eu você se isso "),
    ("nl", " de het een en van is niet ik dat je in op te met voor zijn wat hoe maar aan "),
    ("pl", " i w nie na to się z że jest do jak co czy mi o po dla ale proszę jestem "),
    ("tr", " ve bir bu için ne ile de da mi nasıl ben çok var değil olarak daha gibi "),
];

/// Returns whether a code is that of a language which can be told.
pub(crate) fn is_known(code: &str) -> bool {
    code == "uk"
        || SCRIPTS.iter().any(|(known, _)| *known == code)
        || WORDS.iter().any(|(known, _)| *known == code)
}

/// Returns the code of the language of a text.
pub(crate) fn of(text: &str) -> Option<&'static str> {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= SAMPLE).unwrap_or(text.len());
    let text = text.get(..end)?.to_lowercase();
    let letters = text.chars().filter(|letter| letter.is_alphabetic()).count();
    by_script(&text, letters).or_else(|| by_words(&text))
}

fn by_script(text: &str, letters: usize) -> Option<&'static str> {
    let count = |ranges: &[(char, char)]| {
        text.chars().filter(|letter| ranges.iter().any(|(from, to)| (from..=to).contains(&letter))).count()
    };
    // A third, because code and names stay in Latin letters; Japanese has more Han than Kana at times.
    let share = |code: &str| if code == "ja" { 10 } else { 3 };
    let (code, _) =
        SCRIPTS.iter().find(|(code, ranges)| letters > 0 && count(ranges) * share(code) >= letters)?;
    let is_ukrainian = *code == "ru" && text.contains(['і', 'ї', 'є', 'ґ']);
    Some(if is_ukrainian { "uk" } else { code })
}

fn by_words(text: &str) -> Option<&'static str> {
    let words = || text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty());
    let hits = |list: &str| words().filter(|word| list.contains(&format!(" {word} "))).count();
    let mut best: Vec<(usize, &str)> = WORDS.iter().map(|(code, list)| (hits(list), *code)).collect();
    best.sort_unstable_by(|one, other| other.cmp(one));
    match best.as_slice() {
        // A tie says nothing.
        [(first, code), (second, _), ..] if first > second => {
            WORDS.iter().find(|(known, _)| known == code).map(|(known, _)| *known)
        }
        _ => None,
    }
}
