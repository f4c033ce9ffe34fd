//! Connections and routes of the scripted upstream.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::body::{MockBody, Stream};
use super::counted::Counted;
use super::form::Form;
use super::plan::{Plan, Plans};
use super::planned;
use super::record::{Connection, Fate, Record, Recorder};
use super::reply::{Asked, Reply};
use super::route::Route;
use super::script::Script;
use super::strict::{self, Refusal};
use super::{anthropic, gemini, openai, responses};

type Response = http::Response<MockBody>;

pub(super) async fn serve(
    listener: TcpListener,
    recorder: Arc<Recorder>,
    plans: Arc<Plans>,
    script: Arc<str>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener for tokio");
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // Out of file descriptors, or a peer that left already: the next one may fare better.
            Err(_) => continue,
        };
        let recorder = Arc::clone(&recorder);
        let plans = Arc::clone(&plans);
        let script = Arc::clone(&script);
        tokio::spawn(async move {
            stream.set_nodelay(true).ok();
            let connection = Arc::new(Connection::default());
            let io = TokioIo::new(Counted { stream, connection: Arc::clone(&connection) });
            let service = service_fn(|request| {
                answer(request, Arc::clone(&recorder), (&plans, &script), Arc::clone(&connection))
            });
            // A cut connection is part of many scripts.
            let _ = http1::Builder::new().serve_connection(io, service).await;
        });
    }
}

async fn answer(
    request: http::Request<Incoming>,
    recorder: Arc<Recorder>,
    (plans, script): (&Plans, &str),
    connection: Arc<Connection>,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter();
    let record = Arc::new(Record {
        at: Instant::now(),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: OnceLock::new(),
        written_before: connection.written.load(Relaxed),
        connection,
        status: Default::default(),
        chunks_sent: Default::default(),
        bytes_sent: Default::default(),
        written_at_end: OnceLock::new(),
        first_piece_at: OnceLock::new(),
        pieces_at: Default::default(),
        finished_at: OnceLock::new(),
        client_closed_at: OnceLock::new(),
    });
    let fate = Fate { record: Arc::clone(&record) };
    let path = head.uri.path();
    if let Some(admin) = path.strip_prefix("/__mock/") {
        let answer = match (head.method.as_str(), admin) {
            ("GET", "requests") => recorder.to_json(),
            ("POST", "reset") => {
                recorder.reset();
                json!({ "reset": true })
            }
            _ => json!({ "routes": ["GET /__mock/requests", "POST /__mock/reset"] }),
        };
        return Ok(json_response(200, &answer, fate));
    }
    recorder.add(Arc::clone(&record));
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let _ = record.body.set(bytes.clone());
    let route = Route::of(&head.method, path);
    let call = Call {
        headers: &head.headers,
        path,
        query: head.uri.query().unwrap_or_default(),
        bytes,
        plans,
        script,
    };
    let response = respond(route, &call, fate).await;
    record.status.store(response.status().as_u16(), Relaxed);
    Ok(response)
}

/// A request as the routes see it.
struct Call<'a> {
    headers: &'a HeaderMap,
    path: &'a str,
    query: &'a str,
    bytes: Bytes,
    plans: &'a Plans,
    script: &'a str,
}

