//! Hosts, for operators: list, register, edit, remove, rebuild, cancel, resume.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ipnet::IpNet;
use provisioning_core::machine::Phase;
use provisioning_core::model::{HardwareId, Hostname, ImageId, MacAddr, ServerTypeKey};
use provisioning_core::orchestrator::{AddressEdit, HostEdit, NewHost, Rebuild};
use provisioning_core::ports::{HostFilter, HostRecord, JournalQuery, PowerAnswer, Revision};
use serde::Serialize;
use serde_json::json;

use super::App;
use super::audit::Subject;
use super::body::{Fields, Params};
use super::problem::{Kind, Problem};
use super::view::{HostView, PreflightView};

/// Hosts on one page when the request does not say.
const PAGE: usize = 100;
/// Hosts on one page at most.
const PAGE_MAX: usize = 1000;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/hosts", get(list).post(register))
        .route("/api/hosts/{id}", get(show).patch(edit).delete(remove))
        .route("/api/hosts/{id}/rebuild", post(rebuild))
        .route("/api/hosts/{id}/cancel", post(cancel))
        .route("/api/hosts/{id}/resume", post(resume))
        .route("/api/hosts/{id}/accept-hardware", post(accept_hardware))
        .route("/api/hosts/{id}/journal", get(journal))
}

/// A page of hosts. Whoever follows `/events` behind `seq` misses nothing.
#[derive(Serialize)]
struct Page {
    hosts: Vec<HostView>,
    next: Option<String>,
    seq: u64,
}

async fn list(State(app): State<Arc<App>>, mut params: Params) -> Result<Json<Page>, Problem> {
    let phase = params.word("phase", &Phase::ALL.map(|phase| (phase.as_str(), phase)));
    let server_type = params.parsed::<ServerTypeKey>("server_type");
    let text = params.text("text").map(|text| text.to_ascii_lowercase());
    let after = params.parsed::<Hostname>("after");
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    params.finish()?;

    let store = app.orchestrator.store();
    // Read before the hosts: what happens in between is then told twice rather than never.
    let seq = store.last_seq().await?;
    let filter = HostFilter { phase, server_type, text, after, limit: Some(limit + 1) };
    let mut records = store.hosts(&filter).await?;
    let is_more = records.len() > limit;
    records.truncate(limit);
    let work = store.work().await?;
    let next = records.last().filter(|_| is_more).map(|record| record.host.name.to_string());
    let queue = app.orchestrator.join_queue().await?;
    let view = |record: &HostRecord| app.host_view(record, &work).in_lane(queue.place_of(record.host.id));
    let hosts = records.iter().map(view).collect();
    Ok(Json(Page { hosts, next, seq }))
}

