//! Who changed what, from where: each change that is asked for with operator's rights is noted in the journal, and
//! `GET /api/audit` lists what was.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{MatchedPath, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use provisioning_core::model::{HostId, Hostname, Timestamp};
use provisioning_core::ports::{AccessPath, AuditRecord, Happening, JournalQuery};
use serde::Serialize;
use tracing::Instrument as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::{Actor, Peer};
use super::body::Params;
use super::cursor::{PAGE, PAGE_MAX};
use super::problem::{Kind, Problem, shortened};
use super::schema::Time;

/// The largest place there can be: what is beyond is a mistake, not a later place.
const PLACE_MAX: u64 = i64::MAX as u64;
/// Entries that one request looks through for those of a name.
const LOOKED_AT_MAX: usize = 10_000;

/// What changes are called. What is not here is told by its method and path.
const ACTIONS: [(&str, &str, &str); 27] = [
    ("POST", "/api/hosts", "register a host"),
    ("PATCH", "/api/hosts/{id}", "edit a host"),
    ("DELETE", "/api/hosts/{id}", "remove a host"),
    ("POST", "/api/hosts/{id}/rebuild", "rebuild a host"),
    ("POST", "/api/hosts/{id}/cancel", "cancel an operation"),
    ("POST", "/api/hosts/{id}/resume", "resume a join"),
    ("POST", "/api/images", "import an image"),
    ("DELETE", "/api/images/{id}", "remove an image"),
    ("PUT", "/api/images/{id}/default", "choose the default image"),
    ("POST", "/api/discovered/{mac}/adopt", "adopt a machine"),
    ("DELETE", "/api/discovered/{mac}", "dismiss a machine"),
    ("POST", "/api/tokens", "create a token"),
    ("DELETE", "/api/tokens/{id}", "revoke a token"),
    ("POST", "/api/notify/test", "send a test message"),
    // The same by the pages' forms.
    ("POST", "/hosts/{host}/edit", "edit a host"),
    ("POST", "/hosts/{host}/remove", "remove a host"),
    ("POST", "/hosts/{host}/rebuild", "rebuild a host"),
    ("POST", "/hosts/{host}/cancel", "cancel an operation"),
    ("POST", "/hosts/{host}/resume", "resume a join"),
    ("POST", "/images/import", "import an image"),
    ("POST", "/images/{image}/remove", "remove an image"),
    ("POST", "/images/{image}/default", "choose the default image"),
    ("POST", "/settings/tokens", "create a token"),
    ("POST", "/settings/tokens/{token}/revoke", "revoke a token"),
    ("POST", "/settings/notify/{target}/test", "send a test message"),
    ("POST", "/login", "log in"),
    ("POST", "/logout", "log out"),
];

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What a change was done to, where the path does not say: handlers put it into the extensions of their response.
#[derive(Clone, Debug)]
pub(crate) struct Subject(pub(crate) String);

/// A change that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    host: Option<HostId>,
    record: AuditRecord,
}

impl Asked {
    /// `None` for requests that change nothing.
    pub(super) async fn of(app: &App, parts: &Parts, actor: Option<&Actor>) -> Option<Self> {
        let is_trial = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "dry_run=true"));
        if parts.method.is_safe() || is_trial {
            return None;
        }
        let template = parts.extensions.get::<MatchedPath>().map_or(parts.uri.path(), MatchedPath::as_str);
        let known = ACTIONS.iter().find(|(method, path, _)| *method == parts.method && *path == template);
        let action = known.map_or_else(|| format!("{} {}", parts.method, printable(template)), |(_, _, a)| (*a).into());
        let subject = named(template, parts.uri.path());
        let mut host = None;
        let mut shown = printable(&subject);
        // Nobody that was not recognised makes us ask the store.
        if actor.is_some() && ["/api/hosts/{", "/hosts/{"].iter().any(|start| template.starts_with(start)) {
            host = subject.parse().ok();
            if let Ok(record) = app.host(&subject).await {
                host = Some(record.host.id);
                shown = record.host.name.to_string();
            }
        }
        let from = parts.extensions.get::<Peer>().and_then(|peer| peer.ip());
        let via = actor.map_or(AccessPath::Nothing, |actor| actor.via);
        let by = actor.map(|actor| actor.name.clone());
        Some(Self { host, record: AuditRecord { by, via, from, action, subject: shown, status: 0 } })
    }

    /// A login or logout.
    pub(super) fn at_the_door(action: &str, from: Option<IpAddr>, actor: Option<&Actor>) -> Self {
        let via = actor.map_or(AccessPath::Nothing, |actor| actor.via);
        let by = actor.map(|actor| actor.name.clone());
        Self {
            host: None,
            record: AuditRecord { by, via, from, action: action.into(), subject: String::new(), status: 0 },
        }
    }

    /// Runs a handler to its end, also when its caller hangs up, and notes what came of it.
    pub(super) async fn see_through(
        self,
        app: Arc<App>,
        handler: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let handling = async move {
            let mut response = handler.await;
            let subject = response.extensions_mut().remove::<Subject>();
            self.came_to(&app, response.status(), subject).await;
            response
        };
        let finished = tokio::spawn(handling.in_current_span());
        finished.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a handler did not come to its end");
            Problem::new(Kind::Internal, "the request met a fault of the server").into_response()
        })
    }

    /// Notes how it ended. What cannot be noted is logged: the change itself was made.
    pub(super) async fn came_to(mut self, app: &App, status: StatusCode, subject: Option<Subject>) {
        self.record.status = status.as_u16();
        if let Some(Subject(subject)) = subject {
            self.record.subject = printable(&subject);
        }
        if let Err(error) = app.orchestrator.audit(self.host, self.record.clone()).await {
            tracing::error!(record = ?self.record, %error, "could not note what an operator did");
        }
    }
}

