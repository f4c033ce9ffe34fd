//! What a handler of the Admin API is given: who calls, what is asked, and only what the caller may see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use serde_json::{Map, Value};
use tidegate_store::{ObjectKind, ObjectRecord};
use uuid::Uuid;

use super::field;
use super::reply::Page;
use super::route::Route;
use super::who::Who;
use crate::api::{credentials_of, read_body};
use crate::clock;
use crate::error::{ErrorKind, GatewayError};
use crate::gateway::Gateway;
use crate::governance::Bad;
pub(super) use crate::governance::terms::flag;
use crate::server::Worker;

/// Bytes of a body.
const LARGEST: usize = 2 << 20;

/// One order of an administrator.
pub(super) struct Ctx {
    /// The worker that serves it.
    pub worker: web::Data<Worker>,
    /// Who calls.
    pub who: Who,
    /// The body's members; empty without a body.
    pub body: Map<String, Value>,
    /// The query.
    pub query: BTreeMap<String, String>,
    path: BTreeMap<String, String>,
    /// Where the caller reached us, like `https://gateway.example`: links begin with it.
    pub base: String,
    /// Method, path with query, request id and address, for the audit log.
    pub(super) about: About,
}

/// What the audit log says of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) request_id: String,
    pub(super) client_ip: String,
}

impl About {
    /// Reads it from a request, and gives the request an id.
    pub(super) fn of(request: &HttpRequest) -> Self {
        Self {
            method: request.method().to_string(),
            uri: request.uri().to_string(),
            request_id: Uuid::now_v7().to_string(),
            client_ip: request.peer_addr().map(|peer| peer.ip().to_string()).unwrap_or_default(),
        }
    }
}

impl Ctx {
    /// Reads a request for a route: who calls and whether they may, then what they ask.
    ///
    /// # Errors
    /// 401, 403, and 400 with the member that is wrong.
    pub(super) async fn read(
        route: &Route,
        request: &HttpRequest,
        payload: web::Payload,
        worker: &web::Data<Worker>,
    ) -> Result<Self, GatewayError> {
        let gateway = &worker.gateway;
        let who = if route.open { Who::nobody() } else { Who::of(gateway, credentials_of(request)).await? };
        who.needs(route.scopes)?;
        let within = Duration::from_millis(gateway.settings().timeouts.body_ms);
        let bytes = read_body(request.headers(), payload, LARGEST, within).await?;
        let body = match bytes.as_ref() {
            [] => Map::new(),
            // Some clients send `null` where they have nothing to say.
            bytes => serde_json::from_slice::<Option<Map<String, Value>>>(bytes)
                .map(Option::unwrap_or_default)
                .map_err(|error| invalid("body", &format!("a JSON object is expected: {error}")))?,
        };
        field::check(route.body, &body)?;
        let query = web::Query::<BTreeMap<String, String>>::from_query(request.query_string());
        let query = query.map_err(|error| invalid("query", &error.to_string()))?.into_inner();
        field::check_query(route.query, &query)?;
        let path = request.match_info().iter();
        let path = path.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let about = About::of(request);
        let base = {
            let connection = request.connection_info();
            format!("{}://{}", connection.scheme(), connection.host())
        };
        Ok(Self { worker: worker.clone(), who, body, query, path, about, base })
    }

