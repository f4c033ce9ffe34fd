//! What a path asks for, whatever base path a gateway may use.

use http::Method;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Route {
    Chat,
    Completions,
    Embeddings,
    Images,
    ImageEdits,
    Speech,
    Transcriptions,
    Responses,
    Messages,
    CountTokens,
    Generate,
    StreamGenerate,
    Embed,
    BatchEmbed,
    GeminiCount,
    Models,
    Model,
    /// Whatever else a vendor has.
    Echo,
    Unknown,
}

impl Route {
    /// Looks at the end of the path alone, so that every base path a gateway may use works.
    pub(super) fn of(method: &Method, path: &str) -> Route {
        let ends = |end: &str| path.ends_with(end);
        if path.contains("/echo/") {
            return Route::Echo;
        }
        if method == Method::GET {
            let inner = path.rsplit_once('/').map(|(parent, _)| parent.ends_with("/models")).unwrap_or(false);
            return match () {
                () if ends("/models") => Route::Models,
                () if inner => Route::Model,
                () => Route::Unknown,
            };
        }
        match () {
            () if method != Method::POST => Route::Unknown,
            () if ends("/chat/completions") => Route::Chat,
            () if ends("/completions") => Route::Completions,
            () if ends("/embeddings") => Route::Embeddings,
            () if ends("/images/generations") => Route::Images,
            () if ends("/images/edits") || ends("/images/variations") => Route::ImageEdits,
            () if ends("/audio/speech") => Route::Speech,
            () if ends("/audio/transcriptions") || ends("/audio/translations") => Route::Transcriptions,
            () if ends("/responses") => Route::Responses,
            () if ends("/messages") => Route::Messages,
            () if ends("/messages/count_tokens") => Route::CountTokens,
            () if ends(":generateContent") => Route::Generate,
            () if ends(":streamGenerateContent") => Route::StreamGenerate,
            () if ends(":embedContent") => Route::Embed,
            () if ends(":batchEmbedContents") => Route::BatchEmbed,
            () if ends(":countTokens") => Route::GeminiCount,
            () => Route::Unknown,
        }
    }
}
