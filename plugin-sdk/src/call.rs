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
    /// What later versions add.
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
    /// `text`, `reasoning` or `tool-arguments`.
    pub kind: String,
    /// Index of the message (input) or choice (output).
    pub index: u32,
    /// The text.
    pub text: String,
}

/// What a check judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which way it goes.
    pub hook: Hook,
    /// The request it belongs to.
    pub call: CallView,
    /// Its texts.
    pub pieces: Vec<Piece>,
    /// What later versions add.
    pub extra: Vec<(String, String)>,
}

impl Subject {
    /// Returns an input of one text.
    ///
    /// ```
    /// use tidegate_plugin_sdk::{Hook, Subject};
    /// assert_eq!(Subject::input("hello").hook, Hook::Input);
    /// ```
    #[must_use]
    pub fn input(text: impl Into<String>) -> Self {
        Self::of(Hook::Input, text.into())
    }

    /// Returns an output of one text.
    ///
    /// ```
    /// use tidegate_plugin_sdk::Subject;
    /// assert_eq!(Subject::output("hello").pieces[0].text, "hello");
    /// ```
    #[must_use]
    pub fn output(text: impl Into<String>) -> Self {
        Self::of(Hook::Output, text.into())
    }

    fn of(hook: Hook, text: String) -> Self {
        let piece = Piece { kind: "text".to_owned(), index: 0, text };
        Self { hook, call: CallView::default(), pieces: vec![piece], extra: Vec::new() }
    }
}