impl Call<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The key, wherever the vendors look for theirs.
    fn credential(&self) -> String {
        let bearer = self.header("authorization").map(|value| value.trim_start_matches("Bearer ").to_owned());
        let named = ["x-api-key", "api-key", "x-goog-api-key"].iter().find_map(|name| self.header(name));
        let in_query = self.query.split('&').find_map(|pair| pair.strip_prefix("key="));
        bearer.or(named.map(str::to_owned)).or(in_query.map(str::to_owned)).unwrap_or_default()
    }

    /// The last segment of the path, without percent signs and without `:method`.
    fn last_segment(&self) -> String {
        let segment = self.path.rsplit('/').next().unwrap_or_default();
        let segment = percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        segment.rsplit_once(':').map_or(segment.clone(), |(model, _)| model.to_owned())
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Dialect {
    fn of(route: Route, call: &Call<'_>) -> Dialect {
        match route {
            Route::Messages | Route::CountTokens => Dialect::Anthropic,
            Route::Generate
            | Route::StreamGenerate
            | Route::Embed
            | Route::BatchEmbed
            | Route::GeminiCount => Dialect::Gemini,
            Route::Models | Route::Model | Route::Echo | Route::Unknown => match () {
                () if call.header("anthropic-version").is_some() => Dialect::Anthropic,
                () if call.header("x-goog-api-key").is_some() || call.query.contains("key=") => {
                    Dialect::Gemini
                }
                () => Dialect::OpenAi,
            },
            _ => Dialect::OpenAi,
        }
    }

    fn error(self, status: u16, message: &str) -> Value {
        match self {
            Dialect::OpenAi => openai::error_body(status, message),
            Dialect::Anthropic => anthropic::error_body(status, message),
            Dialect::Gemini => gemini::error_body(status, message),
        }
    }
}

async fn respond(route: Route, call: &Call<'_>, fate: Fate) -> Response {
    let dialect = Dialect::of(route, call);
    let key = call.credential();
    if key.contains("bad-key") {
        let error = dialect.error(401, "Incorrect API key provided.");
        return json_response(401, &error, fate);
    }
    let body: Value = serde_json::from_slice(&call.bytes).unwrap_or(Value::Null);
    let is_form = call.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data"));
    if !is_form
        && body.is_null()
        && !matches!(route, Route::Models | Route::Model | Route::Echo | Route::Unknown)
    {
        let error = dialect.error(400, "We could not parse the JSON body of your request.");
        return json_response(400, &error, fate);
    }
    let form = if is_form { Form::of(call.header("content-type"), &call.bytes) } else { Form::default() };
    let asked = asked(route, call, &body, &form);
    let script = Script::of(call.script, call.header("x-mock-script"), &body, &asked.model, &asked.text);
    tokio::time::sleep(script.head_delay).await;
    if let Some(status) = script.status {
        return scripted_error(dialect, status, &script, fate);
    }
    if let Err((status, message)) = refusal(route, &asked, &body) {
        return json_response(status, &dialect.error(status, &message), fate);
    }
    if let Some(id) = script.plan {
        let form = planned::Form {
            model: asked.model.split('?').next().unwrap_or_default(),
            include_usage: body["stream_options"]["include_usage"] == true,
        };
        return planned_response(route, &call.plans.get(id), &form, asked.wants_stream, script, fate);
    }
    let reply = || Reply::to(&asked, &script);
    let limits = [
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-remaining-requests", "4999"),
        ("x-request-id", "req_mock"),
    ];
    let mut response = match route {
        Route::Chat if asked.wants_stream => {
            let stream = openai::chat_stream(&reply(), &body, &script);
            stream_response(stream, script, "text/event-stream; charset=utf-8", fate)
        }
        Route::Chat => whole_response(&openai::chat(&reply()), script, fate),
        Route::Completions if asked.wants_stream => {
            let stream = openai::completion_stream(&reply(), &body, &script);
            stream_response(stream, script, "text/event-stream", fate)
        }
        Route::Completions => json_response(200, &openai::completion(&reply()), fate),
        Route::Responses if asked.wants_stream => {
            stream_response(responses::response_stream(&reply()), script, "text/event-stream", fate)
        }
        Route::Responses => json_response(200, &responses::response(&reply()), fate),
        Route::Messages if asked.wants_stream => stream_response(
            anthropic::message_stream(&reply(), &script),
            script,
            "text/event-stream; charset=utf-8",
            fate,
        ),
        Route::Messages => whole_response(&anthropic::message(&reply()), script, fate),
        Route::CountTokens => json_response(200, &json!({ "input_tokens": asked.words }), fate),
        Route::Generate => json_response(200, &gemini::content(&reply()), fate),
        Route::StreamGenerate => {
            let as_sse = call.query.contains("alt=sse");
            let kind = if as_sse { "text/event-stream" } else { "application/json" };
            stream_response(gemini::content_stream(&reply(), as_sse), script, kind, fate)
        }
        Route::Embed => json_response(200, &json!({ "embedding": gemini::embedding(&body) }), fate),
        Route::BatchEmbed => json_response(200, &gemini::embeddings(&body), fate),
        Route::GeminiCount => json_response(200, &json!({ "totalTokens": asked.words }), fate),
        Route::Embeddings => json_response(200, &openai::embeddings(&body), fate),
        Route::Images => {
            let count = body["n"].as_u64().unwrap_or(1);
            let as_url = body["response_format"] == "url";
            json_response(200, &openai::images(&asked.text, count, as_url), fate)
        }
        Route::ImageEdits => {
            let count = form.field("n").parse().unwrap_or(1);
            json_response(200, &openai::images(&form.field("prompt"), count, false), fate)
        }
        Route::Speech => {
            let wav = openai::speech(body["input"].as_str().unwrap_or_default());
            response(200, "audio/wav", MockBody::whole(wav, fate))
        }
        Route::Transcriptions => {
            let heard = openai::transcription(form.file_bytes);
            match form.field("response_format").as_str() {
                "text" => response(200, "text/plain", MockBody::whole(heard["text"].to_string(), fate)),
                _ => json_response(200, &heard, fate),
            }
        }
        Route::Models => {
            let list = match dialect {
                Dialect::OpenAi => openai::models(),
                Dialect::Anthropic => anthropic::models(),
                Dialect::Gemini => gemini::models(),
            };
            json_response(200, &list, fate)
        }
        Route::Model => {
            let id = call.last_segment();
            match openai::MODELS.contains(&id.as_str()) {
                true => json_response(200, &openai::model(&id), fate),
                false => json_response(404, &dialect.error(404, "The model does not exist"), fate),
            }
        }
        // Stands for whatever else a vendor has.
        Route::Echo => json_response(200, &json!({ "path": call.path, "bytes": call.bytes.len() }), fate),
        Route::Unknown => {
            let message = format!("Unknown request URL: {}.", call.path);
            json_response(404, &dialect.error(404, &message), fate)
        }
    };
    for (name, value) in limits {
        response.headers_mut().insert(name, value.parse().expect("a header value"));
    }
    response
}

fn planned_response(
    route: Route,
    plan: &Plan,
    form: &planned::Form<'_>,
    wants_stream: bool,
    script: Script,
    fate: Fate,
) -> Response {
    let stream = match (route, wants_stream) {
        (Route::Chat, true) => planned::chat_stream(plan, form),
        (Route::Chat, false) => return json_response(200, &planned::chat(plan, form), fate),
        (Route::Completions, true) => planned::completion_stream(plan, form),
        (Route::Completions, false) => return json_response(200, &planned::completion(plan, form), fate),
        (Route::Responses, true) => planned::response_stream(plan, form),
        (Route::Responses, false) => return json_response(200, &planned::response(plan, form), fate),
        (Route::Messages, true) => planned::message_stream(plan, form),
        (Route::Messages, false) => return json_response(200, &planned::message(plan, form), fate),
        (Route::StreamGenerate, _) => planned::content_stream(plan, form),
        (Route::Generate, _) => return json_response(200, &planned::content(plan, form), fate),
        (route, _) => panic!("no plan has an answer for {route:?}"),
    };
    stream_response(stream, script, "text/event-stream", fate)
}

fn asked(route: Route, call: &Call<'_>, body: &Value, form: &Form) -> Asked {
    let path_model = || call.last_segment();
    let mut asked = match route {
        Route::Responses => responses::asked(body),
        Route::Messages | Route::CountTokens => anthropic::asked(body),
        Route::Generate | Route::StreamGenerate => gemini::asked(body, &path_model()),
        Route::Embed | Route::BatchEmbed => Asked { model: path_model(), ..Asked::default() },
        Route::GeminiCount if body["generateContentRequest"].is_object() => {
            gemini::asked(&body["generateContentRequest"], &path_model())
        }
        Route::GeminiCount => gemini::asked(body, &path_model()),
        _ => openai::asked(body),
    };
    if matches!(route, Route::Speech | Route::Embeddings) {
        asked.text = body["input"].as_str().unwrap_or_default().to_owned();
    }
    if let Some((_, deployment)) = call.path.split_once("/openai/deployments/") {
        // Azure names the model in the path.
        asked.model = deployment.split('/').next().unwrap_or_default().to_owned();
    }
    if form.parsed {
        asked.model = form.field("model");
        asked.text = form.field("prompt");
    }
    asked
}

fn refusal(route: Route, asked: &Asked, body: &Value) -> Result<(), Refusal> {
    if !matches!(route, Route::Models | Route::Model | Route::Echo | Route::Unknown) {
        strict::model(&asked.model)?;
    }
    match route {
        Route::Chat => strict::chat(body),
        Route::Messages => strict::messages(body, false),
        Route::CountTokens => strict::messages(body, true),
        Route::Generate | Route::StreamGenerate => strict::contents(body),
        Route::Images if asked.model.starts_with("gpt-image") && body.get("response_format").is_some() => {
            Err((400, "Unknown parameter: 'response_format'.".to_owned()))
        }
        _ => Ok(()),
    }
}

fn scripted_error(dialect: Dialect, status: u16, script: &Script, fate: Fate) -> Response {
    let mut answer = match script.error_body.as_deref() {
        Some("html") => {
            let html = "<html><body><h1>502 Bad Gateway</h1></body></html>";
            response(status, "text/html", MockBody::whole(html, fate))
        }
        Some("empty") => response(status, "text/plain", MockBody::whole("", fate)),
        Some(text) => response(status, "text/plain", MockBody::whole(text.to_owned(), fate)),
        None => {
            let message = format!("the scripted upstream answers {status}");
            json_response(status, &dialect.error(status, &message), fate)
        }
    };
    if let Some(seconds) = script.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some((name, value)) = &script.reply_header {
        let name: http::HeaderName = name.parse().expect("a header's name");
        answer.headers_mut().insert(name, value.parse().expect("a header's value"));
    }
    answer
}

fn response(status: u16, kind: &str, body: MockBody) -> Response {
    http::Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header(header::CONTENT_TYPE, kind)
        .body(body)
        .expect("a response")
}

fn json_response(status: u16, body: &Value, fate: Fate) -> Response {
    response(status, "application/json", MockBody::whole(body.to_string(), fate))
}

/// A whole answer, unless the script breaks it in the middle.
fn whole_response(body: &Value, script: Script, fate: Fate) -> Response {
    match Stream::broken_whole(body, &script) {
        Some(stream) => response(200, "application/json", MockBody::pieces(stream, script, fate)),
        None => json_response(200, body, fate),
    }
}

fn stream_response(stream: Stream, script: Script, kind: &str, fate: Fate) -> Response {
    response(200, kind, MockBody::pieces(stream, script, fate))
}
