//! From the bindings' types to this crate's and back: moves, no copies of text. And the host's functions.

use super::bindings::exports::tidegate::plugin::guardrail_stream as stream;
use super::bindings::tidegate::plugin as imports;
use super::wit;
use crate as sdk;

fn all<T: Into<U>, U>(list: Vec<T>) -> Vec<U> {
    list.into_iter().map(Into::into).collect()
}

impl From<wit::ToolCall> for sdk::ToolCall {
    fn from(call: wit::ToolCall) -> Self {
        Self { id: call.id, name: call.name, arguments_json: call.arguments_json }
    }
}

impl From<wit::Message> for sdk::Message {
    fn from(message: wit::Message) -> Self {
        Self {
            role: message.role,
            text: message.text,
            tool_calls: all(message.tool_calls),
            tool_call_id: message.tool_call_id,
            parts_json: message.parts_json,
            extra: message.extra,
        }
    }
}

impl From<wit::CallView> for sdk::CallView {
    fn from(call: wit::CallView) -> Self {
        Self {
            endpoint: call.endpoint,
            model: call.model,
            provider: call.provider,
            messages: all(call.messages),
            params_json: call.params_json,
            metadata: call.metadata,
            user: call.user,
            stream: call.stream,
            extra: call.extra,
        }
    }
}

impl From<wit::Hook> for sdk::Hook {
    fn from(hook: wit::Hook) -> Self {
        match hook {
            wit::Hook::Input => Self::Input,
            wit::Hook::Output => Self::Output,
        }
    }
}

impl From<sdk::Hook> for wit::Hook {
    fn from(hook: sdk::Hook) -> Self {
        match hook {
            sdk::Hook::Input => Self::Input,
            sdk::Hook::Output => Self::Output,
        }
    }
}

impl From<wit::Piece> for sdk::Piece {
    fn from(piece: wit::Piece) -> Self {
        Self { kind: piece.kind, role: piece.role, index: piece.index, text: piece.text }
    }
}

impl From<wit::Subject> for sdk::Subject {
    fn from(subject: wit::Subject) -> Self {
        Self {
            hook: subject.hook.into(),
            call: subject.call.into(),
            pieces: all(subject.pieces),
            body_json: subject.body_json,
            extra: subject.extra,
        }
    }
}

impl From<stream::StreamWindow> for sdk::StreamWindow {
    fn from(window: stream::StreamWindow) -> Self {
        Self {
            text: window.text,
            overlap: window.overlap,
            last: window.last,
            kind: window.kind,
            index: window.index,
            state: window.state,
        }
    }
}

impl From<sdk::Span> for wit::Span {
    fn from(span: sdk::Span) -> Self {
        Self { start: span.start, end: span.end, replacement: span.replacement }
    }
}

impl From<sdk::Mask> for wit::Mask {
    fn from(mask: sdk::Mask) -> Self {
        Self { piece: mask.piece, spans: all(mask.spans) }
    }
}

impl From<sdk::Reason> for wit::Reason {
    fn from(reason: sdk::Reason) -> Self {
        Self { code: reason.code, message: reason.message }
    }
}

impl From<sdk::Judgement> for wit::Judgement {
    fn from(judgement: sdk::Judgement) -> Self {
        let verdict = match judgement.verdict {
            sdk::Verdict::Pass => wit::Verdict::Pass,
            sdk::Verdict::Mask(masks) => wit::Verdict::Mask(all(masks)),
            sdk::Verdict::Rewrite(body) => wit::Verdict::Rewrite(body),
            sdk::Verdict::Fail(reason) => wit::Verdict::Fail(reason.into()),
            sdk::Verdict::Block(reason) => wit::Verdict::Block(reason.into()),
        };
        Self { verdict, data_json: judgement.data_json }
    }
}

impl From<sdk::WindowAnswer> for stream::WindowAnswer {
    fn from(answer: sdk::WindowAnswer) -> Self {
        let verdict = match answer.verdict {
            sdk::WindowVerdict::Pass => wit::WindowVerdict::Pass,
            sdk::WindowVerdict::Mask(spans) => wit::WindowVerdict::Mask(all(spans)),
            sdk::WindowVerdict::Fail(reason) => wit::WindowVerdict::Fail(reason.into()),
            sdk::WindowVerdict::Block(reason) => wit::WindowVerdict::Block(reason.into()),
        };
        Self { verdict, state: answer.state, data_json: answer.data_json }
    }
}

impl From<sdk::CheckError> for wit::CheckError {
    fn from(error: sdk::CheckError) -> Self {
        Self { name: error.name, message: error.message, data_json: error.data_json }
    }
}

impl From<sdk::CheckInfo> for wit::CheckInfo {
    fn from(check: sdk::CheckInfo) -> Self {
        Self {
            name: check.name,
            hooks: all(check.hooks),
            streams: check.streams,
            mutates: check.mutates,
            params_schema_json: check.params_schema_json,
            extra: check.extra,
        }
    }
}

impl From<sdk::ConditionInfo> for wit::ConditionInfo {
    fn from(condition: sdk::ConditionInfo) -> Self {
        Self {
            name: condition.name,
            params_schema_json: condition.params_schema_json,
            extra: condition.extra,
        }
    }
}

impl From<sdk::Manifest> for wit::Manifest {
    fn from(manifest: sdk::Manifest) -> Self {
        Self {
            id: manifest.id,
            version: manifest.version,
            checks: all(manifest.checks),
            conditions: all(manifest.conditions),
            wants: manifest.wants,
            extra: manifest.extra,
        }
    }
}

pub(crate) mod host {
    //! The real side of [`crate::host`].

    use super::imports::host;
    use crate::host::Level;

    pub(crate) fn log(level: Level, message: &str) {
        let level = match level {
            Level::Debug => host::Level::Debug,
            Level::Info => host::Level::Info,
            Level::Warn => host::Level::Warn,
            Level::Error => host::Level::Error,
        };
        host::log(level, message);
    }

    pub(crate) use super::imports::host::{config, count, now_ms, random};
}

pub(crate) mod http {
    //! The real side of [`crate::http`].

    use super::imports::http;
    use crate::http::{HttpRequest, HttpResponse};

    pub(crate) fn send(request: &HttpRequest) -> Result<HttpResponse, String> {
        let request = http::HttpRequest {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            timeout_ms: request.timeout_ms,
        };
        let answer = http::send(&request)?;
        Ok(HttpResponse { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

pub(crate) mod kv {
    //! The real side of [`crate::kv`].

    pub(crate) use super::imports::kv::{delete, get, set};
}

pub(crate) mod models {
    //! The real side of [`crate::models`].

    pub(crate) use super::imports::models::{complete, embed};
}
