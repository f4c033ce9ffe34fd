//! What plugins are shown of a request.

use std::collections::BTreeMap;

use serde_json::Value;
use tidegate_plugin_host::{CallView, Hook, Message, Subject, ToolCall};
use tidegate_providers::{Endpoint, texts};

use super::side::Side;
use crate::pipeline::PlainHeaders;

/// A request, as far as plugins may ever see it.
#[derive(Debug)]
pub(in crate::pipeline) struct Scene {
    /// The endpoint.
    pub(in crate::pipeline) endpoint: Endpoint,
    /// Vendor's model name.
    pub(in crate::pipeline) model: String,
    /// Provider's slug, once it is chosen.
    pub(in crate::pipeline) provider: Option<String>,
    /// Request's and key's metadata.
    pub(in crate::pipeline) metadata: BTreeMap<String, String>,
    /// End user.
    pub(in crate::pipeline) user: Option<String>,
    /// Whether the answer is streamed.
    pub(in crate::pipeline) stream: bool,
    /// Headers that a plugin may be granted, by lower-case name.
    pub(in crate::pipeline) headers: PlainHeaders,
}

impl Scene {
    /// Returns the call as plugins see it. What nobody wants is not made; what a plugin was not granted the host
    /// leaves out.
    pub(in crate::pipeline) fn view(&self, body: Option<&Value>, wants: &dyn Fn(&str) -> bool) -> CallView {
        let body_if = |what: &str| body.filter(|_| wants(what));
        CallView {
            endpoint: ["/v1", self.endpoint.path()].concat(),
            model: self.model.clone(),
            provider: self.provider.clone(),
            messages: body_if("messages").map(|body| messages(self.endpoint, body)).unwrap_or_default(),
            params_json: body_if("params").map(texts::params_json),
            metadata: if wants("metadata") {
                self.metadata.clone().into_iter().collect()
            } else {
                Vec::new()
            },
            user: self
                .user
                .as_ref()
                .or_else(|| self.metadata.get("_user"))
                .filter(|_| wants("user"))
                .cloned(),
            stream: self.stream,
            extra: self.shown_headers(wants),
        }
    }

    /// Returns the headers that somebody wants, under the names that plugins want them by.
    fn shown_headers(&self, wants: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
        if !wants("header:*") {
            return Vec::new();
        }
        let (mut shown, mut want) = (Vec::new(), String::with_capacity(64));
        for (name, value) in self.headers.iter() {
            want.clear();
            want.push_str("header:");
            want.push_str(name);
            if wants(&want) {
                shown.push((want.clone(), value.to_owned()));
            }
        }
        shown
    }

    /// Makes a subject without pieces.
    pub(super) fn subject(
        &self,
        side: &Side,
        hook: Hook,
        asked: Option<&Value>,
        judged: Option<&Value>,
    ) -> Subject {
        let body_json = judged.filter(|_| side.wants("body")).map(Value::to_string);
        let call = self.view(asked, &|what| side.wants(what));
        Subject { hook, call, pieces: Vec::new(), body_json, extra: Vec::new() }
    }
}

fn messages(endpoint: Endpoint, body: &Value) -> Vec<Message> {
    let message = |message: texts::MessageView| Message {
        role: message.role.to_owned(),
        text: message.text,
        tool_calls: message
            .tool_calls
            .into_iter()
            .map(|call| ToolCall { id: call.id, name: call.name, arguments_json: call.arguments })
            .collect(),
        tool_call_id: message.tool_call_id,
        parts_json: message.parts_json,
        extra: Vec::new(),
    };
    texts::messages_view(endpoint, body).into_iter().map(message).collect()
}
