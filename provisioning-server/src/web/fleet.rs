//! The fleet: all hosts as tiles or rows, and the fragments by which they are kept live.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use provisioning_core::machine::Phase;
use provisioning_core::model::{HostId, ServerType};
use provisioning_core::ports::{HostFilter, HostRecord};
use serde::Deserialize;

use super::Web;
use super::host_view::{GROUPS, Group, HostView, Viewer};
use super::images::ImageChoice;
use super::page::{Frame, PageError, find_host, html};

/// The most hosts that one request for fragments may name: their ids fit into a URL.
const FRAGMENTS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    counters: Vec<Counter>,
    rows: Vec<Row>,
    show: &'static str,
    query: String,
    images: Vec<ImageChoice>,
    server_types: Vec<TypeChoice>,
}

#[derive(Template)]
#[template(path = "fragments.html")]
struct Fragments {
    counters: Vec<Counter>,
    rows: Vec<Row>,
}

/// A counter that filters.
struct Counter {
    key: &'static str,
    label: &'static str,
    count: usize,
    is_current: bool,
}

/// A host and whether the filter leaves it out.
struct Row {
    host: HostView,
    is_hidden: bool,
}

/// A server type to choose.
pub(super) struct TypeChoice {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) wipes: String,
    pub(super) is_current: bool,
}

impl TypeChoice {
    /// All server types in force; `current` is the one that is chosen.
    pub(super) fn all(web: &Web, current: Option<&str>) -> Vec<Self> {
        let types = web.orchestrator.server_types();
        let choice = |known: &ServerType| Self {
            key: known.key.to_string(),
            name: known.display_name.clone(),
            wipes: known.disk.wipes(),
            is_current: current == Some(known.key.as_str()),
        };
        types.values().map(choice).collect()
    }
}

/// What the fleet page is asked for; the scripts filter without asking.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    show: String,
    #[serde(default)]
    q: String,
}

/// `GET /`.
pub(super) async fn page(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let records = web.orchestrator.store().hosts(&HostFilter::default()).await?;
    let images = ImageChoice::all(&web).await?;
    let viewer = Viewer::new(&web, frame.now, !images.is_empty(), &records).await?;
    let group = GROUPS.into_iter().find(|group| group.key == wanted.show).unwrap_or(GROUPS[0]);
    let text = wanted.q.trim().to_lowercase();
    let row = |record: &HostRecord| {
        let host = viewer.view(record);
        let is_hidden = !(group.holds)(host.phase) || !host.haystack().contains(&text);
        Row { host, is_hidden }
    };
    let rows = records.iter().map(row).collect();
    let server_types = TypeChoice::all(&web, None);
    let counters = counters(&records, group.key);
    Ok(html(&FleetPage { frame, counters, rows, show: group.key, query: wanted.q, images, server_types }))
}

/// Which hosts' fragments are wanted: ids joined by commas.
#[derive(Debug, Deserialize)]
pub(super) struct Ids {
    #[serde(default)]
    ids: String,
}

/// `GET /fragments/hosts?ids=…`: the counters, and the rows of those hosts that (still) exist, by name.
pub(super) async fn fragments(State(web): State<Web>, Query(wanted): Query<Ids>) -> Result<Response, PageError> {
    let ids: BTreeSet<HostId> = wanted.ids.split(',').filter_map(|id| id.trim().parse().ok()).collect();
    if ids.len() > FRAGMENTS_MAX {
        return Err(PageError::TooMany { max: FRAGMENTS_MAX });
    }
    some_rows(&web, &ids).await
}

/// `GET /fragments/hosts/{host}`: the same for one host, by id or name.
pub(super) async fn fragment(State(web): State<Web>, Path(host): Path<String>) -> Result<Response, PageError> {
    let id = find_host(&web, &host).await?.host.id;
    some_rows(&web, &BTreeSet::from([id])).await
}

/// One read of all hosts serves the rows and the counters: they can not disagree.
async fn some_rows(web: &Web, ids: &BTreeSet<HostId>) -> Result<Response, PageError> {
    let mut records = web.orchestrator.store().hosts(&HostFilter::default()).await?;
    let counters = counters(&records, "");
    records.retain(|record| ids.contains(&record.host.id));
    let has_image = !web.orchestrator.store().images().await?.is_empty();
    let viewer = Viewer::new(web, web.orchestrator.now(), has_image, &records).await?;
    let rows = records.iter().map(|record| Row { host: viewer.view(record), is_hidden: false }).collect();
    Ok(html(&Fragments { counters, rows }))
}

fn counters(records: &[HostRecord], show: &str) -> Vec<Counter> {
    let phases: Vec<Phase> = records.iter().map(|record| record.state.phase()).collect();
    let counter = |group: Group| Counter {
        key: group.key,
        label: group.label,
        count: phases.iter().filter(|phase| (group.holds)(**phase)).count(),
        is_current: group.key == show,
    };
    GROUPS.into_iter().map(counter).collect()
}
