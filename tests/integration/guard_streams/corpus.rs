//! Secrets and personal data, all made up, with what stands around them and what must stand in their place.

use std::collections::HashSet;

/// One thing that must not leave.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) plugin: &'static str,
    pub(super) before: &'static str,
    pub(super) secret: String,
    pub(super) after: &'static str,
    pub(super) mask: &'static str,
}

impl Case {
    pub(super) fn text(&self) -> String {
        format!("{}{}{}", self.before, self.secret, self.after)
    }

    pub(super) fn masked(&self) -> String {
        format!("{}{}{}", self.before, self.mask, self.after)
    }
}

/// Prefix and rest apart, so that no scanner takes this file for a leak.
fn key(prefix: &str, length: usize) -> String {
    let rest: String = "a1B2c3D4e5F6g7H8i9J0".chars().cycle().take(length).collect();
    format!("{prefix}{rest}")
}

fn private_key() -> String {
    format!("-----BEGIN {0}-----\n{1}\n-----END {0}-----", "EC PRIVATE KEY", key("MHc", 30))
}

/// Every category of the bundled `pii` and `secrets`.
pub(super) fn cases() -> Vec<Case> {
    let pii = [
        ("größer: write to ", "jane.doe+tag@mail.example.co.uk", ". 🌊", "[EMAIL]"),
        ("« ", "jürgen@bücher.example", " »", "[EMAIL]"),
        ("mailto:", "x@example.com", "?subject=héllo", "[EMAIL]"),
        ("名前 ", "me@xn--bcher-kva.example", " 以上", "[EMAIL]"),
        ("card ", "4111 1111 1111 1111", " 12/29 🎉", "[CARD]"),
        ("“ ", "5555-5555-5555-4444", " ” ja", "[CARD]"),
        ("é ", "378282246310005", ", ü", "[CARD]"),
        ("IBAN ", "DE89 3704 0044 0532 0130 00", " und", "[IBAN]"),
        ("(", "gb82west12345698765432", ") ☂", "[IBAN]"),
        ("→ ", "NO9386011117947", " ←", "[IBAN]"),
        ("ssn ", "078-05-1120", ", dann", "[SSN]"),
        ("№ ", "123 45 6789", " №", "[SSN]"),
        ("from ", "192.0.2.17", " 🚢", "[IP]"),
        ("[", "2001:db8::8a2e:370:7334", "]:443", "[IP]"),
        ("call ", "+49 (0)30 1234-5678", " now 📞", "[PHONE]"),
        ("tel ", "(415) 555-0132", " ☎", "[PHONE]"),
        ("ほ ", "415.555.0132", " ほ", "[PHONE]"),
        ("ruf ", "030/1234567", " än", "[PHONE]"),
    ];
    let secrets = [
        ("use ", key("sk-proj-", 60), ". ö", "[OPENAI_KEY]"),
        ("‘", key("sk-ant-api03-", 50), "’", "[ANTHROPIC_KEY]"),
        ("id ", "AKIA".to_owned() + "IOSFODNN7EXAMPLE", " ende", "[AWS_KEY_ID]"),
        ("🔑 ", key("ghp_", 36), " 🔑", "[GITHUB_TOKEN]"),
        ("pat ", key("github_pat_", 82), ", ", "[GITHUB_TOKEN]"),
        ("(", key("glpat-", 20), ") ñ", "[GITLAB_TOKEN]"),
        ("ş ", key("xoxb-", 50), " ş", "[SLACK_TOKEN]"),
        ("k=", key("AIza", 35), "&x", "[GOOGLE_KEY]"),
        ("→", key("sk_live_", 24), " ←", "[STRIPE_KEY]"),
        ("hf ", key("hf_", 34), " ß", "[HUGGINGFACE_TOKEN]"),
        ("npm ", key("npm_", 36), " 包", "[NPM_TOKEN]"),
        ("Bearer ", key("eyJhbGciOi", 40) + "." + &key("eyJ", 20) + "." + &key("", 23), " ü", "[JWT]"),
        ("ä\n", private_key(), "\nö", "[PRIVATE_KEY]"),
        ("The password is ", "hunter2-Tr0ub4dor".to_owned(), ". Ünd", "[SECRET]"),
        ("client-secret => '", key("", 20), "' ✓", "[SECRET]"),
    ];
    let pii = pii.map(|(before, secret, after, mask)| Case {
        plugin: "pii",
        before,
        secret: secret.to_owned(),
        after,
        mask,
    });
    let secrets =
        secrets.map(|(before, secret, after, mask)| Case { plugin: "secrets", before, secret, after, mask });
    pii.into_iter().chain(secrets).collect()
}

/// Length of a piece of a secret that must not be seen anywhere.
const FRAGMENT: usize = 8;

/// Knows every piece of every secret.
#[derive(Debug)]
pub(super) struct Hound(HashSet<Vec<u8>>);

impl Hound {
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Hound {
        let pieces = secrets.into_iter().flat_map(|secret| secret.as_bytes().windows(FRAGMENT));
        Hound(pieces.map(<[u8]>::to_vec).collect())
    }

    pub(super) fn of_cases(cases: &[Case]) -> Hound {
        Hound::of(cases.iter().map(|case| case.secret.as_str()))
    }

    /// The first piece of a secret in a text.
    pub(super) fn sniff(&self, text: &str) -> Option<String> {
        let found = text.as_bytes().windows(FRAGMENT).find(|window| self.0.contains(*window))?;
        Some(String::from_utf8_lossy(found).into_owned())
    }
}

/// All cuts of a text between two characters, ends included.
pub(super) fn cuts(text: &str) -> Vec<usize> {
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect()
}

/// The last cut at or before a position.
pub(super) fn cut_before(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// Words without any secret in them, at least so many bytes, every other one beyond ASCII.
pub(super) fn harmless(bytes: usize) -> String {
    let mut text = String::new();
    for word in ["wind ", "größe ", "sail ", "海 ", "rope ", "été ", "tide ", "⛵ "].iter().cycle() {
        if text.len() >= bytes {
            return text;
        }
        text.push_str(word);
    }
    text
}

/// Returns how many cuts to go on by: `reduced` in the suite, which has no time for all of them, and 1 where
/// `GUARD_CUTS=all` asks for every one.
pub(super) fn thin(reduced: usize) -> usize {
    if std::env::var("GUARD_CUTS").is_ok_and(|which| which == "all") { 1 } else { reduced }
}
