//! A host's own page: what it waits for, how it came there, what it was given and what it said.

mod artefacts;
mod bundle;
mod doctor;
mod operations;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use provisioning_core::model::{Artefact, Fqdn, Operation, OperationId, Timestamp};
use provisioning_core::ports::{HostRecord, JournalQuery};
use serde::Deserialize;

use self::artefacts::{ArtefactView, Change};
use self::doctor::DoctorView;
use self::operations::OperationView;
use super::Web;
use super::history::{Line, Stage, lines, stages};
use super::host_view::{HostView, Viewer};
use super::moment::Moment;
use super::page::{Frame, PageError, find_host, html};
use super::typical::usual_times;
use super::words::what_happens_at_deadline;

pub(super) use artefacts::download;
pub(super) use bundle::download as download_all;

/// So many lines of an operation's journal are shown; an operation writes some twenty.
const LINES_MAX: usize = 500;

/// So many operations are listed.
const OPERATIONS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "host.html")]
struct HostPage {
    frame: Frame,
    notice: Option<&'static str>,
    body: HostBody,
}

#[derive(Template)]
#[template(path = "host_sections.html")]
struct HostBody {
    host: HostView,
    at_deadline: String,
    facts: Vec<(&'static str, String)>,
    dates: Vec<(&'static str, Moment)>,
    /// The operation that is shown, which may be an earlier one; `None` when there was none.
    shown: Option<String>,
    is_latest: bool,
    stages: Vec<Stage>,
    lines: Vec<Line>,
    is_cut: bool,
    artefacts: Vec<ArtefactView>,
    /// When the run before the one that is shown was started.
    previous: Option<Moment>,
    operations: Vec<OperationView>,
    /// What the PXE doctor says, when a netboot is what matters.
    doctor: Option<DoctorView>,
}

/// Which operation is to be shown; the latest when absent or no longer known.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    operation: String,
    /// What was done on the way here, by a form.
    #[serde(default)]
    done: String,
}

/// `GET /hosts/{host}`.
pub(super) async fn page(
    State(web): State<Web>,
    Path(asked): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let record = find_host(&web, &asked).await?;
    let body = body(&web, record, &wanted, frame.now).await?;
    Ok(html(&HostPage { frame, notice: notice(&wanted.done), body }))
}

/// `GET /fragments/hosts/{host}/page`: the page's sections without the frame around them.
pub(super) async fn fragment(
    State(web): State<Web>,
    Path(asked): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    Ok(html(&body(&web, record, &wanted, web.orchestrator.now()).await?))
}

/// What a form that sent the browser here has done.
fn notice(done: &str) -> Option<&'static str> {
    match done {
        "armed" => Some("It is armed. Start the machine from the network now: nobody else does."),
        "cycling" => Some("It is armed, and the machine is being restarted into its network boot."),
        "cancelled" => Some("The operation was cancelled."),
        "resumed" => Some("The join was taken up again."),
        "saved" => Some("Saved."),
        "registered" => Some("It was registered. A rebuild installs it."),
        _ => None,
    }
}

async fn body(web: &Web, record: HostRecord, wanted: &Wanted, now: Timestamp) -> Result<HostBody, PageError> {
    let store = web.orchestrator.store();
    let mut operations = store.operations_of(record.host.id).await?;
    operations.truncate(OPERATIONS_MAX);
    let asked = wanted.operation.parse::<OperationId>().ok();
    let at = operations.iter().position(|operation| Some(operation.id) == asked).unwrap_or(0);
    let (shown, previous) = (operations.get(at), operations.get(at + 1));
    let query = match shown {
        Some(operation) => JournalQuery::of_operation(operation.id, LINES_MAX),
        None => JournalQuery::of_host(record.host.id, LINES_MAX),
    };
    let entries = store.journal(&query).await?;
    let artefacts = left_by(web, shown).await?;
    let before = left_by(web, previous).await?;
    let kind = shown.map_or(&record.host.server_type, |operation| &operation.server_type.key);
    let usual = usual_times(web, kind).await?;
    let images = store.images().await?;
    let history = OperationView::all(web, &operations, at, now, &images).await?;
    let records = [record];
    let viewer = Viewer::new(web, now, !images.is_empty(), &records).await?;
    let [record] = &records;
    let view = |artefact: Artefact| {
        let old = before.iter().find(|old| old.kind == artefact.kind);
        ArtefactView::of(artefact, shown.map(|operation| operation.id), &record.host.name, old, previous.is_some())
    };
    Ok(HostBody {
        host: viewer.view(record),
        at_deadline: what_happens_at_deadline(&record.state, web.orchestrator.policy()),
        facts: facts(web, record),
        dates: dates(record),
        shown: shown.map(|operation| operation.id.to_string()),
        is_latest: at == 0,
        stages: stages(&entries, now, &usual),
        is_cut: entries.len() == LINES_MAX,
        lines: lines(&entries),
        artefacts: artefacts.into_iter().map(view).collect(),
        previous: previous.map(|operation| Moment(operation.started_at)),
        operations: history,
        doctor: DoctorView::of(web, record).await?,
    })
}

async fn left_by(web: &Web, operation: Option<&Operation>) -> Result<Vec<Artefact>, PageError> {
    match operation {
        Some(operation) => Ok(web.orchestrator.store().artefacts(operation.id).await?),
        None => Ok(vec![]),
    }
}

fn facts(web: &Web, record: &HostRecord) -> Vec<(&'static str, String)> {
    let HostRecord { host, .. } = record;
    let types = web.orchestrator.server_types();
    let fqdn = Fqdn::new(&host.name, &web.orchestrator.site().domain).ok();
    let macs = host.macs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (kind, disks) = match types.get(&host.server_type) {
        Some(known) => (format!("{} ({})", known.display_name, known.key), known.disk.wipes()),
        None => (format!("{}, which is no longer configured", host.server_type), "not known".to_owned()),
    };
    let address =
        host.address.map_or_else(|| "from DHCP, kept as a fixed one".to_owned(), |address| address.to_string());
    let cluster = web.orchestrator.site().cluster.as_ref();
    let joins = cluster.map_or_else(|| "no cluster: it stands alone".to_owned(), |cluster| cluster.member.to_string());
    let mut facts = vec![
        ("Full name", fqdn.map_or_else(|| host.name.to_string(), |fqdn| fqdn.to_string())),
        ("MAC addresses", macs),
        ("Server type", kind),
        ("A rebuild wipes", disks),
        ("Address", address),
        ("Joins by", joins),
    ];
    facts.extend(host.hardware_id.as_ref().map(|id| ("Hardware id", id.to_string())));
    facts.push(("Host id", host.id.to_string()));
    facts
}

fn dates(record: &HostRecord) -> Vec<(&'static str, Moment)> {
    let mut dates = vec![("Registered", Moment(record.host.registered_at))];
    dates.extend(record.host.last_ready_at.map(|at| ("Last ready", Moment(at))));
    dates
}
