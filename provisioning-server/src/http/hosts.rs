//! Hosts, for operators: list, register, edit, remove, cancel, resume. Starting one is in `rebuild`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use provisioning_core::machine::Phase;
use provisioning_core::model::{HardwareId, Hostname, ImageId, MacAddr, ServerTypeKey};
use provisioning_core::orchestrator::{AddressEdit, HostEdit, JoinQueue, NewHost};
use provisioning_core::ports::{HostFilter, HostRecord, Work};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::audit::Subject;
use super::body::{Fields, Params};
use super::cursor::{Cursor, PAGE, PAGE_MAX, cut, page};
use super::problem::{Kind, Problem};
use super::revision::{Wanted, tagged};
use super::segment::Segment;
use super::view::HostView;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, register))
        .routes(routes!(show, edit, remove))
        .routes(routes!(super::rebuild::rebuild))
        .routes(routes!(cancel))
        .routes(routes!(resume))
        .routes(routes!(accept_hardware))
}

/// A page of hosts. Whoever follows the journal behind `seq` misses nothing.
#[derive(Serialize, ToSchema)]
struct HostPage {
    /// By name.
    hosts: Vec<HostView>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
    /// The journal's last place before the hosts were read.
    seq: u64,
}

/// A host to register. `mac` or `macs`, not both.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct NewHostBody {
    /// Its name, a DNS label.
    #[schema(example = "pve-07", max_length = 63)]
    hostname: String,
    /// The address of the NIC it boots from.
    #[schema(example = "52:54:00:12:34:56")]
    mac: Option<String>,
    /// The addresses of all its NICs, the one it boots from first.
    macs: Option<Vec<String>>,
    /// Its hardware class, a key of server-types.yaml.
    #[schema(example = "lab")]
    server_type: String,
    /// A fixed address with its prefix; without it the host keeps what DHCP gives its installer.
    #[schema(example = "10.0.0.7/24")]
    address: Option<String>,
}

/// What to change; absent fields stay as they are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct HostEditBody {
    /// Another name.
    #[schema(example = "pve-08", max_length = 63)]
    hostname: Option<String>,
    /// Another NIC, the only one.
    mac: Option<String>,
    /// Other NICs.
    macs: Option<Vec<String>>,
    /// Another hardware class.
    server_type: Option<String>,
    /// Another fixed address with its prefix; null for DHCP's.
    address: Option<String>,
}

/// List hosts, by name.
#[utoipa::path(
    get, path = "/api/hosts", tag = "hosts", operation_id = "list_hosts",
    params(
        ("phase" = Option<super::schema::PhaseName>, Query, description = "Only hosts in this phase"),
        ("server_type" = Option<String>, Query, description = "Only hosts of this type"),
        ("text" = Option<String>, Query, description = "Only hosts whose name or MAC address holds this text"),
        ("limit" = Option<u64>, Query, description = "Hosts on a page, 100 when absent", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, as it is"),
    ),
    responses((status = 200, description = "A page of hosts", body = HostPage,
        headers(("Link" = Option<String>, description = "The next page, `rel=\"next\"`")))),
    security(("operator" = [])),
)]
async fn list(State(app): State<Arc<App>>, uri: Uri, mut params: Params) -> Result<Response, Problem> {
    let phase = params.word("phase", &Phase::ALL.map(|phase| (phase.as_str(), phase)));
    let server_type = params.parsed::<ServerTypeKey>("server_type");
    let text = params.text("text").map(|text| text.to_ascii_lowercase());
    let after = params.parsed::<Cursor<Hostname>>("cursor").map(|Cursor(name)| name);
    let limit = params.number("limit", 1..=PAGE_MAX).unwrap_or(PAGE);
    params.finish()?;

    let store = app.orchestrator.store();
    // Read before the hosts: what happens in between is then told twice rather than never.
    let seq = store.last_seq().await?;
    let filter = HostFilter { phase, server_type, text, after, limit: Some(limit + 1) };
    let mut records = store.hosts(&filter).await?;
    let next = cut(&mut records, limit, |record| record.host.name.clone());
    let viewer = Viewer::of(&app, &records).await?;
    let hosts = records.iter().map(|record| viewer.view(record)).collect();
    Ok(page(&uri, next.clone().as_deref(), &HostPage { hosts, next, seq }))
}

/// Shows hosts with what is owed for them and whom they wait behind.
struct Viewer<'a> {
    app: &'a App,
    work: Vec<Work>,
    queue: JoinQueue,
}

impl<'a> Viewer<'a> {
    /// For `records`; reads no more than concerns one of them.
    async fn of(app: &'a App, records: &[HostRecord]) -> Result<Self, Problem> {
        let is_any_running = records.iter().any(|record| record.state.running().is_some());
        let work = if is_any_running { app.orchestrator.store().work().await? } else { vec![] };
        Ok(Self { app, work, queue: app.orchestrator.join_queue_of(records).await? })
    }

    fn view(&self, record: &HostRecord) -> HostView {
        self.app.host_view(record, &self.work).in_lane(self.queue.place_of(record.host.id))
    }
}

/// Register a host.
#[utoipa::path(
    post, path = "/api/hosts", tag = "hosts", operation_id = "register_host",
    request_body = NewHostBody,
    responses((status = 201, description = "Registered", body = HostView,
        headers(("Location" = String, description = "The host's path"), ("ETag" = String, description = "Its revision")))),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-server-type", "name-taken", "mac-taken"]))),
)]
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
    let mut response = (StatusCode::CREATED, tagged(&record, app.host_view(&record, &[]))).into_response();
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

