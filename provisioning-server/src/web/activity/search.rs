//! Looking through the journal, back from a place or forward from one, until a page is full.
//!
//! What a filter leaves out costs reading, so that one search reads so much at most.

use std::collections::BTreeMap;
use std::time::Duration;

use provisioning_core::model::{HostId, Timestamp};
use provisioning_core::ports::{Happening, JournalEntry, JournalQuery, StoreError};

use super::super::Web;
use super::filter::Filter;

/// Entries on a page.
pub(super) const PAGE: usize = 100;

/// Entries that one search reads at most.
const READ_MAX: usize = 20_000;

/// Entries that are read at once.
const STRETCH: usize = 1000;

/// Times rise with places, but for clocks that are set back: by no more than this.
const SET_BACK_MAX: Duration = Duration::from_secs(3600);

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// With the latest.
    Latest,
    /// With the latest before this entry.
    Before(u64),
    /// With the earliest after this entry.
    After(u64),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The latest first.
    pub(super) entries: Vec<JournalEntry>,
    /// Where to go on for what is older; `None` at the journal's beginning.
    pub(super) older: Option<u64>,
    /// Where to go on for what is newer; `None` at its end.
    pub(super) newer: Option<u64>,
    /// Whether the search was given up before the page was full: what is older was not looked at.
    pub(super) is_cut: bool,
}

/// The names of hosts, as far as they were needed.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<HostId, Option<String>>);

impl Names {
    /// What a host is called; a removed one has no name any more.
    pub(super) async fn of(&mut self, web: &Web, entry: &JournalEntry) -> Result<Option<String>, StoreError> {
        let Some(id) = entry.host else { return Ok(None) };
        if let Happening::HostRemoved { name } = &entry.what {
            return Ok(Some(name.to_string()));
        }
        if let Some(known) = self.0.get(&id) {
            return Ok(known.clone());
        }
        let name = web.orchestrator.store().host(id).await?.map(|record| record.host.name.to_string());
        self.0.insert(id, name.clone());
        Ok(name)
    }
}

/// Looks for a page of entries.
pub(super) async fn search(web: &Web, filter: &Filter, from: From, names: &mut Names) -> Result<Found, StoreError> {
    let last = web.orchestrator.store().last_seq().await?;
    match from {
        From::After(after) => forward(web, filter, after, names).await,
        From::Latest => {
            let end = match filter.to {
                Some(to) => behind(web, to + SET_BACK_MAX, last).await?,
                None => last,
            };
            back(web, filter, end, last, names).await
        }
        From::Before(before) => back(web, filter, before.saturating_sub(1).min(last), last, names).await,
    }
}

async fn forward(web: &Web, filter: &Filter, after: u64, names: &mut Names) -> Result<Found, StoreError> {
    let store = web.orchestrator.store();
    let (mut at, mut read) = (after, 0);
    let mut entries = vec![];
    let mut newer = None;
    'reading: while read < READ_MAX {
        let query = JournalQuery { host: filter.host, audit: filter.is_audit(), ..JournalQuery::after(at, STRETCH) };
        let stretch = store.journal(&query).await?;
        let is_end = stretch.len() < STRETCH;
        read += stretch.len();
        for entry in stretch {
            if entries.len() == PAGE {
                newer = Some(at);
                break 'reading;
            }
            at = entry.seq;
            if is_wanted(web, filter, &entry, names).await? {
                entries.push(entry);
            }
        }
        if is_end {
            break;
        }
    }
    entries.reverse();
    Ok(Found { entries, older: Some(after + 1), newer, is_cut: read >= READ_MAX })
}

async fn back(web: &Web, filter: &Filter, end: u64, last: u64, names: &mut Names) -> Result<Found, StoreError> {
    let store = web.orchestrator.store();
    let mut found = Found { newer: (end < last).then_some(end), ..Found::default() };
    let (mut before, mut read) = (end.saturating_add(1), 0);
    loop {
        if read >= READ_MAX {
            (found.is_cut, found.older) = (true, Some(before));
            return Ok(found);
        }
        let query = JournalQuery {
            before: Some(before),
            host: filter.host,
            audit: filter.is_audit(),
            latest_first: true,
            ..JournalQuery::after(0, STRETCH)
        };
        let stretch = store.journal(&query).await?;
        let is_end = stretch.len() < STRETCH;
        read += stretch.len();
        for entry in stretch {
            before = entry.seq;
            if filter.from.is_some_and(|from| entry.at + SET_BACK_MAX < from) {
                return Ok(found);
            }
            if !is_wanted(web, filter, &entry, names).await? {
                continue;
            }
            if found.entries.len() == PAGE {
                found.older = found.entries.last().map(|last: &JournalEntry| last.seq);
                return Ok(found);
            }
            found.entries.push(entry);
        }
        if is_end {
            return Ok(found);
        }
    }
}

async fn is_wanted(web: &Web, filter: &Filter, entry: &JournalEntry, names: &mut Names) -> Result<bool, StoreError> {
    if !filter.reads_names() {
        return Ok(filter.holds(entry, ""));
    }
    let name = names.of(web, entry).await?.unwrap_or_default();
    Ok(filter.holds(entry, &name))
}

/// The last entry that is not after a time: found by halving, since times rise with places.
async fn behind(web: &Web, to: Timestamp, last: u64) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low + (high - low) / 2;
        let next = web.orchestrator.store().journal(&JournalQuery::after(middle, 1)).await?;
        match next.first() {
            Some(entry) if entry.at <= to => low = entry.seq.max(middle + 1),
            _ => high = middle,
        }
    }
    Ok(low)
}
