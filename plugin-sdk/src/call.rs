//! What a plugin is shown: a request, and the texts under judgement. What the operator did not grant is `None` or
//! empty, never blank text.

/// A call of a tool that a model made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The vendor's id of the call.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// As the model wrote it; may be cut or no JSON at all.
    pub arguments_json: String,
}

/// A message of the conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Its text parts, joined.
    pub text: Option<String>,
    /// Tools that the assistant called.
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool message answers.
    pub tool_call_id: Option<String>,
    /// Pictures, sound and files, as OpenAI's content parts.
    pub parts_json: Option<String>,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}

/// A request, as far as the plugin may see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallView {
    /// Like `/v1/chat/completions`.
    pub endpoint: String,
    /// The vendor's model name, without provider.
    pub model: String,
    /// The provider's slug, without `@`.
    pub provider: Option<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// The other members of the body.
    pub params_json: Option<String>,
    /// The request's and the key's metadata.
    pub metadata: Vec<(String, String)>,
    /// Who asks.
    pub user: Option<String>,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// Granted headers as `header:NAME`, and what later versions add.
    pub extra: Vec<(String, String)>,
}

/// Which way the text under judgement goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// To the vendor.
    Input,
    /// To the client.
    Output,
}

/// One text under judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// `text`, `reasoning`, `refusal`, `tool-arguments` or `tool-result`.
    pub kind: String,
    /// Who says it: `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Index of the message (input) or choice (output).
    pub index: u32,
    /// The text. In tool arguments the escapes inside of JSON strings are resolved.
    pub text: String,
}

/// What a check judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which way it goes.
    pub hook: Hook,
    /// The request it belongs to.
    pub call: CallView,
    /// Its texts, in the order of the request or answer.
    pub pieces: Vec<Piece>,
    /// The whole request or answer as JSON, in the client's dialect.
    pub body_json: Option<String>,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}

impl Piece {
    /// Returns a piece of one kind.
    #[must_use]
    pub fn new(kind: &str, role: &str, index: u32, text: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), role: role.to_owned(), index, text: text.into() }
    }
}

impl CallView {
    /// Returns the value of a request header that the operator granted. Case of the name does not matter.
    ///
    /// ```
    /// use tidegate_plugin_sdk::CallView;
    /// let call = CallView { extra: vec![("header:x-team".into(), "red".into())], ..CallView::default() };
    /// assert_eq!(call.header("X-Team"), Some("red"));
    /// ```
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |key: &str| key.strip_prefix("header:").is_some_and(|key| key.eq_ignore_ascii_case(name));
        self.extra.iter().find(|(key, _)| named(key)).map(|(_, value)| value.as_str())
    }
}

impl Subject {
    /// Returns an input of one text by a user.
    ///
    /// ```
    /// use tidegate_plugin_sdk::{Hook, Subject};
    /// assert_eq!(Subject::input("hello").hook, Hook::Input);
    /// ```
    #[must_use]
    pub fn input(text: impl Into<String>) -> Self {
        Self::of(Hook::Input, vec![Piece::new("text", "user", 0, text)])
    }

    /// Returns an output of one text by an assistant.
    ///
    /// ```
    /// use tidegate_plugin_sdk::Subject;
    /// assert_eq!(Subject::output("hello").pieces[0].text, "hello");
    /// ```
    #[must_use]
    pub fn output(text: impl Into<String>) -> Self {
        Self::of(Hook::Output, vec![Piece::new("text", "assistant", 0, text)])
    }

    /// Returns a subject of some pieces and an empty call.
    #[must_use]
    pub fn of(hook: Hook, pieces: Vec<Piece>) -> Self {
        Self { hook, call: CallView::default(), pieces, body_json: None, extra: Vec::new() }
    }
}
