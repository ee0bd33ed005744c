//! The fleet: hosts as tiles or rows, and the fragments by which they are kept live.
//!
//! A page holds the first rows only. Scripts ask for the list of all that fit, and for the rows in sight: a fleet of
//! thousands costs a browser no more than one of fifty.

use std::collections::BTreeSet;

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use provisioning_core::model::{HostId, ServerType, ServerTypeKey};
use provisioning_core::ports::{HostFilter, HostRecord};
use serde::{Deserialize, Serialize};

use super::Web;
use super::board::Summary;
use super::discovered::Strip;
use super::groups::{GROUPS, Group};
use super::host_view::{HostView, Viewer};
use super::images::ImageChoice;
use super::page::{Frame, PageError, find_host, html};
use super::roster::{Sort, Wanted};

/// The rows that a page begins with.
pub(super) const FIRST_ROWS: usize = 60;

/// The most hosts that one request for rows may name: their ids fit into a URL.
const ROWS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    counters: Vec<Counter>,
    strip: Strip,
    rows: Vec<HostView>,
    wanted: Wanted,
    group: Group,
    sorts: Vec<SortChoice>,
    /// How many hosts fit.
    matching: usize,
    pages: Pages,
    public_url: String,
    images: Vec<ImageChoice>,
    server_types: Vec<TypeChoice>,
}

#[derive(Template)]
#[template(path = "rows.html")]
struct Rows {
    rows: Vec<HostView>,
}

/// A counter that filters.
struct Counter {
    group: Group,
    count: u64,
    is_current: bool,
    address: String,
}

/// An order to choose.
struct SortChoice {
    key: &'static str,
    label: &'static str,
    is_current: bool,
}

/// The pages before and behind this one, for browsers without scripts.
struct Pages {
    number: usize,
    count: usize,
    before: Option<String>,
    behind: Option<String>,
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

impl FleetPage {
    fn is_empty(&self) -> bool {
        self.frame.summary.count(|_| true) == 0
    }

