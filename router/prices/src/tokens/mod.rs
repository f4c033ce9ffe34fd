//! Token counts made locally, for holds before an answer and for answers that report no usage.
//!
//! Counts are OpenAI's `o200k_base`. Other vendors do not publish their tokenizers or use others, so a hold
//! takes [`scaled`] and settles with what the vendor reports. [`bound`] never holds too little.

mod ranks;
mod slot;
mod split;

use self::ranks::Merger;
use crate::name;

/// Returns the number of `o200k_base` tokens. Text that looks like a special token counts as plain text, and
/// nothing is normalised: `o200k_base` reads bytes as they come.
#[must_use]
pub fn count(text: &str) -> u64 {
    // Anything of one byte is one token, and streams are full of it.
    if text.len() < 2 {
        return text.len() as u64;
    }
    let mut merger = Merger::default();
    split::split(text).map(|piece| merger.count(piece.as_bytes())).sum()
}

/// Returns the number of tokens of one piece of a stream, counted by itself. The sum over a stream is close to
/// the count of the whole text and as a rule above it: a cut breaks tokens more often than it saves one.
#[must_use]
pub fn count_piece(piece: &str) -> u64 {
    count(piece)
}

/// Returns an upper bound on the tokens of a text of this many bytes, for every byte-level tokenizer: a token is
/// at least one byte.
#[must_use]
pub fn bound(text_bytes: usize) -> u64 {
    text_bytes as u64
}

/// Returns an `o200k_base` count with the vendor's safety margin, rounded up.
#[must_use]
pub fn scaled(vendor: &str, tokens: u64) -> u64 {
    let scaled = (u128::from(tokens) * u128::from(per_mille(vendor))).div_ceil(1_000);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Margins are choices, not measurements and not bounds; the gateway shows the real error per vendor, which is
/// the figure to correct them with.
///
/// - OpenAI: its own tokenizer for every model since GPT-4o.
/// - Anthropic: the tokenizer since Opus 4.7 was announced with up to 1.35 times the tokens of the one before,
///   depending on the content; dense code can exceed this margin.
/// - Google: a larger vocabulary (262k in Gemma's published tokenizer), but one that splits digits.
/// - Llama, Mistral and Qwen families: vocabularies of 32k to 152k against 200k; worst outside English.
/// - Unknown: the largest of these.
fn per_mille(vendor: &str) -> u64 {
    match name::vendor(vendor) {
        "openai" | "azure-openai" => 1_000,
        "google" => 1_200,
        "mistral-ai" | "groq" | "together-ai" | "fireworks-ai" | "deepinfra" | "cerebras" | "deepseek"
        | "cohere" | "perplexity-ai" | "moonshot" | "x-ai" | "ollama" | "vllm" | "llama-cpp"
        | "lm-studio" => 1_250,
        _ => 1_350,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_those_of_o200k() {
        for (text, tokens) in [
            ("", 0),
            ("a", 1),
            ("Hello, world!", 4),
            ("tokenization is great", 4),
            ("<|endoftext|>", 7),
            ("1234567", 3),
        ] {
            assert_eq!(count(text), tokens, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn counts_are_the_librarys(
            text in prop_oneof![
                "\\PC{0,80}",
                "[a-zA-Z ,.'\n]{0,300}",
                "[a-c]{0,400}",
                "[ \t\r\n/]{0,40}",
                "([ !-/:-@\\[-`{-~\t]{0,3}([A-Z]{0,3}|[0-9]{0,5}|\r?\n|é|½|\u{a0}|٣)){0,40}",
                "([A-Za-z]{1,12}[ ,.\n]){0,60}",
                "([ (\"'.#\t\r-]?[A-Z]{0,3}[a-z]{0,4}('s|'LL|'x|é|ß|Σ|\u{301}|1)?){0,40}",
                "[\u{0}-\u{10ffff}]{0,60}",
                "[0-9a-f_{}\":\\[\\]-]{0,200}",
                "[\u{4e00}-\u{9fff}\u{0400}-\u{04ff}\u{0600}-\u{06ff} ]{0,80}",
            ]
        ) {
            prop_assert_eq!(count(&text), bpe_openai::o200k_base().count(&*text) as u64);
        }
    }

    #[test]
    fn very_long_pieces_are_judged_by_parts_of_them() {
        for piece in ["x", "ab", " ", "\u{4e2d}\u{6587}\u{5b57}", "qzjkvwxpf"] {
            for length in [1_000, 4_096, 4_097, 5_000, 100_000, 2_000_000] {
                let text = piece.repeat(length / piece.len());
                let (counted, library) = (count(&text), bpe_openai::o200k_base().count(&*text) as u64);
                match text.len() <= 4_096 {
                    true => assert_eq!(counted, library, "{piece}"),
                    false => assert!(
                        (library * 98 / 100..=library * 104 / 100).contains(&counted),
                        "{counted} {library} {piece} {length}"
                    ),
                }
            }
        }
    }

    #[test]
    fn composed_and_decomposed_text_are_counted_as_they_are() {
        let (composed, decomposed) = ("caf\u{e9} d\u{e9}j\u{e0}", "cafe\u{301} de\u{301}ja\u{300}");
        assert!(count(composed) < count(decomposed));
    }

    #[test]
    fn strange_text_is_counted_without_panic() {
        for text in [
            "\0\u{1}\u{7f}\u{80}\u{9f}",
            "\u{feff}\u{200b}\u{200d}\u{2028}\u{2029}\u{fffd}\u{ffff}\u{10ffff}",
            "\u{202e}abc\u{202c}",
            "👩‍👩‍👧‍👦🏳️‍🌈",
            "e\u{301}\u{302}\u{303}\u{304}\u{305}",
            "\r\n\r\n \t \u{a0}\u{3000}",
            "ﷺ꧅𒐫",
        ] {
            let tokens = count(text);
            assert!(tokens > 0 && tokens <= bound(text.len()), "{text:?}: {tokens}");
        }
    }

    #[test]
    fn margins_round_up_and_are_largest_for_the_unknown() {
        assert_eq!(scaled("openai", 1_000), 1_000);
        assert_eq!(scaled("anthropic", 1_001), 1_352);
        assert_eq!(scaled("gemini", 10), 12);
        assert_eq!(scaled("mistral", 4), 5);
        assert_eq!(scaled("nobody", 100), 135);
        assert_eq!(scaled("nobody", u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn no_token_is_empty_and_none_is_lost(text in "\\PC{0,200}|[\\s\\p{M}a-z0-9\r\n]{0,200}|(?s:.{0,100})") {
            prop_assert!(count(&text) <= bound(text.len()));
            let library = bpe_openai::o200k_base();
            let tokens = library.encode(text.as_str());
            prop_assert_eq!(tokens.len() as u64, count(&text));
            prop_assert_eq!(library.decode(&tokens), Some(text));
        }

        #[test]
        fn pieces_are_not_much_fewer_than_the_whole(words in prop::collection::vec("[a-z ]{1,6}", 0..60)) {
            let pieces: u64 = words.iter().map(|word| count_piece(word)).sum();
            let whole = count(&words.concat());
            prop_assert!(pieces + pieces / 10 + 2 >= whole, "{} pieces, {} whole", pieces, whole);
        }
    }
}
