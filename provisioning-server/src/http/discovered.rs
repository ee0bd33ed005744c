//! Listing on their way, for operators: those that belong to no host, and the PXE doctor for all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use provisioning_core::model::{Hostname, MacAddr, ServerTypeKey};
use provisioning_core::orchestrator::NewHost;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::body::{Fields, Params};
use super::netboot_view::{DiagnosisSchema, DiagnosisView, MachineView};
use super::problem::{Kind, Problem, shortened};
use super::segment::Segment;
use super::view::HostView;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(dismiss)).routes(routes!(adopt)).routes(routes!(diagnose))
}

/// The discovered machines. Whoever follows `/events` behind `seq` misses nothing.
#[derive(Serialize, ToSchema)]
#[schema(as = Machines)]
struct Listing {
    /// The latest seen first.
    machines: Vec<MachineView>,
    /// How many are not shown, since they were dismissed.
    hidden: usize,
    /// The journal's last place before they were read.
    seq: u64,
}

/// What an adopted machine is registered as.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body; its fields are read one by one, so that all faults are reported")]
struct AdoptBody {
    /// Its name, a DNS label.
    #[schema(example = "pve-07", max_length = 63)]
    hostname: String,
    /// Its hardware class, a key of server-types.yaml.
    #[schema(example = "lab")]
    server_type: String,
    /// A fixed address with its prefix; without it the host keeps what DHCP gives its installer.
    #[schema(example = "10.0.0.7/24")]
    address: Option<String>,
}

/// List machines that were seen on the network and belong to no host.
#[utoipa::path(
    get, path = "/api/discovered", tag = "discovered", operation_id = "list_discovered",
    params(("dismissed" = Option<bool>, Query, description = "Also those that were dismissed")),
    responses((status = 200, description = "The machines", body = Listing)),
    security(("operator" = [])),
)]
async fn list(State(app): State<Arc<App>>, mut params: Params) -> Result<Json<Listing>, Problem> {
    let with_dismissed = params.truth("dismissed").unwrap_or(false);
    params.finish()?;
    let seq = app.orchestrator.store().last_seq().await?;
    let mut machines = app.orchestrator.discovered().await?;
    let all = machines.len();
    let now = app.orchestrator.now();
    machines.retain(|machine| with_dismissed || !machine.is_dismissed(now));
    let hidden = all - machines.len();
    Ok(Json(Listing { machines: machines.iter().map(MachineView::new).collect(), hidden, seq }))
}

/// Register a discovered machine as a host.
#[utoipa::path(
    post, path = "/api/discovered/{mac}/adopt", tag = "discovered", operation_id = "adopt_discovered",
    params(("mac" = String, Path, description = "The address of a NIC, in any spelling")),
    request_body = AdoptBody,
    responses((status = 201, description = "Registered", body = HostView,
        headers(("Location" = String, description = "The host's path")))),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["not-discovered", "no-such-server-type", "name-taken", "mac-taken"]))),
)]
async fn adopt(State(app): State<Arc<App>>, Segment(mac): Segment, mut fields: Fields) -> Result<Response, Problem> {
    let mac = parsed(&mac)?;
    let name = fields.required::<Hostname>("hostname", "a DNS label such as pve-07");
    let server_type = fields.required::<ServerTypeKey>("server_type", "a key of server-types.yaml");
    let address = fields.parsed_as::<IpNet>("address", "an address with its prefix such as 10.0.0.7/24");
    fields.finish()?;
    let (Some(name), Some(server_type)) = (name, server_type) else {
        return Err(Problem::new(Kind::Internal, "a missing field was not reported"));
    };
    let new = NewHost { name, macs: vec![mac], server_type, address };
    let record = app.orchestrator.adopt(mac, new).await?;
    let location = format!("/api/hosts/{}", record.host.id);
    let mut response = (StatusCode::CREATED, Json(app.host_view(&record, &[]))).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Hide a discovered machine for a while.
#[utoipa::path(
    delete, path = "/api/discovered/{mac}", tag = "discovered", operation_id = "dismiss_discovered",
    params(("mac" = String, Path, description = "The address of a NIC, in any spelling")),
    responses((status = 204, description = "Hidden")),
    security(("operator" = [])),
    extensions(("x-problems" = json!(["not-discovered"]))),
)]
async fn dismiss(State(app): State<Arc<App>>, Segment(mac): Segment) -> Result<StatusCode, Problem> {
    app.orchestrator.dismiss(parsed(&mac)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say how far a machine's netboot came, what is missing, why that is likely, and what to do.
#[utoipa::path(
    get, path = "/api/doctor/{mac}", tag = "discovered", operation_id = "diagnose",
    params(("mac" = String, Path, description = "The address of a NIC, in any spelling")),
    responses((status = 200, description = "The diagnosis, also of a machine that was never seen", body = DiagnosisSchema)),
    security(("operator" = [])),
)]
async fn diagnose(State(app): State<Arc<App>>, Segment(mac): Segment) -> Result<Json<DiagnosisView>, Problem> {
    let mac = parsed(&mac)?;
    let host = app.orchestrator.store().host_by_mac(mac).await?;
    let diagnosis = crate::web::diagnose(&app.orchestrator, &app.downloads, mac).await?;
    Ok(Json(DiagnosisView::new(diagnosis, host.as_ref())))
}

fn parsed(text: &str) -> Result<MacAddr, Problem> {
    text.parse().map_err(|error: provisioning_core::model::ParseMacError| {
        Problem::new(Kind::MalformedRequest, format!("{:?}: {error}", shortened(text)))
            .at("mac", text, error.to_string())
            .advise("name a NIC by its address, such as 52:54:00:12:34:56")
    })
}
