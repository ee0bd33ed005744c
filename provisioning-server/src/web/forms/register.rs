//! Register: a host by its name, NICs, type and address; filled in when a discovered machine is adopted.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use provisioning_core::model::MacAddr;
use provisioning_core::orchestrator::{AddressEdit, NewHost, OperatorError};
use provisioning_core::ports::HostRecord;
use serde::Deserialize;

use super::super::Web;
use super::super::fleet::TypeChoice;
use super::super::page::{Frame, PageError};
use super::edit::Values;
use super::{Posted, Trouble, on_to, shown};
use crate::http::problem::{Kind, Problem};

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterForm {
    frame: Frame,
    values: Values,
    /// The discovered machine that it is made of; empty for any other.
    adopts: String,
    types: Vec<TypeChoice>,
    trouble: Trouble,
}

/// What is known of a machine that is to be adopted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Known {
    #[serde(default)]
    mac: String,
    #[serde(default)]
    hostname: String,
}

/// `GET /register?mac=…&hostname=…`.
pub(super) async fn ask(State(web): State<Web>, Query(known): Query<Known>) -> Result<Response, PageError> {
    let Known { mac, hostname } = known;
    let values = Values { hostname, mac: mac.clone(), ..Values::default() };
    form(&web, values, mac, Trouble::default()).await
}

/// `POST /register`.
pub(super) async fn save(State(web): State<Web>, posted: Posted) -> Result<Response, PageError> {
    let values = Values::posted(&posted);
    let adopts = posted.text("adopts").to_owned();
    match registered(&web, &values, &adopts).await {
        Ok(record) => Ok(on_to(&format!("/hosts/{}?done=registered", record.host.name))),
        Err(problem) => form(&web, values, adopts, problem.into()).await,
    }
}

async fn registered(web: &Web, values: &Values, adopts: &str) -> Result<HostRecord, Problem> {
    let said = values.parse()?;
    let (Some(name), Some(macs), Some(server_type)) = (said.name, said.macs, said.server_type) else {
        return Err(Problem::new(Kind::Internal, "a missing field was not reported"));
    };
    let address = match said.address {
        AddressEdit::Fixed(address) => Some(address),
        AddressEdit::FromDhcp | AddressEdit::Keep => None,
    };
    let new = NewHost { name, macs, server_type, address };
    let adopted = adopts.parse::<MacAddr>().ok().filter(|mac| new.macs.contains(mac));
    let Some(mac) = adopted else { return Ok(web.orchestrator.register(new).await?) };
    match web.orchestrator.adopt(mac, new.clone()).await {
        // Forgotten meanwhile: its address is known all the same.
        Err(OperatorError::NotDiscovered(_)) => Ok(web.orchestrator.register(new).await?),
        done => Ok(done?),
    }
}

async fn form(web: &Web, values: Values, adopts: String, trouble: Trouble) -> Result<Response, PageError> {
    let frame = Frame::of(web).await?;
    let types = TypeChoice::all(web, Some(&values.server_type));
    let form = RegisterForm { frame, values, adopts, types, trouble };
    Ok(shown(&form, &form.trouble))
}
