//! A host's own page: what it waits for, how it came there, what it was given and what it said.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use provisioning_core::machine::Phase;
use provisioning_core::model::{Artefact, ArtefactKind, Fqdn, Operation, OperationId, Timestamp};
use provisioning_core::ports::{HostRecord, JournalQuery};
use serde::Deserialize;

use super::Web;
use super::fleet::TypeChoice;
use super::history::{Line, Outcome, Stage, lines, outcome, stages};
use super::host_view::{HostView, Viewer};
use super::images::ImageChoice;
use super::moment::Moment;
use super::page::{Frame, PageError, find_host, html};
use super::words::{phase_title, span, what_happens_at_deadline};

/// So many lines of an operation's journal are shown; an operation writes some twenty.
const LINES_MAX: usize = 500;

/// So many operations are listed.
const OPERATIONS_MAX: usize = 20;

#[derive(Template)]
#[template(path = "host.html")]
struct HostPage {
    frame: Frame,
    images: Vec<ImageChoice>,
    server_types: Vec<TypeChoice>,
    address: String,
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
    operations: Vec<OperationView>,
}

/// A text that an operation left.
struct ArtefactView {
    key: &'static str,
    title: &'static str,
    at: Moment,
    text: String,
}

/// An operation in the history.
struct OperationView {
    id: String,
    started_at: Moment,
    outcome: &'static str,
    phase: Phase,
    took: String,
    is_shown: bool,
}

/// Which operation is to be shown; the latest when absent or no longer known.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    operation: String,
}

/// `GET /hosts/{host}`.
pub(super) async fn page(
    State(web): State<Web>,
    Path(asked): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let record = find_host(&web, &asked).await?;
    let images = ImageChoice::all(&web).await?;
    let server_types = TypeChoice::all(&web, Some(record.host.server_type.as_str()));
    let address = record.host.address.map(|address| address.to_string()).unwrap_or_default();
    let body = body(&web, record, &wanted, frame.now, !images.is_empty()).await?;
    Ok(html(&HostPage { frame, images, server_types, address, body }))
}

/// `GET /fragments/hosts/{host}/page`: the page's sections without the frame around them.
pub(super) async fn fragment(
    State(web): State<Web>,
    Path(asked): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let record = find_host(&web, &asked).await?;
    let has_image = !web.orchestrator.store().images().await?.is_empty();
    Ok(html(&body(&web, record, &wanted, web.orchestrator.now(), has_image).await?))
}

async fn body(
    web: &Web,
    record: HostRecord,
    wanted: &Wanted,
    now: Timestamp,
    has_image: bool,
) -> Result<HostBody, PageError> {
    let store = web.orchestrator.store();
    let mut operations = store.operations_of(record.host.id).await?;
    operations.truncate(OPERATIONS_MAX);
    let asked = wanted.operation.parse::<OperationId>().ok();
    let shown = operations.iter().find(|operation| Some(operation.id) == asked).or(operations.first());
    let query = match shown {
        Some(operation) => JournalQuery::of_operation(operation.id, LINES_MAX),
        None => JournalQuery::of_host(record.host.id, LINES_MAX),
    };
    let entries = store.journal(&query).await?;
    let artefacts = match shown {
        Some(operation) => store.artefacts(operation.id).await?,
        None => vec![],
    };
    let mut history = vec![];
    for operation in &operations {
        let entries = store.journal(&JournalQuery::of_operation(operation.id, LINES_MAX)).await?;
        history.push(OperationView::of(operation, outcome(&entries), now, shown));
    }
    let records = [record];
    let viewer = Viewer::new(web, now, has_image, &records).await?;
    let [record] = &records;
    Ok(HostBody {
        host: viewer.view(record),
        at_deadline: what_happens_at_deadline(&record.state, web.orchestrator.policy()),
        facts: facts(web, record),
        dates: dates(record),
        shown: shown.map(|operation| operation.id.to_string()),
        is_latest: shown.map(|operation| operation.id) == operations.first().map(|operation| operation.id),
        stages: stages(&entries, now),
        is_cut: entries.len() == LINES_MAX,
        lines: lines(&entries),
        artefacts: artefacts.into_iter().map(ArtefactView::of).collect(),
        operations: history,
    })
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

impl ArtefactView {
    fn of(artefact: Artefact) -> Self {
        let title = match artefact.kind {
            ArtefactKind::BootScript => "Boot script (iPXE)",
            ArtefactKind::SystemInfo => "What the installer said of the machine",
            ArtefactKind::Answer => "Answer file",
            ArtefactKind::FirstBootScript => "First-boot script",
            ArtefactKind::InstallReport => "The installer's report (webhook)",
            ArtefactKind::JoinTranscript => "Join transcript (SSH)",
        };
        Self { key: artefact.kind.as_str(), title, at: Moment(artefact.at), text: readable(artefact.text) }
    }
}

/// JSON is laid out over lines; any other text stays as it is.
fn readable(text: String) -> String {
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) if value.is_object() => serde_json::to_string_pretty(&value).unwrap_or(text),
        _ => text,
    }
}

impl OperationView {
    fn of(operation: &Operation, outcome: Option<Outcome>, now: Timestamp, shown: Option<&Operation>) -> Self {
        let phase = outcome.map_or(Phase::PxeReady, |outcome| outcome.phase);
        let has_ended = matches!(phase, Phase::Ready | Phase::Failed);
        let until = outcome.filter(|_| has_ended).map_or(now, |outcome| outcome.at);
        Self {
            id: operation.id.to_string(),
            started_at: Moment(operation.started_at),
            outcome: phase_title(phase),
            phase,
            took: span(until.since(operation.started_at)),
            is_shown: shown.is_some_and(|shown| shown.id == operation.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn json_is_laid_out_and_other_text_left_alone() {
        assert_eq!(readable(r#"{"a":1}"#.to_owned()), "{\n  \"a\": 1\n}");
        for text in ["[global]\nkeyboard = \"de\"\n", "12", "{broken", ""] {
            assert_eq!(readable(text.to_owned()), text);
        }
    }
}
