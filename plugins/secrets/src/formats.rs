//! Secrets that say by their first bytes what they are.

/// The first line of a private key is the longest thing that must be seen whole.
pub(crate) const DECIDES: usize = 72;
/// A 16384-bit RSA key has 12 KB. Where no last line comes, nobody waits longer than for this.
pub(crate) const LONGEST_PEM: usize = 16_384;

/// What follows a prefix.
enum Rest {
    /// So many characters or more.
    AtLeast(usize),
    /// So many exactly.
    Exactly(usize),
    /// As `AtLeast`, with a digit and a letter among them: words joined by dashes are none.
    Mixed(usize),
}

/// Name, prefix, what follows. Longer prefixes stand before those that they begin with.
const KNOWN: &[(&str, &str, Rest)] = &[
    ("anthropic_key", "sk-ant-", Rest::AtLeast(20)),
    ("openai_key", "sk-", Rest::Mixed(20)),
    ("aws_key_id", "AKIA", Rest::Exactly(16)),
    ("aws_key_id", "ASIA", Rest::Exactly(16)),
    ("github_token", "github_pat_", Rest::AtLeast(22)),
    ("github_token", "ghp_", Rest::AtLeast(30)),
    ("github_token", "gho_", Rest::AtLeast(30)),
    ("github_token", "ghu_", Rest::AtLeast(30)),
    ("github_token", "ghs_", Rest::AtLeast(30)),
    ("github_token", "ghr_", Rest::AtLeast(30)),
    ("gitlab_token", "glpat-", Rest::AtLeast(20)),
    ("slack_token", "xoxb-", Rest::AtLeast(10)),
    ("slack_token", "xoxa-", Rest::AtLeast(10)),
    ("slack_token", "xoxp-", Rest::AtLeast(10)),
    ("slack_token", "xoxr-", Rest::AtLeast(10)),
    ("slack_token", "xoxs-", Rest::AtLeast(10)),
    ("slack_token", "xapp-", Rest::AtLeast(10)),
    ("google_key", "AIza", Rest::Exactly(35)),
    ("stripe_key", "sk_live_", Rest::AtLeast(16)),
    ("stripe_key", "sk_test_", Rest::AtLeast(16)),
    ("stripe_key", "rk_live_", Rest::AtLeast(16)),
    ("stripe_key", "rk_test_", Rest::AtLeast(16)),
    ("stripe_key", "whsec_", Rest::AtLeast(16)),
    ("huggingface_token", "hf_", Rest::Mixed(30)),
    ("npm_token", "npm_", Rest::AtLeast(36)),
    // A JSON object that starts with one of the members of a JOSE header, in base64.
    ("jwt", "eyJhbGciOi", Rest::AtLeast(10)),
    ("jwt", "eyJ0eXAiOi", Rest::AtLeast(10)),
    ("jwt", "eyJraWQiOi", Rest::AtLeast(10)),
    ("jwt", "eyJqa3UiOi", Rest::AtLeast(10)),
    ("jwt", "eyJqd2siOi", Rest::AtLeast(10)),
    ("jwt", "eyJ4NXQiOi", Rest::AtLeast(10)),
    ("jwt", "eyJjdHkiOi", Rest::AtLeast(10)),
    ("jwt", "eyJlbmMiOi", Rest::AtLeast(10)),
];

const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_KEY: &str = "PRIVATE KEY";

/// Returns whether a byte can be part of a token.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Returns name and end of the secret that starts here.
pub(crate) fn end(text: &str, start: usize) -> Option<(&'static str, usize)> {
    let bytes = text.as_bytes();
    let rest = bytes.get(start..)?;
    if rest.starts_with(PEM_BEGIN.as_bytes()) {
        return pem_end(text, start).map(|end| ("private_key", end));
    }
    let inside =
        start.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|&byte| is_token(byte));
    if inside {
        return None;
    }
    KNOWN.iter().find_map(|(name, prefix, wanted)| {
        let token = rest.strip_prefix(prefix.as_bytes())?;
        // The parts of a web token have dots between them.
        let dots = *name == "jwt";
        let goes_on = |at: usize| token.get(at).is_some_and(|&byte| is_token(byte));
        let is_dot = |at: usize| dots && token.get(at) == Some(&b'.') && goes_on(at + 1);
        let length = (0..token.len()).take_while(|&at| goes_on(at) || is_dot(at)).count();
        let fits = match *wanted {
            Rest::AtLeast(least) => length >= least,
            Rest::Exactly(exactly) => length == exactly,
            // Only what is decided by now may decide.
            Rest::Mixed(least) => length >= least && is_mixed(token.get(..length.min(40))?),
        };
        fits.then_some((*name, start + prefix.len() + length))
    })
}

fn is_mixed(token: &[u8]) -> bool {
    token.iter().any(u8::is_ascii_digit) && token.iter().any(u8::is_ascii_alphabetic)
}

/// Returns the end of the private key that starts here: its last line, or as far as it may reach.
fn pem_end(text: &str, start: usize) -> Option<usize> {
    let rest = text.get(start..)?;
    let head: &[u8] = rest.as_bytes().get(PEM_BEGIN.len()..)?;
    // "ENCRYPTED ", "OPENSSH ", "RSA ", or nothing.
    let label = head
        .iter()
        .take(DECIDES - PEM_BEGIN.len() - PEM_KEY.len() - 10)
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b' ');
    let label = std::str::from_utf8(head.get(..label.count())?).ok()?;
    if !label.contains(PEM_KEY) {
        return None;
    }
    let body = PEM_BEGIN.len() + label.len();
    let mut most = LONGEST_PEM.min(rest.len());
    while !rest.is_char_boundary(most) {
        most -= 1;
    }
    let within = rest.get(..most)?;
    let last = within.get(body..)?.find("-----END ").map(|at| body + at);
    let Some(last) = last else { return Some(start + most) };
    let tail = last + "-----END ".len();
    let closed = within.get(tail..)?.find("-----").map_or(most, |at| tail + at + "-----".len());
    Some(start + closed)
}