/// Read a host.
#[utoipa::path(
    get, path = "/api/hosts/{id}", tag = "hosts", operation_id = "show_host",
    params(("id" = String, Path, description = "The host's id or name")),
    responses((status = 200, description = "The host", body = HostView,
        headers(("ETag" = String, description = "Its revision, for If-Match")))),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host"]))),
)]
async fn show(State(app): State<Arc<App>>, Segment(host): Segment) -> Result<Response, Problem> {
    let record = app.host(&host).await?;
    let view = Viewer::of(&app, std::slice::from_ref(&record)).await?.view(&record);
    Ok(tagged(&record, view))
}

/// Change a host on which no operation runs.
///
/// With `If-Match` only at that revision; without it the last change wins.
#[utoipa::path(
    patch, path = "/api/hosts/{id}", tag = "hosts", operation_id = "edit_host",
    params(
        ("id" = String, Path, description = "The host's id or name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the change was decided on"),
    ),
    request_body = Option<HostEditBody>,
    responses((status = 200, description = "The host since", body = HostView,
        headers(("ETag" = String, description = "Its new revision")))),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "no-such-server-type", "name-taken", "mac-taken", "host-busy",
        "stale", "precondition-failed"]))),
)]
async fn edit(
    State(app): State<Arc<App>>,
    Segment(host): Segment,
    headers: HeaderMap,
    mut fields: Fields,
) -> Result<Response, Problem> {
    let wanted = Wanted::of(&headers)?;
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
    let record = app.host(&host).await?;
    let expected = wanted.check(&record)?;
    let edit = HostEdit { name, macs, server_type, address };
    let edited = app.orchestrator.edit(record.host.id, edit, expected).await;
    let record = edited.map_err(|error| wanted.explain(error))?;
    Ok(tagged(&record, app.host_view(&record, &[])))
}

/// Forget a host on which no operation runs. The machine itself is left as it is; its journal stays.
#[utoipa::path(
    delete, path = "/api/hosts/{id}", tag = "hosts", operation_id = "remove_host",
    params(
        ("id" = String, Path, description = "The host's id or name"),
        ("if-match" = Option<String>, Header, description = "The ETag that the removal was decided on"),
    ),
    responses((status = 204, description = "Forgotten")),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "host-busy", "not-possible-now", "stale",
        "precondition-failed"]))),
)]
async fn remove(
    State(app): State<Arc<App>>,
    Segment(host): Segment,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let wanted = Wanted::of(&headers)?;
    let record = app.host(&host).await?;
    let expected = wanted.check(&record)?;
    let removed = app.orchestrator.remove(record.host.id, expected).await;
    removed.map_err(|error| wanted.explain(error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// End the operation that runs on a host.
#[utoipa::path(
    post, path = "/api/hosts/{id}/cancel", tag = "hosts", operation_id = "cancel_host",
    params(("id" = String, Path, description = "The host's id or name")),
    responses((status = 200, description = "The host since", body = HostView)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "not-possible-now"]))),
)]
async fn cancel(State(app): State<Arc<App>>, Segment(host): Segment) -> Result<Json<HostView>, Problem> {
    let record = app.host(&host).await?;
    let record = app.orchestrator.cancel(record.host.id).await?;
    Ok(Json(app.host_view(&record, &[])))
}

/// Take a failed join up again, without reinstalling.
#[utoipa::path(
    post, path = "/api/hosts/{id}/resume", tag = "hosts", operation_id = "resume_host",
    params(("id" = String, Path, description = "The host's id or name")),
    responses((status = 200, description = "The host since", body = HostView)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "not-possible-now"]))),
)]
async fn resume(State(app): State<Arc<App>>, Segment(host): Segment) -> Result<Json<HostView>, Problem> {
    let record = app.host(&host).await?;
    let record = app.orchestrator.resume(record.host.id).await?;
    Ok(Json(app.host_view(&record, &[])))
}

/// The DMI id of the machine that a host is from now on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct HardwareBody {
    /// What the machine calls itself: a UUID or serial number. Absent, the next installation decides.
    hardware_id: Option<String>,
}

/// Accept that a host is another machine than at its last installation.
///
/// The id is optional, so that a mainboard can be accepted before anybody has seen its own.
#[utoipa::path(
    post, path = "/api/hosts/{id}/accept-hardware", tag = "hosts", operation_id = "accept_hardware",
    params(("id" = String, Path, description = "The host's id or name")),
    request_body = Option<HardwareBody>,
    responses((status = 200, description = "The host since", body = HostView)),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["no-such-host", "not-possible-now"]))),
)]
async fn accept_hardware(
    State(app): State<Arc<App>>,
    Segment(host): Segment,
    mut fields: Fields,
) -> Result<Json<HostView>, Problem> {
    let hardware_id = fields.parsed::<HardwareId>("hardware_id");
    fields.finish()?;
    let record = app.host(&host).await?;
    let record = app.orchestrator.accept_hardware(record.host.id, hardware_id).await?;
    Ok(Json(app.host_view(&record, &[])))
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
    pub fn host_view(&self, record: &HostRecord, work: &[Work]) -> HostView {
        let running = record.state.running();
        let download = running.and_then(|operation| self.downloads.of(operation));
        let place = running.and_then(|operation| self.downloads.place(operation));
        HostView::new(record, work, download, self.orchestrator.now()).in_download_line(place)
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
