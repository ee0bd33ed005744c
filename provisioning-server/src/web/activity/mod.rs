//! The activity page: the whole journal, the latest first, filtered, paged, live at its top.

mod filter;
mod search;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use provisioning_core::model::{HostId, Hostname};

use self::filter::{Filter, KINDS, SOURCES, Wanted, source_key};
use self::search::{Found, From, Names, search};
use super::Web;
use super::history::{Line, lines};
use super::page::{Frame, PageError, html};
use super::words::source_name;

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    wanted: Wanted,
    sources: Vec<Choice>,
    kinds: Vec<Choice>,
    list: Entries,
    /// Whether news belong on top.
    is_live: bool,
    query: String,
}

#[derive(Template)]
#[template(path = "activity_list.html")]
struct Entries {
    rows: Vec<Row>,
    older: Option<u64>,
    newer: Option<u64>,
    is_cut: bool,
    query: String,
    /// A host that was asked for and is not there.
    unknown_host: Option<String>,
}

/// A line of the journal with the way to what it is about.
struct Row {
    seq: u64,
    line: Line,
    host: Option<String>,
    /// Whether the host still has a page.
    is_linked: bool,
    operation: Option<String>,
}

/// Something to choose.
struct Choice {
    key: String,
    label: &'static str,
    is_current: bool,
}

/// `GET /activity`.
pub(super) async fn page(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let list = entries(&web, &wanted).await?;
    let sources = SOURCES.into_iter().map(|source| {
        let key = source_key(source);
        Choice { is_current: key == wanted.source, key, label: source_name(source) }
    });
    let kinds = KINDS.into_iter().map(|kind| Choice {
        key: kind.key.to_owned(),
        label: kind.label,
        is_current: kind.key == wanted.kind,
    });
    let page = ActivityPage {
        frame,
        sources: sources.collect(),
        kinds: kinds.collect(),
        is_live: wanted.before.is_none() && wanted.after.is_none() && wanted.to.trim().is_empty(),
        query: wanted.query(),
        list,
        wanted,
    };
    Ok(html(&page))
}

/// `GET /fragments/activity?after=…`: what came since, with the same filter.
pub(super) async fn fragment(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    Ok(html(&entries(&web, &wanted).await?))
}

async fn find_host(web: &Web, asked: &str) -> Result<Option<HostId>, PageError> {
    let asked = asked.trim();
    let store = web.orchestrator.store();
    let record = match (asked.parse::<HostId>(), asked.parse::<Hostname>()) {
        // A removed host's journal is kept.
        (Ok(id), _) => return Ok(Some(id)),
        (Err(_), Ok(name)) => store.host_by_name(&name).await?,
        (Err(_), Err(_)) => None,
    };
    Ok(record.map(|record| record.host.id))
}

async fn entries(web: &Web, wanted: &Wanted) -> Result<Entries, PageError> {
    let host = find_host(web, &wanted.host).await?;
    if host.is_none() && !wanted.host.trim().is_empty() {
        let unknown_host = Some(wanted.host.clone());
        return Ok(Entries {
            rows: vec![],
            older: None,
            newer: None,
            is_cut: false,
            query: wanted.query(),
            unknown_host,
        });
    }
    let from = match (wanted.before, wanted.after) {
        (Some(before), _) => From::Before(before),
        (None, Some(after)) => From::After(after),
        (None, None) => From::Latest,
    };
    let mut names = Names::default();
    let Found { entries, older, newer, is_cut } = search(web, &Filter::of(wanted, host), from, &mut names).await?;
    let mut rows = vec![];
    for (entry, line) in entries.iter().zip(lines(&entries)) {
        let name = names.of(web, entry).await?;
        let is_linked =
            name.is_some() && !matches!(entry.what, provisioning_core::ports::Happening::HostRemoved { .. });
        rows.push(Row {
            seq: entry.seq,
            line,
            host: name.or_else(|| entry.host.map(|id| format!("removed host {}", shortly(&id.to_string())))),
            is_linked,
            operation: entry.operation.map(|id| id.to_string()),
        });
    }
    Ok(Entries { rows, older, newer, is_cut, query: wanted.query(), unknown_host: None })
}

/// The end of an id: its beginning is its time, and much the same for all.
fn shortly(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}
