//! `provisioning op …`: operations, and what they left to look at.

use std::io::{self, Write as _};

use clap::Subcommand;
use provisioning_core::ports::JournalEntry;
use serde_json::{Value, json};

use super::client::Client;
use super::failure::{Failure, Trouble};
use super::table::{encoded, say, text};
use super::{Connection, table};
use crate::web::sentence;

#[derive(Debug, Subcommand)]
pub(super) enum OpCommand {
    /// List a host's operations, the latest first.
    #[command(after_help = "Example:\n  provisioning op list pve-07 --outcome failed")]
    List {
        /// The host's name or id.
        host: String,
        /// Only operations with this outcome: running, ready or failed.
        #[arg(long)]
        outcome: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show an operation: its phases, how long each took, why it failed.
    #[command(after_help = "Example:\n  provisioning op show 01a2092b-c7b5-71a6-9485-076fbfc599a1")]
    Show {
        /// The operation's id.
        id: String,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List what an operation left to look at, or print one of its texts, secrets masked.
    #[command(after_help = "Examples:
  provisioning op artefacts 01a2092b-c7b5-71a6-9485-076fbfc599a1
  provisioning op artefacts 01a2092b-c7b5-71a6-9485-076fbfc599a1 answer")]
    Artefacts {
        /// The operation's id.
        id: String,
        /// Which to print, such as answer, boot_script or join_transcript.
        kind: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: OpCommand) -> anyhow::Result<()> {
    match command {
        OpCommand::List { host, outcome, json, connection } => list(&host, outcome.as_deref(), json, &connection).await,
        OpCommand::Show { id, json, connection } => show(&id, json, &connection).await,
        OpCommand::Artefacts { id, kind, json, connection } => artefacts(&id, kind.as_deref(), json, &connection).await,
    }
}

pub(super) async fn list(host: &str, outcome: Option<&str>, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let query = outcome.map(|outcome| format!("?outcome={}", encoded(outcome))).unwrap_or_default();
    let path = format!("/api/hosts/{}/operations", encoded(host));
    let operations = Client::open(connection).await?.list(&path, &query, "operations").await?;
    if json {
        return table::print_json(&json!({ "operations": operations }));
    }
    let columns = [
        ("ID", "id"),
        ("STARTED", "started_at"),
        ("ENDED", "ended_at"),
        ("OUTCOME", "outcome"),
        ("TYPE", "server_type"),
        ("FAILURE", "failure"),
    ];
    table::print(&operations, &columns)?;
    Ok(())
}

/// Every line of a host's journal.
pub(super) async fn journal(host: &str, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let client = Client::open(connection).await?;
    let (mut after, mut entries) = (0, vec![]);
    loop {
        let page = client.get(&format!("/api/hosts/{}/journal?limit=1000&after={after}", encoded(host))).await?;
        let found = page["entries"].as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            break;
        }
        after = page["next"].as_u64().unwrap_or(u64::MAX);
        entries.extend(found);
    }
    if json {
        return table::print_json(&json!({ "entries": entries }));
    }
    let mut out = io::stdout().lock();
    for entry in entries {
        // A newer server may tell of things that this program has no words for.
        let words = serde_json::from_value::<JournalEntry>(entry.clone()).map(|entry| sentence(&entry));
        let words = words.unwrap_or_else(|_| text(&entry["what"], "kind"));
        writeln!(out, "{}  {:<12}  {words}", text(&entry, "at"), text(&entry, "source"))?;
    }
    Ok(())
}

async fn show(id: &str, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let operation = operation(id, connection).await?;
    if json {
        return table::print_json(&operation);
    }
    let fields = [
        ("id", "id"),
        ("host", "host"),
        ("image", "image"),
        ("type", "server_type"),
        ("started", "started_at"),
        ("ended", "ended_at"),
        ("outcome", "outcome"),
        ("failure", "failure"),
    ];
    table::print_fields(&operation, &fields)?;
    let steps: Vec<Value> = operation["steps"].as_array().cloned().unwrap_or_default();
    table::print(
        &steps,
        &[("PHASE", "phase"), ("ENTERED", "entered_at"), ("LEFT", "left_at"), ("SECONDS", "seconds")],
    )?;
    Ok(())
}

async fn artefacts(id: &str, kind: Option<&str>, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let operation = operation(id, connection).await?;
    let artefacts: Vec<Value> = operation["artefacts"].as_array().cloned().unwrap_or_default();
    let Some(kind) = kind else {
        if json {
            return table::print_json(&json!({ "artefacts": artefacts }));
        }
        table::print(&artefacts, &[("KIND", "kind"), ("MADE", "at")])?;
        return Ok(());
    };
    let Some(found) = artefacts.iter().find(|artefact| artefact["kind"] == kind) else {
        let kinds: Vec<String> = artefacts.iter().map(|artefact| text(artefact, "kind")).collect();
        let text = format!("the operation left no {kind}; it left {}", kinds.join(", "));
        return Err(Failure::new(Trouble::NotFound, text).into());
    };
    if json { table::print_json(found) } else { say(text(found, "text").trim_end()) }
}

async fn operation(id: &str, connection: &Connection) -> anyhow::Result<Value> {
    Client::open(connection).await?.get(&format!("/api/operations/{}", encoded(id))).await
}