async fn register(State(app): State<Arc<App>>, mut fields: Fields) -> Result<Response, Problem> {
    let name = fields.required::<Hostname>("hostname", "a DNS label such as pve-07");
    let macs = macs(&mut fields, true);
    let server_type = fields.required::<ServerTypeKey>("server_type", "a key of server-types.yaml");
    let address = fields.parsed_as::<IpNet>("address", "an address with its prefix such as 10.0.0.7/24");
    fields.finish()?;
    let (Some(name), Some(macs), Some(server_type)) = (name, macs, server_type) else {
        return Err(Problem::new(Kind::Internal, "a missing field was not reported"));
    };
    let record = app.orchestrator.register(NewHost { name, macs, server_type, address }).await?;
    let location = format!("/api/hosts/{}", record.host.id);
    let mut response = (StatusCode::CREATED, Json(app.host_view(&record, &[]))).into_response();
    response.extensions_mut().insert(Subject(record.host.name.to_string()));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `macs`, or `mac` for a single one.
fn macs(fields: &mut Fields, needed: bool) -> Option<Vec<MacAddr>> {
    let (one, many) = (fields.has("mac"), fields.has("macs"));
    let mac = fields.parsed::<MacAddr>("mac");
    let macs = fields.list::<MacAddr>("macs");
    match (one, many) {
        (true, true) => {
            fields.fault("macs", None, "stands beside mac: send only one of them");
            None
        }
        (true, false) => mac.map(|mac| vec![mac]),
        (false, true) => macs,
        (false, false) => {
            if needed {
                fields.fault(
                    "mac",
                    None,
                    "is missing: the address of the NIC it boots from, such as 52:54:00:12:34:56",
                );
            }
            None
        }
    }
}

async fn show(State(app): State<Arc<App>>, Path(host): Path<String>) -> Result<Response, Problem> {
    let record = app.host(&host).await?;
    let work = app.orchestrator.store().work().await?;
    let queue = app.orchestrator.join_queue().await?;
    let view = app.host_view(&record, &work).in_lane(queue.place_of(record.host.id));
    Ok(with_revision(&record, view))
}

async fn edit(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let expected = expected_revision(&headers)?;
    let record = app.host(&host).await?;
    let name = fields.parsed::<Hostname>("hostname");
    let macs = macs(&mut fields, false);
    let server_type = fields.parsed::<ServerTypeKey>("server_type");
    let has_address = fields.has("address");
    let address = match fields.parsed_as::<IpNet>("address", "an address with its prefix, or null for DHCP's") {
        Some(address) => AddressEdit::Fixed(address),
        None if has_address => AddressEdit::FromDhcp,
        None => AddressEdit::Keep,
    };
    fields.finish()?;
    let edit = HostEdit { name, macs, server_type, address };
    let record = app.orchestrator.edit(record.host.id, edit, expected).await?;
    Ok(with_revision(&record, app.host_view(&record, &[])))
}

async fn remove(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = expected_revision(&headers)?;
    let record = app.host(&host).await?;
    app.orchestrator.remove(record.host.id, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rebuild(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    mut params: Params,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let dry_run = params.truth("dry_run").unwrap_or(false);
    params.finish()?;
    let image = fields.text("image");
    let confirm = fields.text("confirm");
    let accept_new_hardware = fields.truth("accept_new_hardware").unwrap_or(false);
    fields.finish()?;
    let record = app.host(&host).await?;
    let image = match image {
        Some(image) => Some(app.image_id(&image).await?),
        None => None,
    };
    if dry_run {
        let preflight = app.orchestrator.preflight(record.host.id, image).await?;
        return Ok(Json(PreflightView::new(&preflight)).into_response());
    }
    let started = app.orchestrator.start(record.host.id, Rebuild { image, confirm, accept_new_hardware }).await?;
    let power = match started.power {
        PowerAnswer::Cycling => "cycling",
        PowerAnswer::AskAPerson => "ask_a_person",
    };
    let host = app.host_view(&started.record, &[]);
    let body = json!({ "operation": started.operation.to_string(), "power": power, "host": host });
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

async fn cancel(State(app): State<Arc<App>>, Path(host): Path<String>) -> Result<Json<HostView>, Problem> {
    let record = app.host(&host).await?;
    let record = app.orchestrator.cancel(record.host.id).await?;
    Ok(Json(app.host_view(&record, &[])))
}

async fn resume(State(app): State<Arc<App>>, Path(host): Path<String>) -> Result<Json<HostView>, Problem> {
    let record = app.host(&host).await?;
    let record = app.orchestrator.resume(record.host.id).await?;
    Ok(Json(app.host_view(&record, &[])))
}

/// The id is optional, so that a mainboard can be accepted before anybody has seen its own.
async fn accept_hardware(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    mut fields: Fields,
) -> Result<Json<HostView>, Problem> {
    let hardware_id = fields.parsed::<HardwareId>("hardware_id");
    fields.finish()?;
    let record = app.host(&host).await?;
    let record = app.orchestrator.accept_hardware(record.host.id, hardware_id).await?;
    Ok(Json(app.host_view(&record, &[])))
}

async fn journal(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let after = params.number("after", 0..=u64::MAX).unwrap_or(0);
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    params.finish()?;
    let record = app.host(&host).await?;
    let query = JournalQuery { after, ..JournalQuery::of_host(record.host.id, limit) };
    let entries = app.orchestrator.store().journal(&query).await?;
    let next = entries.last().filter(|_| entries.len() == limit).map(|entry| entry.seq);
    Ok(Json(json!({ "entries": entries, "next": next })).into_response())
}

fn with_revision(record: &HostRecord, view: HostView) -> Response {
    let mut response = Json(view).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", record.revision.0)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// `If-Match`: a change is made only on the revision that its author has seen.
fn expected_revision(headers: &HeaderMap) -> Result<Option<Revision>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    match text.trim_matches('"').parse() {
        _ if text == "*" => Ok(None),
        Ok(revision) => Ok(Some(Revision(revision))),
        Err(_) => Err(Problem::new(Kind::MalformedRequest, "If-Match is no revision of a host").at(
            "if-match",
            text,
            "the revision in quotes, such as \"3\"",
        )),
    }
}

impl App {
    /// A host by id or name.
    ///
    /// # Errors
    /// `NoSuchHost`, and what the store says.
    pub async fn host(&self, text: &str) -> Result<HostRecord, Problem> {
        let store = self.orchestrator.store();
        let found = match (text.parse(), text.parse::<Hostname>()) {
            (Ok(id), _) => store.host(id).await?,
            (Err(_), Ok(name)) => store.host_by_name(&name).await?,
            (Err(_), Err(_)) => None,
        };
        let shown = super::problem::shortened(text);
        found.ok_or_else(|| Problem::new(Kind::NoSuchHost, format!("no host has the id or name {shown}")))
    }

    /// A host as the API shows it.
    pub fn host_view(&self, record: &HostRecord, work: &[provisioning_core::ports::Work]) -> HostView {
        let download = record.state.running().and_then(|operation| self.downloads.of(operation));
        HostView::new(record, work, download, self.orchestrator.now())
    }

    /// An image's id, by id or name.
    ///
    /// # Errors
    /// `NoSuchImage`, and what the store says.
    pub async fn image_id(&self, text: &str) -> Result<ImageId, Problem> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let images = self.orchestrator.store().images().await?;
        let found = images.iter().find(|image| image.name == text).map(|image| image.id);
        let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
        let allowed = if names.is_empty() { "no image was imported yet".into() } else { names.join(", ") };
        found.ok_or_else(|| {
            Problem::new(Kind::NoSuchImage, format!("no image has the id or name {}", super::problem::shortened(text)))
                .at("image", text, allowed)
        })
    }
}
