//! Pictures, sound and documents: data URLs on OpenAI's wire, [`Media`] in the canonical model.

use crate::call::Media;

/// Reads a URL; `data:` URLs in base64 become bytes with their type.
///
/// A `data:` URL without `;base64` stays a URL: nobody sends one for a picture, and the vendor's own message about
/// it is better than a guess.
pub(super) fn media_from_url(url: &str, media_type: Option<&str>) -> Media {
    if let Some((declared, data)) = split_data_url(url) {
        let declared = if declared.is_empty() { media_type.unwrap_or(OCTETS) } else { declared };
        return Media::Base64 { media_type: declared.to_owned(), data: data.to_owned() };
    }
    Media::Url { url: url.to_owned(), media_type: media_type.map(str::to_owned) }
}

/// Type of bytes of which nothing is known.
const OCTETS: &str = "application/octet-stream";

/// Reads `file_data`: a data URL by the book, bare base64 from some clients.
pub(super) fn media_from_file_data(data: &str, media_type: Option<&str>, name: Option<&str>) -> Media {
    if data.starts_with("data:") || data.starts_with("http://") || data.starts_with("https://") {
        return media_from_url(data, media_type.or_else(|| name.and_then(media_type_of_name)));
    }
    let media_type = media_type.or_else(|| name.and_then(media_type_of_name));
    // Chat completions took only PDF files for a year; bare base64 without a name is one.
    Media::Base64 { media_type: media_type.unwrap_or("application/pdf").to_owned(), data: data.to_owned() }
}

pub(super) fn data_url(media_type: &str, data: &str) -> String {
    let mut url = String::with_capacity(media_type.len() + data.len() + 13);
    url.push_str("data:");
    url.push_str(media_type);
    url.push_str(";base64,");
    url.push_str(data);
    url
}

/// Returns OpenAI's `format` of a sound type.
pub(super) fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mp3" | "audio/mpeg" => "mp3",
        other => other.strip_prefix("audio/").unwrap_or(other),
    }
}

/// Returns a file name for a document that came without one; OpenAI wants one beside `file_data`.
pub(super) fn file_name(media_type: &str) -> String {
    let extension = match media_type {
        "text/plain" => "txt",
        "text/markdown" => "md",
        other => other.rsplit(['/', '+', '.']).next().filter(|e| !e.is_empty()).unwrap_or("bin"),
    };
    format!("document.{extension}")
}

fn media_type_of_name(name: &str) -> Option<&'static str> {
    let extension = name.rsplit_once('.')?.1;
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => return None,
    })
}

/// Splits `data:<type>;base64,<data>`; parameters such as `charset` are left out of the type.
fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    Some((head.split(';').next().unwrap_or_default(), data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_become_bytes_and_others_stay() {
        let png = Media::Base64 { media_type: "image/png".into(), data: "iVBORw0KGgo=".into() };
        assert_eq!(media_from_url("data:image/png;base64,iVBORw0KGgo=", None), png);
        assert_eq!(media_from_url("data:image/png;name=a;base64,iVBORw0KGgo=", None), png);
        let plain = "data:text/plain,hello";
        assert_eq!(media_from_url(plain, None), Media::Url { url: plain.into(), media_type: None });
    }

    #[test]
    fn bare_base64_takes_its_type_from_the_name() {
        let csv = media_from_file_data("YSxi", None, Some("Table.CSV"));
        assert_eq!(csv, Media::Base64 { media_type: "text/csv".into(), data: "YSxi".into() });
        let pdf = media_from_file_data("JVBERg==", None, None);
        assert_eq!(pdf, Media::Base64 { media_type: "application/pdf".into(), data: "JVBERg==".into() });
    }

    #[test]
    fn sound_types_have_openai_names() {
        assert_eq!(audio_format("audio/mpeg"), "mp3");
        assert_eq!(audio_format("audio/x-wav"), "wav");
        assert_eq!(audio_format("audio/flac"), "flac");
    }
}
