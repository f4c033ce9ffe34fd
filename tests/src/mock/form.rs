//! Multipart forms, read as far as the answers need them.

/// A form.
#[derive(Default)]
pub(super) struct Form {
    pub(super) parsed: bool,
    fields: Vec<(String, String)>,
    pub(super) file_bytes: usize,
}

impl Form {
    pub(super) fn of(content_type: Option<&str>, bytes: &[u8]) -> Form {
        let mut form = Form { parsed: true, ..Form::default() };
        let boundary = content_type.and_then(|kind| kind.split("boundary=").nth(1)).unwrap_or_default();
        let mark = format!("--{}", boundary.trim_matches('"'));
        for part in split(bytes, mark.as_bytes()) {
            let Some(end) = find(part, b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&part[..end]).into_owned();
            let value = part[end + 4..].strip_suffix(b"\r\n").unwrap_or(&part[end + 4..]);
            let name = attribute(&head, " name=");
            if head.contains("filename=") {
                form.file_bytes += value.len();
            } else {
                form.fields.push((name, String::from_utf8_lossy(value).into_owned()));
            }
        }
        form
    }

    pub(super) fn field(&self, name: &str) -> String {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

fn attribute(head: &str, name: &str) -> String {
    let value = head.split(name).nth(1).unwrap_or_default();
    value.trim_start_matches('"').split(['"', ';', '\r']).next().unwrap_or_default().to_owned()
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn split<'a>(mut bytes: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(bytes, mark) {
        parts.push(&bytes[..at]);
        bytes = &bytes[at + mark.len()..];
    }
    parts.push(bytes);
    parts
}