/// What stands in the place of a path's first parameter, decoded.
fn named(template: &str, path: &str) -> String {
    let pairs = template.split('/').zip(path.split('/'));
    let found = pairs.into_iter().find(|(part, _)| part.starts_with('{')).map(|(_, text)| text).unwrap_or_default();
    decoded(found)
}

/// Percent-decoded; what decodes to no text stays as it was.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        if let (b'%', Some(byte)) = (first, digits) {
            bytes.push(byte);
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Short, and without characters that a terminal would obey.
fn printable(text: &str) -> String {
    shortened(&text.replace(|c: char| c.is_control(), "\u{fffd}"))
}

/// What was changed, latest first.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// What was asked for, latest first.
    #[schema(value_type = Vec<AuditSchema>)]
    entries: Vec<AuditView>,
    /// The `before` of the page behind; there may be one although this one is short, when much had to be looked
    /// through. Null at the end.
    next: Option<u64>,
}

/// A change that was asked for with operator's rights.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct AuditSchema {
    /// Its place in the journal.
    seq: u64,
    /// When it was asked for.
    #[schema(value_type = Time)]
    at: String,
    /// The host it is about.
    host: Option<String>,
    /// Who: the name of the token or login; null when nobody was recognised.
    by: Option<String>,
    /// How they proved it: `token`, `session`, `password`, `control`, `open` or `nothing`.
    via: String,
    /// From which address; null over the control socket.
    from: Option<String>,
    /// What was asked for, in words.
    action: String,
    /// What it was done to.
    subject: String,
    /// The HTTP status that was answered.
    status: u16,
}

/// An entry as the API shows it.
#[derive(Serialize)]
struct AuditView {
    seq: u64,
    at: Timestamp,
    host: Option<HostId>,
    #[serde(flatten)]
    record: AuditRecord,
}

/// List what was changed, by whom and from where, latest first.
#[utoipa::path(
    get, path = "/api/audit", tag = "access", operation_id = "list_audit",
    params(
        ("before" = Option<u64>, Query, description = "`next` of the page before", minimum = 1),
        ("after" = Option<u64>, Query, description = "Only entries behind this place", minimum = 0),
        ("limit" = Option<u64>, Query, description = "Entries on a page, 100 when absent", minimum = 1, maximum = 1000),
        ("host" = Option<String>, Query, description = "Only changes of this host, by id or name"),
        ("by" = Option<String>, Query, description = "Only changes of the token or login with this name"),
        ("failed" = Option<bool>, Query, description = "Only what was refused (true) or done (false)"),
    ),
    responses((status = 200, description = "A page of changes", body = AuditPage)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host"]))),
)]
async fn list(State(app): State<Arc<App>>, mut params: Params) -> Result<Json<AuditPage>, Problem> {
    let before = params.number("before", 1..=PLACE_MAX);
    let after = params.number("after", 0..=PLACE_MAX).unwrap_or(0);
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    let host = params.text("host");
    let by = params.text("by");
    let failed = params.truth("failed");
    params.finish()?;
    let host = match host {
        Some(text) => Some(host_id(&app, &text).await?),
        None => None,
    };
    let wanted = |record: &AuditRecord| {
        by.as_ref().is_none_or(|by| record.by.as_ref() == Some(by))
            && failed.is_none_or(|failed| failed != record.is_success())
    };
    let mut query = JournalQuery { before, after, host, ..JournalQuery::audit(PAGE_MAX) };
    let (mut views, mut looked_at) = (vec![], 0);
    let next = loop {
        let entries = app.orchestrator.store().journal(&query).await?;
        let is_last = entries.len() < PAGE_MAX;
        looked_at += entries.len();
        for entry in entries {
            query.before = Some(entry.seq);
            if let Happening::Audited(record) = entry.what
                && wanted(&record)
            {
                views.push(AuditView { seq: entry.seq, at: entry.at, host: entry.host, record });
            }
            if views.len() > limit {
                break;
            }
        }
        if views.len() > limit {
            views.truncate(limit);
            break views.last().map(|view| view.seq);
        }
        if is_last {
            break None;
        }
        if looked_at >= LOOKED_AT_MAX {
            break query.before;
        }
    };
    Ok(Json(AuditPage { entries: views, next }))
}

/// A host by id, also one that was removed since, or by name.
async fn host_id(app: &App, text: &str) -> Result<HostId, Problem> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let known = match text.parse::<Hostname>() {
        Ok(name) => app.orchestrator.store().host_by_name(&name).await?,
        Err(_) => None,
    };
    let shown = shortened(text);
    let none = || Problem::new(Kind::NoSuchHost, format!("no host has the id or name {shown}"));
    known.map(|record| record.host.id).ok_or_else(none)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_from_the_place_of_the_first_parameter() {
        assert_eq!(named("/api/hosts/{id}/rebuild", "/api/hosts/pve-07/rebuild"), "pve-07");
        assert_eq!(named("/api/tokens/{id}", "/api/tokens/a%40b"), "a@b");
        assert_eq!(named("/api/hosts", "/api/hosts"), "");
        assert_eq!(named("/api/hosts/{id}", "/api/hosts/%ff%"), "%ff%");
        assert_eq!(printable(&named("/x/{id}", "/x/a%1b%5B2J%0a")), "a\u{fffd}[2J\u{fffd}");
    }
}
