//! How Portkey's Admin API answers: its errors, its lists, its times.
//!
//! Portkey's own routes and clients disagree about the form of errors, so an error has the members of all of them.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::api::{cors, render};
use crate::error::{ErrorKind, GatewayError};
use crate::server::Worker;

/// Rows of a page, and most that may be asked for.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// Renders a result.
pub(crate) fn answer(
    request: &HttpRequest,
    worker: &Worker,
    done: Result<Value, GatewayError>,
) -> HttpResponse {
    match done {
        Ok(document) => render::document(request, worker, &document),
        Err(error) => refusal(request, worker, &error),
    }
}

fn refusal(request: &HttpRequest, worker: &Worker, error: &GatewayError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let trace_id = render::trace_id(request, &Uuid::now_v7().to_string());
    let mut response = HttpResponse::build(status);
    if let Some(wait) = error.retry_after {
        response.insert_header(("retry-after", wait.as_millis().div_ceil(1_000).max(1).to_string()));
    }
    let mut response = response.json(body(error));
    if let Ok(trace_id) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(HeaderName::from_static("x-portkey-trace-id"), trace_id);
    }
    cors::add(request, &worker.gateway.settings().cors.origins, response.headers_mut());
    response
}

fn body(error: &GatewayError) -> Value {
    let code = code(error.kind);
    let kind = error.body().kind;
    json!({
        "success": false,
        "status_code": error.status(),
        "errorCode": code,
        "message": error.message,
        "error": {"message": error.message, "code": code, "type": kind, "param": error.param},
        "data": {"message": error.message, "errorCode": code},
    })
}

/// Returns Portkey's code of an Admin API error.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Scope => "AB03",
        ErrorKind::Key | ErrorKind::KeyExpired => "AB05",
        ErrorKind::RateLimit => "AB06",
        ErrorKind::Conflict => "AB07",
        ErrorKind::NotFound => "AB08",
        ErrorKind::Unavailable | ErrorKind::Bug => "AB04",
        _ => "AB01",
    }
}

/// Writes milliseconds since the epoch as Portkey's clients read them: `2026-05-03T17:08:55.000Z`.
pub(crate) fn moment(ms: i64) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    let nanos = i128::from(ms) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&format).unwrap_or_default()
}

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    current: usize,
    size: usize,
}

impl Page {
    /// Reads both spellings of Portkey's clients; `page` counts from 1.
    ///
    /// # Errors
    /// 400 for what is no number, or too many rows.
    pub(crate) fn read(query: &std::collections::BTreeMap<String, String>) -> Result<Self, GatewayError> {
        let number = |names: &[&str]| match names.iter().find_map(|name| Some((name, query.get(*name)?))) {
            None => Ok(None),
            Some((name, text)) => text.parse::<usize>().map(Some).map_err(|_| {
                GatewayError::new(ErrorKind::Invalid, format!("{name}: a whole number is expected")).at(*name)
            }),
        };
        let size = number(&["page_size", "pageSize", "limit"])?.unwrap_or(PAGE);
        if !(1..=LARGEST_PAGE).contains(&size) {
            let message = format!("page_size: 1 to {LARGEST_PAGE} is accepted");
            return Err(GatewayError::new(ErrorKind::Invalid, message).at("page_size"));
        }
        let counted_from_one = number(&["page"])?.map(|page| page.saturating_sub(1));
        let current = number(&["current_page", "currentPage"])?.or(counted_from_one).unwrap_or(0);
        Ok(Self { current, size })
    }

    /// Returns how many rows come before it.
    #[must_use]
    pub(crate) fn offset(self) -> usize {
        self.current.saturating_mul(self.size)
    }

    /// Returns how many rows it has at most.
    #[must_use]
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// Makes a list's envelope of the page's rows.
    ///
    /// # Errors
    /// None; handlers end with it.
    pub(crate) fn list(self, rows: Vec<Value>) -> Result<Value, GatewayError> {
        let total = rows.len();
        let rows: Vec<Value> = rows.into_iter().skip(self.offset()).take(self.size).collect();
        Ok(envelope(rows, total))
    }
}

/// Makes a list's envelope of rows that were cut out already.
pub(crate) fn envelope(rows: Vec<Value>, total: usize) -> Value {
    json!({"object": "list", "success": true, "total": total, "data": rows})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds() {
        assert_eq!(moment(1_777_828_135_042), "2026-05-03T17:08:55.042Z");
    }

    #[test]
    fn an_error_has_the_members_of_every_client() {
        let body = body(&GatewayError::new(ErrorKind::NotFound, "there is none").at("slug"));
        assert_eq!(body["errorCode"], "AB08");
        assert_eq!(body["error"]["code"], "AB08");
        assert_eq!(body["error"]["param"], "slug");
        assert_eq!((&body["success"], &body["status_code"]), (&json!(false), &json!(404)));
        assert_eq!(body["data"]["message"], "there is none");
    }

    #[test]
    fn pages_are_counted_from_zero() {
        let rows = || (0..250).map(Value::from).collect::<Vec<_>>();
        let page = |query: &[(&str, &str)]| {
            Page::read(&query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        let first = page(&[]).unwrap().list(rows()).unwrap();
        assert_eq!((first["total"].as_u64(), first["data"][99].as_u64()), (Some(250), Some(99)));
        let last = page(&[("currentPage", "2"), ("page_size", "100")]).unwrap().list(rows()).unwrap();
        assert_eq!(last["data"].as_array().map(Vec::len), Some(50));
        assert!(page(&[("page_size", "0")]).is_err());
        assert!(page(&[("current_page", "x")]).is_err());
        assert_eq!(page(&[("page", "1")]).unwrap().offset(), 0);
        let far = page(&[("current_page", &usize::MAX.to_string())]).unwrap();
        assert_eq!(far.list(rows()).unwrap()["data"], json!([]));
    }
}
