//! Lets the cases happen: one gateway, one scripted upstream, one that resets and a port that nobody listens on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use serde_json::{Value, json};
use tidegate_tests::{Mock, Settings, sse, wait};
use tokio::net::TcpListener;

use super::cases::{Case, Dialect, Fault, Strategy};
use super::rules::Seen;
use crate::support::{KEY, PRICES, World, chat, message, world_with};

/// Requests at the same time.
const TOGETHER: usize = 48;
/// How long the gateway waits for a vendor that stalls.
const STALLED_MS: u64 = 700;
/// A fast vendor is never hedged, also on a busy machine.
const NEVER_MS: u64 = 60_000;

/// An upstream that resets every connection once a request has come.
async fn resetting() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut byte = [0];
                // Closed with unread bytes: the kernel answers with a reset.
                let _ = stream.peek(&mut byte).await;
            });
        }
    });
    addr
}

async fn start() -> World {
    let mock = Mock::start();
    let reset = resetting().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port that was free a moment ago");
    let mut settings = Settings::new();
    for (name, vendor) in [("chat", "openai"), ("messages", "anthropic")] {
        settings = settings
            .provider(&format!("{name}-a"), vendor, &mock, PRICES)
            .provider(&format!("{name}-b"), vendor, &mock, PRICES)
            .provider_at(&format!("{name}-refused"), vendor, &format!("http://{free}/v1"), PRICES)
            .provider_at(&format!("{name}-reset"), vendor, &format!("http://{reset}/v1"), PRICES)
            .provider_at(&format!("{name}-tls"), vendor, &format!("https://{}/v1", mock.addr()), PRICES);
    }
    let settings = settings.key("tests", KEY, "budget = { usd = 1000.00 }");
    world_with(mock, settings).await
}

/// Runs all cases and says what was seen of each.
pub(super) async fn run(cases: &[Case]) -> Vec<String> {
    let world = start().await;
    let client_sides: Vec<Client> =
        iter(cases.iter().map(|case| ask(&world, case))).buffered(TOGETHER).collect().await;
    // All rows are written when nothing is held any more.
    let budget = world.gateway.settled_budget("tests").await;
    let rows = wait::until("all rows of the log", || {
        let rows = world.gateway.logs();
        (rows.len() >= cases.len()).then_some(rows)
    })
    .await;
    let spent: i64 = rows.iter().filter_map(|row| row["cost_nano_usd"].as_i64()).sum();
    assert_eq!(budget["spent"].as_i64(), Some(spent), "the budget spent what the rows cost: {budget}");
    let row = |case: &Case| {
        let found: Vec<&Value> = rows.iter().filter(|row| row["trace_id"] == trace(case)).collect();
        assert_eq!(found.len(), 1, "{case:?} has one row: {found:?}");
        found[0]
    };
    let state = world.gateway.state().await.to_string();
    assert!(!state.contains("\"in_flight\":1"), "something is still inside: {state}");
    cases.iter().zip(client_sides).map(|(case, client)| client.seen(row(case)).to_string()).collect()
}

fn trace(case: &Case) -> String {
    format!("fault-{}", case.number)
}

/// What the client saw.
struct Client {
    status: u16,
    error: Option<String>,
    text: &'static str,
    retries: String,
    target: String,
    cut: bool,
}

async fn ask(world: &World, case: &Case) -> Client {
    let (body, path) = match case.dialect {
        Dialect::OpenAi => (chat("any", "hi"), "/v1/chat/completions"),
        Dialect::Anthropic => (message("any", "hi", false), "/v1/messages"),
    };
    let mut body = body;
    body["stream"] = case.stream.into();
    let request = world
        .client
        .post(path, &body)
        .header("x-portkey-config", config(case).to_string())
        .header("x-portkey-trace-id", trace(case));
    let mut answer = request.send().await;
    let (text, error);
    if answer.header("content-type").starts_with("text/event-stream") {
        let events = answer.events().await;
        let said = match case.dialect {
            Dialect::OpenAi => sse::chat_text(&events),
            Dialect::Anthropic => sse::message_text(&events),
        };
        let ended = events.last().is_some_and(|last| last.is_done() || last.name == "message_stop");
        error = events.iter().rev().find_map(|event| {
            let kind = event.json()["error"]["type"].as_str().map(str::to_owned);
            kind.or((event.name == "error").then(|| "without type".to_owned()))
        });
        text = judged(&said, ended);
    } else {
        let body: Value = serde_json::from_str(&answer.text().await).unwrap_or_default();
        let said = body["choices"][0]["message"]["content"].as_str().or(body["content"][0]["text"].as_str());
        error = body["error"]["type"].as_str().map(str::to_owned);
        text = judged(said.unwrap_or_default(), true);
    }
    Client {
        status: answer.status,
        error,
        text,
        retries: answer.header("x-portkey-retry-attempt-count").to_owned(),
        target: answer.header("x-portkey-last-used-option-index").replace("config.", ""),
        cut: answer.was_cut(),
    }
}

