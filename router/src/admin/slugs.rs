//! Slugs: what may be one, and one for who gives none.

use tidegate_store::ObjectKind;
use uuid::Uuid;

use super::ctx::{Ctx, conflict, invalid};
use crate::error::GatewayError;

/// Bytes of a slug.
const LONGEST: usize = 255;
/// Characters of the name in a slug.
const OF_NAME: usize = 40;

/// Checks a slug that is given.
pub(super) fn checked(slug: &str, param: &str) -> Result<String, GatewayError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if slug.is_empty() || slug.len() > LONGEST || !slug.bytes().all(fits) {
        return Err(invalid(param, "letters, digits, - and _ are accepted"));
    }
    Ok(slug.to_owned())
}

/// Returns the given slug, or one of the name that is free in a workspace (`""` is the organisation).
///
/// # Errors
/// 400 for one that is none, 409 for one that is taken.
pub(super) fn chosen(
    ctx: &Ctx,
    kind: ObjectKind,
    workspace: &str,
    given: Option<&str>,
    name: &str,
) -> Result<String, GatewayError> {
    let objects = &ctx.gateway().objects;
    let is_taken = |slug: &str| objects.by_slug(kind, workspace, slug).is_some();
    if let Some(given) = given {
        let slug = checked(given, "slug")?;
        if is_taken(&slug) {
            let what = kind.name().replace('_', " ");
            return Err(conflict(format!("slug: there is a {what} \"{slug}\" already")).at("slug"));
        }
        return Ok(slug);
    }
    Ok(free(ctx, kind, workspace, &stem(name)))
}

/// Returns this slug, or one that begins so and is free.
pub(super) fn free(ctx: &Ctx, kind: ObjectKind, workspace: &str, wanted: &str) -> String {
    let is_taken = |slug: &str| ctx.gateway().objects.by_slug(kind, workspace, slug).is_some();
    let mut slug = wanted.to_owned();
    while is_taken(&slug) {
        slug = format!("{wanted}-{}", random());
    }
    slug
}

/// Returns six random hexadecimal digits.
pub(super) fn random() -> String {
    Uuid::new_v4().simple().to_string().chars().take(6).collect()
}

/// Makes lower-case words joined by hyphens.
pub(super) fn stem(name: &str) -> String {
    let mut stem = String::new();
    for letter in name.chars().take(OF_NAME) {
        match letter {
            letter if letter.is_ascii_alphanumeric() => stem.push(letter.to_ascii_lowercase()),
            _ if !stem.is_empty() && !stem.ends_with('-') => stem.push('-'),
            _ => {}
        }
    }
    let stem = stem.trim_end_matches('-');
    if stem.is_empty() { random() } else { stem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_of_names_are_plain() {
        assert_eq!(stem("OpenAI  Prod (EU)!"), "openai-prod-eu");
        assert_eq!(stem("日本").len(), 6);
        assert!(checked("a b", "slug").is_err() && checked("", "slug").is_err());
        assert_eq!(checked("A_b-1", "slug").unwrap(), "A_b-1");
    }
}
