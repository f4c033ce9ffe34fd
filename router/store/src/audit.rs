//! The audit log: what administrators did, each row chained to the one before by its hash.
//!
//! The hash of a row is SHA-256 of the hash before it (32 zero bytes for the first) followed by the row's text, as
//! stored. A row that is changed, taken out or put in between breaks the chain from there on. Cutting off the end
//! is noticed by whoever noted the newest hash elsewhere.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What somebody did, or tried to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditRecord {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// HTTP method, or `CLI`.
    pub method: String,
    /// Path with its query.
    pub uri: String,
    /// Request id.
    pub request_id: String,
    /// Id of the key or user.
    pub actor: String,
    /// Its name.
    pub actor_name: String,
    /// `api_key`, `user` or `cli`.
    pub actor_kind: String,
    /// Workspace concerned; empty is the organisation.
    pub workspace: String,
    /// Like `api_key`, `workspace`, `config`.
    pub resource: String,
    /// Which one.
    pub resource_id: String,
    /// `create`, `update`, `delete`, `rotate`, …
    pub action: String,
    /// Before, with secrets masked; null when it is new.
    pub before: Value,
    /// After, with secrets masked; null when it is gone.
    pub after: Value,
    /// HTTP status of the answer.
    pub status: u16,
    /// Where the request came from.
    pub client_ip: String,
}

/// A row of the audit log as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// What was done.
    pub record: AuditRecord,
    /// Its hash.
    pub hash: [u8; 32],
}

/// Which rows to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// From this moment on, milliseconds since the epoch.
    pub from_ms: Option<i64>,
    /// Up to this moment.
    pub to_ms: Option<i64>,
    /// Only of this workspace.
    pub workspace: Option<String>,
    /// Only by this key or user.
    pub actor: Option<String>,
    /// Only of this kind of object.
    pub resource: Option<String>,
    /// Only of this object.
    pub resource_id: Option<String>,
    /// Only this action.
    pub action: Option<String>,
    /// Only this method.
    pub method: Option<String>,
    /// Only with this status.
    pub status: Option<u16>,
    /// How many to leave out.
    pub offset: usize,
    /// How many at most; 0 is all.
    pub limit: usize,
}

/// What a look over the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditCheck {
    /// Rows looked at.
    pub rows: u64,
    /// Number of the first row that does not fit, and why.
    pub broken: Option<(i64, String)>,
    /// Hash of the newest row in hexadecimal; empty without rows.
    pub head: String,
}

/// Returns the hash of a row after the one with hash `before`.
#[must_use]
pub fn chain(before: &[u8; 32], text: &str) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(before);
    hash.update(text.as_bytes());
    let mut digest = [0; 32];
    digest.copy_from_slice(hash.finish().as_ref());
    digest
}

/// Follows a chain row by row.
#[derive(Default)]
pub(crate) struct Chain {
    rows: u64,
    seq: i64,
    head: [u8; 32],
    broken: Option<(i64, String)>,
}

impl Chain {
    /// Looks at the next row, in order of numbers.
    pub(crate) fn look(&mut self, seq: i64, text: &str, hash: &[u8]) {
        self.rows += 1;
        if self.broken.is_none() {
            if seq != self.seq + 1 {
                self.broken = Some((seq, format!("row {} is missing", self.seq + 1)));
            } else if chain(&self.head, text)[..] != *hash {
                self.broken = Some((seq, "its text or the row before it was changed".to_owned()));
            }
        }
        self.seq = seq;
        self.head = hash.try_into().unwrap_or_default();
    }

    /// Notes that the row just looked at is wrong in another way.
    pub(crate) fn fault(&mut self, seq: i64, reason: &str) {
        if self.broken.is_none() {
            self.broken = Some((seq, reason.to_owned()));
        }
    }

    pub(crate) fn end(self) -> AuditCheck {
        let head = if self.rows == 0 { String::new() } else { hex(&self.head) };
        AuditCheck { rows: self.rows, broken: self.broken, head }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
