//! Content arrays of messages and tool results.

use serde_json::Value;

use crate::call::{Media, Part};
use crate::error::InvalidCall;

use super::members::{Members, kind_of};

/// Reads a string or an array of content parts.
pub(super) fn parts_from_content(content: &Value, path: &str) -> Result<Vec<Part>, InvalidCall> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(list) => {
            let mut parts = Vec::with_capacity(list.len());
            for (index, part) in list.iter().enumerate() {
                parts.push(read_part(part, &format!("{path}[{index}]"))?);
            }
            Ok(parts)
        }
        other => Err(InvalidCall::at(
            path,
            format!("{path} must be a string or an array of content parts, not {}", kind_of(other)),
        )),
    }
}

fn read_part(part: &Value, path: &str) -> Result<Part, InvalidCall> {
    let part = Members::of(part, path)?;
    match part.required_text("type")? {
        "input_text" | "output_text" | "text" => Ok(Part::text(part.required_text("text")?)),
        "refusal" => Ok(Part::Refusal { text: part.required_text("refusal")?.to_owned() }),
        "input_image" => read_image(&part),
        "input_file" => read_file(&part),
        "input_audio" => read_audio(&part),
        other => {
            let what = format!(
                "is {other}; accepted are input_text, input_image, input_file, input_audio, output_text and refusal"
            );
            Err(part.fault("type", &what))
        }
    }
}

fn read_image(part: &Members<'_, '_>) -> Result<Part, InvalidCall> {
    let detail = part.text("detail")?.map(str::to_owned);
    let source = if let Some(url) = part.text("image_url")? {
        media_from_url(url, &part.path_of("image_url"))?
    } else if let Some(id) = part.text("file_id")? {
        Media::FileId(id.to_owned())
    } else {
        return Err(part.fault("image_url", "or file_id is required"));
    };
    Ok(Part::Image { source, detail, cache_control: None })
}

fn read_file(part: &Members<'_, '_>) -> Result<Part, InvalidCall> {
    let name = part.text("filename")?;
    let source = if let Some(data) = part.text("file_data")? {
        if is_data_url(data) {
            media_from_url(data, &part.path_of("file_data"))?
        } else {
            Media::Base64 { media_type: media_type_of(name).to_owned(), data: data.to_owned() }
        }
    } else if let Some(url) = part.text("file_url")? {
        media_from_url(url, &part.path_of("file_url"))?
    } else if let Some(id) = part.text("file_id")? {
        Media::FileId(id.to_owned())
    } else {
        return Err(part.fault("file_data", "or file_url or file_id is required"));
    };
    Ok(Part::File { source, name: name.map(str::to_owned), cache_control: None })
}

fn read_audio(part: &Members<'_, '_>) -> Result<Part, InvalidCall> {
    let path = part.path_of("input_audio");
    let Some(audio) = part.get("input_audio") else {
        return Err(part.fault("input_audio", "is required and must be an object"));
    };
    let audio = Members::of(audio, &path)?;
    let media_type = match audio.required_text("format")? {
        "mp3" => "audio/mpeg".to_owned(),
        format => format!("audio/{format}"),
    };
    let data = audio.required_text("data")?.to_owned();
    Ok(Part::Audio { source: Media::Base64 { media_type, data } })
}

fn is_data_url(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

fn media_from_url(url: &str, path: &str) -> Result<Media, InvalidCall> {
    if !is_data_url(url) {
        return Ok(Media::Url { url: url.to_owned(), media_type: None });
    }
    let unreadable = || {
        let message = format!("{path} must be an http(s) URL or `data:<media type>;base64,<data>`");
        InvalidCall::at(path, message)
    };
    let (head, data) = url.split_once(',').ok_or_else(unreadable)?;
    let head = head.get(5..).unwrap_or_default();
    let mut fields = head.split(';');
    let media_type = fields.next().unwrap_or_default().trim();
    let is_base64 = fields.any(|field| field.trim().eq_ignore_ascii_case("base64"));
    if media_type.is_empty() || !is_base64 {
        return Err(unreadable());
    }
    Ok(Media::Base64 { media_type: media_type.to_ascii_lowercase(), data: data.to_owned() })
}

/// Bare base64 carries no media type. PDF is what OpenAI took first and what nearly everyone sends.
fn media_type_of(name: Option<&str>) -> &'static str {
    let extension = name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    match extension {
        Some(txt) if txt.eq_ignore_ascii_case("txt") => "text/plain",
        Some(md) if md.eq_ignore_ascii_case("md") => "text/markdown",
        Some(csv) if csv.eq_ignore_ascii_case("csv") => "text/csv",
        _ => "application/pdf",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(part: Value) -> Result<Part, InvalidCall> {
        read_part(&part, "input[0].content[0]")
    }

    #[test]
    fn pictures_come_by_url_by_data_or_by_id() {
        let Part::Image { source, detail, .. } =
            read(json!({"type": "input_image", "detail": "low", "image_url": "DATA:image/PNG;base64,QUJD"}))
                .unwrap()
        else {
            panic!("not an image")
        };
        assert_eq!(source, Media::Base64 { media_type: "image/png".into(), data: "QUJD".into() });
        assert_eq!(detail.as_deref(), Some("low"));
        let url = read(json!({"type": "input_image", "image_url": "https://x.test/a.png"})).unwrap();
        assert!(matches!(url, Part::Image { source: Media::Url { .. }, .. }));
        let id = read(json!({"type": "input_image", "file_id": "file_1", "image_url": null})).unwrap();
        assert!(matches!(id, Part::Image { source: Media::FileId(_), .. }));
    }

    #[test]
    fn files_come_by_url_by_data_or_by_id() {
        let bare = read(json!({"type": "input_file", "filename": "a.TXT", "file_data": "QUJD"})).unwrap();
        let Part::File { source, name, .. } = bare else { panic!("not a file") };
        assert_eq!(source, Media::Base64 { media_type: "text/plain".into(), data: "QUJD".into() });
        assert_eq!(name.as_deref(), Some("a.TXT"));
        assert!(read(json!({"type": "input_file", "file_url": "https://x.test/a.pdf"})).is_ok());
        assert!(read(json!({"type": "input_file", "file_id": "file_1"})).is_ok());
    }

    #[test]
    fn a_part_without_its_substance_is_refused_by_path() {
        let error = read(json!({"type": "input_image"})).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("input[0].content[0].image_url"));
        assert!(read(json!({"type": "input_file"})).is_err());
        assert!(read(json!({"type": "input_text"})).is_err());
        assert!(read(json!({"type": "input_image", "image_url": "data:image/png,abc"})).is_err());
        assert!(read(json!({"type": "hologram"})).unwrap_err().message.contains("hologram"));
    }

    #[test]
    fn sound_is_read() {
        let part =
            read(json!({"type": "input_audio", "input_audio": {"format": "mp3", "data": "QQ=="}})).unwrap();
        let source = Media::Base64 { media_type: "audio/mpeg".into(), data: "QQ==".into() };
        assert_eq!(part, Part::Audio { source });
    }
}
