//! Health and readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::server::Worker;

/// Whether the node takes new requests; flips first when it drains.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Readiness {
    /// Says that no new requests are wanted.
    pub fn drain(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// `GET /`
pub(super) async fn hello() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("Tidegate is running. Point an OpenAI SDK at /v1.\n")
}

/// `GET /v1/health`: the process lives.
pub(super) async fn health() -> HttpResponse {
    let version = env!("CARGO_PKG_VERSION");
    HttpResponse::Ok().json(json!({"status": "success", "message": "Server is healthy", "version": version}))
}

/// `GET /v1/ready`: requests are welcome and spend can be recorded.
pub(super) async fn ready(worker: web::Data<Worker>, readiness: web::Data<Readiness>) -> HttpResponse {
    let ledger = worker.gateway.ledger.healthy();
    let open = readiness.0.load(Ordering::Acquire);
    let body = json!({"ready": ledger && open, "ledger": ledger, "draining": !open});
    if ledger && open { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}