    /// Returns the gateway.
    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.worker.gateway
    }

    /// Returns a parameter of the path.
    pub(super) fn path(&self, name: &str) -> &str {
        self.path.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Returns a member's text, if it is there and not null.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    /// Returns a flag, written as a boolean or as 1 or 0.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        flag(self.body.get(name)?)
    }

    /// Returns a parameter of the query, if it is not empty.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// Makes a list's envelope of the page that is asked for, in either of the spellings of Portkey's clients.
    ///
    /// # Errors
    /// 400 for a page that is no number or too large.
    pub(super) fn list(&self, rows: Vec<Value>) -> Result<Value, GatewayError> {
        self.page()?.list(rows)
    }

    /// Returns which page is asked for.
    ///
    /// # Errors
    /// 400
    pub(super) fn page(&self) -> Result<Page, GatewayError> {
        Page::read(&self.query)
    }

    /// Returns the id of the workspace that is meant by `workspace_id` in the body or the query, by the caller's own
    /// where nothing is said, and by the default one for callers of the organisation.
    ///
    /// # Errors
    /// 404 for one that is not there or that the caller may not know of.
    pub(super) fn workspace(&self) -> Result<String, GatewayError> {
        match self.workspace_asked()? {
            Some(id) => Ok(id),
            None => Ok(self.who.workspace.clone().unwrap_or_else(|| self.default_workspace())),
        }
    }

    /// Returns the id of the workspace that is named, or the caller's own; `None` where a caller of the organisation
    /// names none.
    ///
    /// # Errors
    /// 404 for one that is not there or that the caller may not know of.
    pub(super) fn workspace_asked(&self) -> Result<Option<String>, GatewayError> {
        let named = self.text("workspace_id").or_else(|| self.asked("workspace_id"));
        let named = named.or_else(|| self.asked("workspace_slug"));
        match named.filter(|name| !name.is_empty()) {
            Some(name) => Ok(Some(self.known_workspace(name)?.id.clone())),
            None => Ok(self.who.workspace.clone()),
        }
    }

    /// Returns a workspace by id or slug.
    ///
    /// # Errors
    /// 404 for one that is not there or that the caller may not know of.
    pub(super) fn known_workspace(&self, name: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
        let found = self.gateway().objects.find(ObjectKind::Workspace, "", name);
        let may = |it: &Arc<ObjectRecord>| self.who.workspace.as_ref().is_none_or(|own| *own == it.id);
        found.filter(may).ok_or_else(|| missing("workspace", name))
    }

    fn default_workspace(&self) -> String {
        self.gateway().objects.rules().default_workspace().to_owned()
    }

    /// Returns an object by id or slug that the caller may see: the organisation's and its workspace's, or for callers
    /// of the organisation those of every workspace.
    ///
    /// # Errors
    /// 404 for one that is not there or that the caller may not know of.
    pub(super) fn object(&self, kind: ObjectKind, name: &str) -> Result<Arc<ObjectRecord>, GatewayError> {
        let objects = &self.gateway().objects;
        let workspace = self.workspace_asked()?;
        // Another's id is as good a slug as any.
        let by_id = objects.by_id(kind, name).filter(|it| self.sees(it.workspace.as_deref()));
        let found = match (&workspace, by_id) {
            (_, Some(found)) => Some(found),
            (Some(workspace), None) => {
                objects.by_slug(kind, workspace, name).or_else(|| objects.by_slug(kind, "", name))
            }
            // A slug without a workspace: the default one's, the organisation's, then whosever it is.
            (None, None) => objects
                .by_slug(kind, &self.default_workspace(), name)
                .or_else(|| objects.by_slug(kind, "", name))
                .or_else(|| objects.all(kind).into_iter().find(|it| it.slug == name)),
        };
        let what = kind.name().replace('_', " ");
        let found = found.filter(|it| self.sees(it.workspace.as_deref()));
        found.ok_or_else(|| missing(&what, name))
    }

    /// Returns whether the caller may see what belongs to a workspace; `None` is the organisation's.
    pub(super) fn sees(&self, workspace: Option<&str>) -> bool {
        match (&self.who.workspace, workspace) {
            (None, _) | (_, None) => true,
            (Some(own), Some(other)) => own == other,
        }
    }

    /// Refuses to change what belongs to the organisation or another workspace.
    ///
    /// # Errors
    /// 403, or 404 for what the caller may not know of.
    pub(super) fn may_change(&self, object: &ObjectRecord) -> Result<(), GatewayError> {
        match (&self.who.workspace, &object.workspace) {
            (None, _) => Ok(()),
            (Some(own), Some(of)) if own == of => Ok(()),
            (Some(_), None) => {
                let message = "this belongs to the organisation; a key of the organisation may change it";
                Err(GatewayError::new(ErrorKind::Scope, message))
            }
            _ => Err(missing(object.kind.name(), &object.id)),
        }
    }

    /// Makes a new object of the caller's.
    pub(super) fn new_object(
        &self,
        kind: ObjectKind,
        workspace: Option<String>,
        slug: String,
        body: Value,
    ) -> ObjectRecord {
        let now = clock::unix_ms();
        ObjectRecord {
            kind,
            id: Uuid::now_v7().to_string(),
            workspace,
            slug,
            version: 1,
            body,
            created_at_ms: now,
            created_by: self.who.key.id.clone(),
            updated_at_ms: now,
            updated_by: self.who.key.id.clone(),
        }
    }

    /// Makes the next version of an object.
    pub(super) fn next_version(&self, object: &ObjectRecord, body: Value) -> ObjectRecord {
        ObjectRecord {
            version: object.version + 1,
            body,
            // Later than before also when two changes fall into one millisecond.
            updated_at_ms: clock::unix_ms().max(object.updated_at_ms + 1),
            updated_by: self.who.key.id.clone(),
            ..object.clone()
        }
    }

    /// Copies members of the body over those of an object: what is absent stays, null clears, a value sets.
    pub(super) fn merged(&self, before: &Value, members: &[&str]) -> Value {
        let mut merged = before.clone();
        if let Value::Object(merged) = &mut merged {
            for name in members {
                if let Some(value) = self.body.get(*name) {
                    merged.insert((*name).to_owned(), value.clone());
                }
            }
        }
        merged
    }
}

/// Makes the 400 of a member.
pub(super) fn invalid(param: &str, message: &str) -> GatewayError {
    let message = if message.starts_with(param) { message.to_owned() } else { format!("{param}: {message}") };
    GatewayError::new(ErrorKind::Invalid, message).at(param)
}

/// Makes the 404 of what is not there, or of what the caller may not know of: they are the same.
pub(super) fn missing(what: &str, name: &str) -> GatewayError {
    GatewayError::new(ErrorKind::NotFound, format!("there is no {what} \"{name}\""))
}

/// Makes the 409 of what stands against a change.
pub(super) fn conflict(message: impl Into<String>) -> GatewayError {
    GatewayError::new(ErrorKind::Conflict, message)
}

impl From<Bad> for GatewayError {
    fn from(bad: Bad) -> Self {
        Self::new(ErrorKind::Invalid, bad.to_string()).at(bad.param)
    }
}
