//! Listing on their way, for operators: those that belong to no host, and the PXE doctor for all.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use ipnet::IpNet;
use provisioning_core::model::{Hostname, MacAddr, ServerTypeKey};
use provisioning_core::orchestrator::NewHost;
use serde::Serialize;

use super::App;
use super::body::{Fields, Params};
use super::netboot_view::{DiagnosisView, MachineView};
use super::problem::{Kind, Problem, shortened};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/discovered", get(list))
        .route("/api/discovered/{mac}", delete(dismiss))
        .route("/api/discovered/{mac}/adopt", post(adopt))
        .route("/api/doctor/{mac}", get(diagnose))
}

/// The discovered machines. Whoever follows `/events` behind `seq` misses nothing.
#[derive(Serialize)]
struct Listing {
    machines: Vec<MachineView>,
    /// How many are not shown, since they were dismissed.
    hidden: usize,
    seq: u64,
}

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

async fn adopt(State(app): State<Arc<App>>, Path(mac): Path<String>, mut fields: Fields) -> Result<Response, Problem> {
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

async fn dismiss(State(app): State<Arc<App>>, Path(mac): Path<String>) -> Result<StatusCode, Problem> {
    app.orchestrator.dismiss(parsed(&mac)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn diagnose(State(app): State<Arc<App>>, Path(mac): Path<String>) -> Result<Json<DiagnosisView>, Problem> {
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
