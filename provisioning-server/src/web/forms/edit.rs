//! Edit: a host's name, NICs, type and address, saved only over what its author has seen.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use ipnet::IpNet;
use provisioning_core::model::{Hostname, MacAddr, ServerTypeKey};
use provisioning_core::orchestrator::{AddressEdit, HostEdit, OperatorError};
use provisioning_core::ports::{HostRecord, Revision};
use serde_json::Value;

use super::super::Web;
use super::super::fleet::TypeChoice;
use super::super::page::{Frame, PageError, find_host};
use super::{Posted, Trouble, on_to, shown};
use crate::http::body::Fields;
use crate::http::problem::Problem;

#[derive(Template)]
#[template(path = "edit.html")]
struct EditForm {
    frame: Frame,
    /// The host's name as it is, which its page is found by.
    name: Hostname,
    values: Values,
    types: Vec<TypeChoice>,
    /// What somebody else has saved meanwhile.
    theirs: Option<Values>,
    trouble: Trouble,
}

/// What stands in the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) hostname: String,
    pub(super) mac: String,
    pub(super) server_type: String,
    pub(super) address: String,
    pub(super) revision: u64,
}

impl Values {
    fn of(record: &HostRecord) -> Self {
        let HostRecord { host, revision, .. } = record;
        Self {
            hostname: host.name.to_string(),
            mac: host.macs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            server_type: host.server_type.to_string(),
            address: host.address.map(|address| address.to_string()).unwrap_or_default(),
            revision: revision.0,
        }
    }

    pub(super) fn posted(posted: &Posted) -> Self {
        let text = |field| posted.text(field).to_owned();
        Self {
            hostname: text("hostname"),
            mac: text("mac"),
            server_type: text("server_type"),
            address: text("address"),
            revision: posted.text("revision").parse().unwrap_or(0),
        }
    }

    /// What is to be saved, or every field at fault.
    pub(super) fn parse(&self) -> Result<HostEdit, Problem> {
        let texts = [("hostname", &self.hostname), ("server_type", &self.server_type), ("address", &self.address)];
        let filled = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut map: serde_json::Map<String, Value> =
            filled.map(|(name, text)| (name.to_owned(), Value::String(text.clone()))).collect();
        let macs = self.mac.split([' ', ',', ';']).filter(|mac| !mac.is_empty());
        map.insert("macs".to_owned(), macs.collect());
        let mut fields = Fields::of(map);
        let name = fields.required::<Hostname>("hostname", "a DNS label such as pve-07");
        let macs = fields.list::<MacAddr>("macs");
        let server_type = fields.required::<ServerTypeKey>("server_type", "a key of server-types.yaml");
        let address = fields.parsed_as::<IpNet>("address", "an address with its prefix such as 10.0.0.7/24");
        fields.finish()?;
        let address = address.map_or(AddressEdit::FromDhcp, AddressEdit::Fixed);
        Ok(HostEdit { name, macs, server_type, address })
    }
}

/// `GET /hosts/{host}/edit`.
pub(super) async fn ask(State(web): State<Web>, Path(asked): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    let values = Values::of(&record);
    form(&web, &record, values, None, Trouble::default()).await
}

/// `POST /hosts/{host}/edit`.
pub(super) async fn save(
    State(web): State<Web>,
    Path(asked): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    let values = Values::posted(&posted);
    let edit = match values.parse() {
        Ok(edit) => edit,
        Err(problem) => return form(&web, &record, values, None, problem.into()).await,
    };
    match web.orchestrator.edit(record.host.id, edit, Some(Revision(values.revision))).await {
        Ok(record) => Ok(on_to(&format!("/hosts/{}?done=saved", record.host.name))),
        Err(error @ OperatorError::Changed { .. }) => {
            let record = find_host(&web, &asked).await?;
            let theirs = Values::of(&record);
            // Whoever saves again has seen what is there now.
            let values = Values { revision: theirs.revision, ..values };
            form(&web, &record, values, Some(theirs), Problem::from(error).into()).await
        }
        Err(error) => form(&web, &record, values, None, Problem::from(error).into()).await,
    }
}

async fn form(
    web: &Web,
    record: &HostRecord,
    values: Values,
    theirs: Option<Values>,
    trouble: Trouble,
) -> Result<Response, PageError> {
    let frame = Frame::of(web).await?;
    let types = TypeChoice::all(web, Some(&values.server_type));
    let form = EditForm { frame, name: record.host.name.clone(), values, types, theirs, trouble };
    Ok(shown(&form, &form.trouble))
}
