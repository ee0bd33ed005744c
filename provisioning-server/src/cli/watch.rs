//! `provisioning watch`: what happens, as it happens: progress bars in a terminal, lines elsewhere.
//!
//! The connection may break: it is made anew, and the journal read on from the last entry that was seen.

mod display;
mod fleet;
mod frames;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use provisioning_core::ports::JournalEntry;
use serde_json::Value;
use tokio::time::timeout;

use super::Connection;
use super::client::Client;
use super::failure::{Failure, Trouble};
use super::table::{encoded, text};
use display::Display;
use fleet::Fleet;
use frames::{Frame, Frames};

/// How long until a broken connection is made anew.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);
/// After so much silence a connection is taken for broken: the server says something every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Only these hosts, by name or id; all of them without.
    #[arg(value_name = "HOST")]
    pub(super) hosts: Vec<String>,
    /// End when no operation runs on them any more: with 0 when none has failed, else with 8.
    #[arg(long)]
    pub(super) until_settled: bool,
    /// One JSON object a line, for programs: journal entries and downloads.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn run(args: WatchArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    // Read before the hosts: what happens in between is then told twice rather than never.
    let mut after = last_place(&client).await?;
    let mut fleet = load(&client, &args.hosts).await?;
    let mut display = Display::new(args.json);
    display.begin(&fleet)?;
    let mut is_broken = false;
    while !(args.until_settled && fleet.is_settled()) {
        let mut events = match client.events(after).await {
            Ok(events) => events,
            Err(error) if is_broken && is_passing(&error) => {
                tokio::time::sleep(RECONNECT_AFTER).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if is_broken {
            display.note("connected again")?;
        }
        let mut frames = Frames::default();
        while let Ok(Some(Ok(bytes))) = timeout(SILENCE_MAX, events.next()).await {
            for frame in frames.push(&bytes) {
                after = frame.id.unwrap_or(after);
                take(&client, &mut fleet, &mut display, &args.hosts, &frame).await?;
            }
            if args.until_settled && fleet.is_settled() {
                break;
            }
        }
        if !(args.until_settled && fleet.is_settled()) {
            display.note("the connection broke; trying again")?;
            is_broken = true;
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }
    display.end();
    match fleet.failed().as_slice() {
        [] => Ok(()),
        failed => Err(Failure::new(Trouble::HostFailed, format!("failed: {}", failed.join(", "))).into()),
    }
}

async fn last_place(client: &Client) -> anyhow::Result<u64> {
    let page = client.get("/api/hosts?limit=1").await?;
    Ok(page["seq"].as_u64().unwrap_or_default())
}

/// The hosts that are watched, as they are now.
async fn load(client: &Client, wanted: &[String]) -> anyhow::Result<Fleet> {
    let mut fleet = Fleet::default();
    if wanted.is_empty() {
        for host in client.list("/api/hosts", "", "hosts").await? {
            fleet.put(&host);
        }
    }
    for name in wanted.iter().collect::<BTreeSet<_>>() {
        fleet.put(&client.get(&format!("/api/hosts/{}", encoded(name))).await?);
    }
    Ok(fleet)
}

/// Shows what a frame says.
async fn take(
    client: &Client,
    fleet: &mut Fleet,
    display: &mut Display,
    wanted: &[String],
    frame: &Frame,
) -> anyhow::Result<()> {
    let Ok(value) = serde_json::from_str::<Value>(&frame.data) else { return Ok(()) };
    if frame.event == "progress" {
        if let Some(host) = fleet.progress(&value) {
            display.progress(&host, &value)?;
        }
        return Ok(());
    }
    if frame.event == "reset" {
        return display.note("the server has another database; start anew to see all of its hosts");
    }
    let id = value["host"].as_str().unwrap_or_default().to_owned();
    let is_news = wanted.is_empty() && value["what"]["kind"] == "host_registered";
    if (is_news || value["what"]["kind"] == "moved") && (wanted.is_empty() || fleet.knows(&id)) {
        // The row says more than the entry does: name, failure, operation. It may be gone already.
        if let Ok(host) = client.get(&format!("/api/hosts/{}", encoded(&id))).await {
            fleet.put(&host);
        }
    }
    if !wanted.is_empty() && !fleet.knows(&id) {
        return Ok(());
    }
    if value["what"]["kind"] == "host_removed" {
        fleet.remove(&id);
    }
    let words = serde_json::from_value::<JournalEntry>(value.clone()).map(|entry| crate::web::sentence(&entry));
    let words = words.unwrap_or_else(|_| text(&value["what"], "kind"));
    display.entry(fleet.get(&id), &value, &words)
}

/// Whether an error may be gone in a while.
fn is_passing(error: &anyhow::Error) -> bool {
    super::failure::exit_code(error) == Trouble::Unreachable as u8
}
