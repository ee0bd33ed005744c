//! Rebuild: what it would do, the image to choose, and the host's name where its data would be lost.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use provisioning_core::model::{Hostname, ImageId};
use provisioning_core::orchestrator::{Preflight, Rebuild};
use provisioning_core::ports::{HostRecord, PowerAnswer};
use serde::Deserialize;

use super::super::Web;
use super::super::actions::actions;
use super::super::images::ImageChoice;
use super::super::page::{Frame, PageError, find_host};
use super::super::words::size;
use super::{Posted, Trouble, on_to, shown};
use crate::http::problem::Problem;

#[derive(Template)]
#[template(path = "rebuild.html")]
struct RebuildForm {
    frame: Frame,
    name: Hostname,
    images: Vec<ImageChoice>,
    chosen: String,
    preflight: Option<PreflightView>,
    confirm: String,
    trouble: Trouble,
}

/// A rebuild looked at beforehand, in words.
struct PreflightView {
    wipes: String,
    installs: String,
    named: String,
    kind: String,
    nic: String,
    address: String,
    joins: String,
    answer: Option<String>,
    boot_script: Option<String>,
    faults: Vec<String>,
    warnings: Vec<String>,
    needs_confirmation: bool,
}

/// The image that was chosen on the form.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    image: String,
}

/// `GET /hosts/{host}/rebuild`.
pub(super) async fn ask(
    State(web): State<Web>,
    Path(asked): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    form(&web, record, wanted.image, String::new(), Trouble::default()).await
}

/// `POST /hosts/{host}/rebuild`.
pub(super) async fn start(
    State(web): State<Web>,
    Path(asked): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    let confirm = posted.text("confirm").to_owned();
    let rebuild = Rebuild {
        accept_new_hardware: false,
        image: posted.text("image").parse::<ImageId>().ok(),
        confirm: (!confirm.is_empty()).then(|| confirm.clone()),
        asked: None,
    };
    match web.orchestrator.start(record.host.id, rebuild).await {
        Ok(started) => {
            let done = match started.power {
                PowerAnswer::Cycling => "cycling",
                PowerAnswer::AskAPerson => "armed",
            };
            Ok(on_to(&format!("/hosts/{}?done={done}", record.host.name)))
        }
        Err(error) => form(&web, record, posted.text("image").to_owned(), confirm, Problem::from(error).into()).await,
    }
}

async fn form(
    web: &Web,
    record: HostRecord,
    chosen: String,
    confirm: String,
    mut trouble: Trouble,
) -> Result<Response, PageError> {
    let frame = Frame::of(web).await?;
    let images = ImageChoice::all(web).await?;
    let image = chosen.parse::<ImageId>().ok();
    let [rebuild, ..] = actions(&record.state, frame.now, true);
    let preflight = match (rebuild.refused, web.orchestrator.preflight(record.host.id, image).await) {
        (None, Ok(preflight)) => Some(preflight),
        (Some(why), _) => {
            trouble.general.get_or_insert_with(|| why.to_owned());
            None
        }
        (None, Err(error)) => {
            if trouble.general.is_none() {
                trouble = Problem::from(error).into();
            }
            None
        }
    };
    let chosen = preflight.as_ref().map_or(chosen, |preflight| preflight.image.id.to_string());
    let name = record.host.name.clone();
    let preflight = preflight.map(|preflight| PreflightView::of(preflight, &record));
    let form = RebuildForm { frame, name, images, chosen, preflight, confirm, trouble };
    Ok(shown(&form, &form.trouble))
}

impl PreflightView {
    fn of(preflight: Preflight, record: &HostRecord) -> Self {
        let Preflight { fqdn, image, server_type, wipes, joins, answer, boot_script, faults, warnings, .. } = preflight;
        let host = &record.host;
        let management = server_type.management_nic.as_ref();
        Self {
            wipes,
            installs: format!("{} (Proxmox VE {}, {})", image.name, image.release, size(image.size_bytes)),
            named: fqdn.map_or_else(|| "no name that could be installed".to_owned(), |fqdn| fqdn.to_string()),
            kind: format!("{} ({})", server_type.display_name, server_type.key),
            nic: management.map_or_else(
                || format!("the one with {}", host.macs.first().map(ToString::to_string).unwrap_or_default()),
                ToString::to_string,
            ),
            address: host.address.map_or_else(|| "from DHCP, kept as a fixed one".to_owned(), |it| it.to_string()),
            joins: joins.map_or_else(|| "no cluster: it stands alone".to_owned(), |member| format!("by {member}")),
            answer,
            boot_script,
            faults,
            warnings,
            needs_confirmation: preflight.needs_confirmation,
        }
    }
}