/// What of the texts that the scripts make arrived.
fn judged(said: &str, ended: bool) -> &'static str {
    const NINE: &str = " one two three four five six seven eight one";
    match (said, ended) {
        ("", false) => "nothing",
        ("", true) => "nothing",
        (" one two", false) => "begun",
        (" one two three", true) => "joined",
        ("three", true) => "from B",
        (text, true) if text == NINE || text.len() == 2_000_000 + " two".len() => "complete",
        _ => "something else",
    }
}

impl Client {
    fn seen(self, row: &Value) -> Seen {
        let tried: Vec<&Value> = match row["tried"].as_array() {
            Some(tried) if !tried.is_empty() => tried.iter().collect(),
            _ => vec![row],
        };
        let asked = |second: bool| {
            let asked = |tried: &&&Value| {
                tried["provider"].as_str().is_some_and(|slug| slug.ends_with("-b")) == second
                    && tried["asked"] != false
            };
            tried.iter().filter(asked).count()
        };
        assert_eq!(row["attempts"].as_u64(), Some((asked(false) + asked(true)) as u64), "{row}");
        let target = row["option_index"].as_str().unwrap_or_default().replace("config.", "");
        let continued = tried.iter().any(|tried| tried["continued"] == true);
        // The head of a stream names who began it.
        assert!(self.target == target || continued, "the header says {}: {row}", self.target);
        Seen {
            status: self.status,
            error: self.error,
            text: if self.cut { "a broken connection" } else { self.text },
            calls: (asked(false), asked(true)),
            retries: self.retries,
            target,
            outcome: row["outcome"].as_str().unwrap_or_default().to_owned(),
            paid: row["cost_nano_usd"].as_i64().is_some_and(|cost| cost > 0),
        }
    }
}

fn config(case: &Case) -> Value {
    let name = if case.dialect == Dialect::OpenAi { "chat" } else { "messages" };
    let slug = match case.fault {
        Fault::Refused => "refused",
        Fault::Reset => "reset",
        Fault::Tls => "tls",
        _ => "a",
    };
    let mut first = json!({ "override_params": {
        "model": format!("@{name}-{slug}/mock"), "mock": script(case),
    }});
    let stalls = matches!(case.fault, Fault::StallBeforeHead | Fault::StallMidStream);
    if stalls {
        first["timeouts"] = json!({ "head_ms": STALLED_MS, "idle_ms": STALLED_MS });
    }
    let second = json!({ "override_params": {
        "model": format!("@{name}-b/mock"), "mock": if joins(case) { "say=%20three" } else { "say=three" },
    }});
    let strategy = match case.strategy {
        Strategy::None => return first,
        Strategy::Retry => {
            first["retry"] = json!({ "attempts": 1, "use_retry_after_header": true });
            return first;
        }
        Strategy::Balance => {
            first["weight"] = 1.into();
            let mut second = second;
            second["weight"] = 0.into();
            return json!({ "strategy": { "mode": "loadbalance" }, "targets": [first, second] });
        }
        Strategy::Fallback => json!({ "mode": "fallback" }),
        Strategy::Hedge => {
            // Well before the gateway gives up.
            let after = if case.fault == Fault::StallBeforeHead { STALLED_MS / 7 } else { NEVER_MS };
            json!({ "mode": "fallback", "hedge": { "after_ms": after } })
        }
        Strategy::Continue => json!({ "mode": "fallback", "continue_stream": true }),
    };
    json!({ "strategy": strategy, "targets": [first, second] })
}

/// Whether B goes on where A broke off, and so begins with a space.
fn joins(case: &Case) -> bool {
    let breaks =
        matches!(case.fault, Fault::StallMidStream | Fault::Malformed | Fault::CutAfter | Fault::ErrorEvent);
    case.strategy == Strategy::Continue && case.stream && breaks
}

fn script(case: &Case) -> String {
    let script = case.fault.script(case.stream);
    if !script.contains("{date}") {
        return script;
    }
    // Two seconds on: one at least is left when it is read.
    let at = SystemTime::now() + Duration::from_secs(2);
    let seconds = at.duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    script.replace("{date}", &http_date(seconds).replace(' ', "%20").replace(',', "%2C"))
}

/// Writes an HTTP date (RFC 9110 5.6.7).
fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = seconds / 86_400;
    let clock = seconds % 86_400;
    let (mut year, mut left) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    format!(
        "{}, {:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        left + 1,
        MONTHS[month],
        clock / 3_600,
        clock / 60 % 60,
        clock % 60
    )
}

#[test]
fn dates_are_http_dates() {
    assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(http_date(1_709_164_800), "Thu, 29 Feb 2024 00:00:00 GMT");
}
