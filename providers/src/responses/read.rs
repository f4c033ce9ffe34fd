//! Whole response → [`Answer`].

use super::item::Opened;
use super::snapshot::{Kind, PieceKind, Response, Snapshot};
use super::track::{PARAGRAPH, id_of_call};
use crate::answer::{Answer, Choice};
use crate::call::Part;
use crate::error::UpstreamError;
use crate::openai::{bad_gateway, shorten};

/// Reads a 2xx body.
pub(super) fn answer_from_response(body: &[u8]) -> Result<Answer, Box<UpstreamError>> {
    let response: Response<'_> = serde_json::from_slice(body)
        .map_err(|error| bad_gateway(format!("the answer is not a response ({error})")))?;
    if let Some(error) = response.failure() {
        return Err(Box::new(error));
    }
    let Some(output) = &response.output else {
        let message = format!("the answer has no output: {}", shorten(&String::from_utf8_lossy(body)));
        return Err(Box::new(bad_gateway(message)));
    };
    let mut parts = Vec::new();
    for raw in output {
        push_item(&mut parts, &Snapshot::read(Some(raw)));
    }
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal { .. }));
    let finish = response.finish("", called, refused);
    Ok(Answer {
        id: response.id().to_owned(),
        model: response.model().to_owned(),
        created: response.created(),
        choices: vec![Choice { parts, finish, logprobs: None }],
        usage: response.usage(),
    })
}

fn push_item(parts: &mut Vec<Part>, item: &Snapshot<'_>) {
    let pieces = item.pieces();
    let mut pieces = pieces.into_iter().filter(|piece| !piece.text.is_empty());
    match item.kind() {
        Kind::Message => parts.extend(pieces.map(|piece| match piece.kind {
            PieceKind::Refusal => Part::Refusal { text: piece.text.into_owned() },
            _ => Part::text(piece.text),
        })),
        Kind::Reasoning => {
            let paragraphs: Vec<_> = pieces.map(|piece| piece.text).collect();
            push_thought(parts, paragraphs.join(PARAGRAPH), item.opened());
        }
        Kind::Call if !item.name().is_empty() => {
            let known = parts.iter().filter(|part| matches!(part, Part::ToolCall { .. })).count();
            parts.push(Part::ToolCall {
                id: id_of_call(item, u32::try_from(known).unwrap_or(u32::MAX)),
                name: item.name().to_owned(),
                arguments: pieces.next().map(|piece| piece.text.into_owned()).unwrap_or_default(),
                signature: item.signature().map(str::to_owned),
            });
        }
        Kind::Call | Kind::Other => {}
    }
}

fn push_thought(parts: &mut Vec<Part>, text: String, opened: Option<Opened>) {
    let (signature, redacted) = match opened {
        Some(Opened::Signature(signature)) => (Some(signature), None),
        Some(Opened::Redacted(data)) => (None, Some(data)),
        None => (None, None),
    };
    if !text.is_empty() || signature.is_some() {
        parts.push(Part::Thinking { text, signature });
    }
    parts.extend(redacted.map(|data| Part::RedactedThinking { data }));
}
