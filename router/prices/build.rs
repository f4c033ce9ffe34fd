//! Writes what counting `o200k_base` tokens needs: the ranks of all tokens, and the automaton that splits texts.
//!
//! The library's own dictionary is made for encoding and takes 66 MB of memory and 32 MB of the program. Counting needs
//! no more than the rank of a sequence of bytes, which is 4 MB of read-only data and nothing to load. The automaton is
//! 150 KB; compiled at run time it would take 16 MB.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use regex_automata::MatchKind;
use regex_automata::dfa::{StartKind, dense};

#[path = "src/tokens/slot.rs"]
mod slot;

/// How `o200k_base` splits texts, as published with OpenAI's tiktoken 0.12. Its negative look-ahead `\s+(?!\S)` is the
/// second pattern, of whose matches the last character is given back; `\s+$` in the first is for the end of the text.
const PATTERNS: [&str; 3] = [
    concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}",
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"|\s*[\r\n]+",
        r"|\s+$",
    ),
    r"\s+\s",
    r"\s+",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/tokens/slot.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    ranks(&folder)?;
    automaton(&folder)
}

fn ranks(folder: &Path) -> Result<(), Box<dyn Error>> {
    let bpe = &bpe_openai::o200k_base().bpe;
    let mut table = vec![0_u64; 1 << slot::SLOTS_LOG2];
    let mut longest = 0;
    for rank in 0..u32::try_from(bpe.num_tokens())? {
        let token = bpe.token_bytes(rank);
        longest = longest.max(token.len());
        if rank + 1 >= 1 << slot::RANK_BITS {
            return Err("ranks are too large for the table's slots".into());
        }
        let hash = slot::mixed(slot::add(slot::NOTHING, token));
        let mut at = slot::first(hash);
        while table[at] != 0 {
            if table[at] >> slot::RANK_BITS == hash >> slot::RANK_BITS {
                return Err("two tokens have the same hash".into());
            }
            at = slot::next(at);
        }
        table[at] = (hash >> slot::RANK_BITS << slot::RANK_BITS) | u64::from(rank + 1);
    }
    let bytes: Vec<u8> = table.into_iter().flat_map(u64::to_le_bytes).collect();
    fs::write(folder.join("o200k.ranks"), bytes)?;
    let longest = format!("/// Bytes of the longest token.\nconst LONGEST: usize = {longest};\n");
    Ok(fs::write(folder.join("o200k.rs"), longest)?)
}

fn automaton(folder: &Path) -> Result<(), Box<dyn Error>> {
    let settings = dense::Config::new().start_kind(StartKind::Anchored).match_kind(MatchKind::LeftmostFirst);
    let automaton = dense::Builder::new().configure(settings).build_many(&PATTERNS)?.to_sparse()?;
    let bytes = match env::var("CARGO_CFG_TARGET_ENDIAN").as_deref() {
        Ok("big") => automaton.to_bytes_big_endian(),
        _ => automaton.to_bytes_little_endian(),
    };
    Ok(fs::write(folder.join("o200k.dfa"), bytes)?)
}