    fn view_address(&self, view: &str) -> String {
        address(&Wanted { view: view.to_owned(), ..self.wanted.clone() })
    }
}

/// `GET /`.
pub(super) async fn page(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let (shown, pages, matching) = first_shown(&web, &wanted, &frame.summary).await?;
    let images = ImageChoice::all(&web).await?;
    let rows = Viewer::new(&web, frame.now, !images.is_empty(), &shown).await?.views(&shown);
    let server_types = TypeChoice::all(&web, None);
    let counters = counters(&frame.summary, &wanted);
    let (group, sort) = (wanted.group(), wanted.sort());
    let choice = |(known, key, label): (Sort, _, _)| SortChoice { key, label, is_current: known == sort };
    let sorts = Sort::ALL.into_iter().map(choice).collect();
    let strip = Strip::of(&web).await?;
    let public_url = web.orchestrator.site().public_url.to_string();
    Ok(html(&FleetPage {
        frame,
        counters,
        strip,
        rows,
        wanted,
        group,
        sorts,
        matching,
        pages,
        public_url,
        images,
        server_types,
    }))
}

/// All hosts that fit, by id and name.
#[derive(Serialize)]
struct Index {
    hosts: Vec<(HostId, String)>,
}

/// `GET /fragments/fleet?show=…&q=…&sort=…`: which hosts fit, in their order.
pub(super) async fn index(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let records = picked(&web, &wanted).await?;
    let hosts = records.iter().map(|record| (record.host.id, record.host.name.to_string())).collect();
    Ok(Json(Index { hosts }).into_response())
}

/// The hosts of one page, and how many fit in all. What is shown when nothing else is asked for is read as it is
/// shown: its cost does not grow with the fleet.
async fn first_shown(
    web: &Web,
    wanted: &Wanted,
    summary: &Summary,
) -> Result<(Vec<HostRecord>, Pages, usize), PageError> {
    if wanted.is_everything() && wanted.page() == 0 {
        let first = HostFilter { limit: Some(FIRST_ROWS), ..HostFilter::default() };
        let shown = web.orchestrator.store().hosts(&first).await?;
        let all = usize::try_from(summary.count(|_| true)).unwrap_or(usize::MAX);
        // Whatever came or went between the two reads is told by the feed.
        let matching = if shown.len() < FIRST_ROWS { shown.len() } else { all.max(FIRST_ROWS) };
        return Ok((shown, Pages::of(wanted, matching), matching));
    }
    let records = picked(web, wanted).await?;
    let matching = records.len();
    let pages = Pages::of(wanted, matching);
    let shown = records.into_iter().skip((pages.number - 1) * FIRST_ROWS).take(FIRST_ROWS).collect();
    Ok((shown, pages, matching))
}

async fn picked(web: &Web, wanted: &Wanted) -> Result<Vec<HostRecord>, PageError> {
    let records = web.orchestrator.store().hosts(&HostFilter::default()).await?;
    let types = web.orchestrator.server_types();
    let names = |key: &str| {
        let known = key.parse::<ServerTypeKey>().ok().and_then(|key| types.get(&key));
        known.map(|known| known.display_name.clone()).unwrap_or_default()
    };
    Ok(wanted.pick(records, &web.board, &names))
}

/// Which hosts' rows are wanted: ids joined by commas.
#[derive(Debug, Deserialize)]
pub(super) struct Ids {
    #[serde(default)]
    ids: String,
}

/// `GET /fragments/hosts?ids=…`: the rows of those hosts that (still) exist.
pub(super) async fn rows(State(web): State<Web>, Query(wanted): Query<Ids>) -> Result<Response, PageError> {
    let ids: BTreeSet<HostId> = wanted.ids.split(',').filter_map(|id| id.trim().parse().ok()).collect();
    if ids.len() > ROWS_MAX {
        return Err(PageError::TooMany { max: ROWS_MAX });
    }
    let mut records = Vec::with_capacity(ids.len());
    for id in ids {
        records.extend(web.orchestrator.store().host(id).await?);
    }
    some_rows(&web, records).await
}

/// `GET /fragments/hosts/{host}`: the same for one host, by id or name.
pub(super) async fn row(State(web): State<Web>, Path(host): Path<String>) -> Result<Response, PageError> {
    let record = find_host(&web, &host).await?;
    some_rows(&web, vec![record]).await
}

async fn some_rows(web: &Web, records: Vec<HostRecord>) -> Result<Response, PageError> {
    let has_image = !web.orchestrator.store().images().await?.is_empty();
    let viewer = Viewer::new(web, web.orchestrator.now(), has_image, &records).await?;
    Ok(html(&Rows { rows: viewer.views(&records) }))
}

fn counters(summary: &Summary, wanted: &Wanted) -> Vec<Counter> {
    let current = wanted.group().key;
    let counter = |group: Group| Counter {
        group,
        count: summary.count(group.holds),
        is_current: group.key == current,
        address: address(&Wanted { show: group.key.to_owned(), page: String::new(), ..wanted.clone() }),
    };
    GROUPS.into_iter().map(counter).collect()
}

impl Pages {
    fn of(wanted: &Wanted, matching: usize) -> Self {
        let count = matching.div_ceil(FIRST_ROWS).max(1);
        let number = (wanted.page() + 1).min(count);
        let to = |page: usize| address(&Wanted { page: page.to_string(), ..wanted.clone() });
        Self {
            number,
            count,
            before: (number > 1).then(|| to(number - 1)),
            behind: (number < count).then(|| to(number + 1)),
        }
    }
}

/// The address of the fleet page that shows what is wanted; what is as usual is left out.
fn address(wanted: &Wanted) -> String {
    let page = if wanted.page() == 0 { "" } else { &wanted.page };
    let show = if wanted.group().key == "all" { "" } else { &wanted.show };
    let pairs = [("show", show), ("q", &wanted.q), ("sort", &wanted.sort), ("view", &wanted.view), ("page", page)];
    let mut query = String::new();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        query.extend(value.bytes().map(encoded));
    }
    format!("/{query}")
}

/// A byte as it may stand in a query.
fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_wanted_and_nothing_more() {
        assert_eq!(address(&Wanted::default()), "/");
        let wanted = Wanted {
            show: "failed".to_owned(),
            q: "a&b=\"é".to_owned(),
            view: "table".to_owned(),
            page: "1".to_owned(),
            ..Wanted::default()
        };
        assert_eq!(address(&wanted), "/?show=failed&q=a%26b%3D%22%C3%A9&view=table");
    }

    #[test]
    fn pages_reach_from_the_first_to_the_last_and_no_further() {
        let on = |page: &str, matching| {
            let pages = Pages::of(&Wanted { page: page.to_owned(), ..Wanted::default() }, matching);
            (pages.number, pages.count, pages.before, pages.behind)
        };
        assert_eq!(on("", 0), (1, 1, None, None));
        assert_eq!(on("1", 61), (1, 2, None, Some("/?page=2".to_owned())));
        assert_eq!(on("2", 61), (2, 2, Some("/".to_owned()), None));
        assert_eq!(on("99", 61), (2, 2, Some("/".to_owned()), None));
    }
}
