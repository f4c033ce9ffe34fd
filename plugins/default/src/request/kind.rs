//! What Portkey calls the type of a request.

/// Returns the request type of an endpoint.
pub(crate) fn of(endpoint: &str) -> &'static str {
    let path = endpoint.trim_end_matches('/');
    let path = path.strip_prefix("/v1").unwrap_or(path);
    match path {
        "/chat/completions" => "chatComplete",
        "/completions" => "complete",
        "/embeddings" => "embed",
        "/messages" => "messages",
        "/responses" => "createModelResponse",
        "/rerank" => "rerank",
        "/moderations" => "moderate",
        "/images/generations" => "imageGenerate",
        "/images/edits" => "imageEdit",
        "/audio/speech" => "createSpeech",
        "/audio/transcriptions" => "createTranscription",
        "/audio/translations" => "createTranslation",
        "/batches" => "createBatch",
        "/fine_tuning/jobs" => "createFinetune",
        "/files" => "uploadFile",
        "/realtime" => "realtime",
        _ => "proxy",
    }
}
