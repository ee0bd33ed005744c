//! `provisioning notify …`: the services that are told of events.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, Payload};
use super::failure::{Failure, Trouble};
use super::table::{say, text};
use super::{Connection, table};

#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Show how each target is doing: when it took an event last, why it does not, how many wait for it.
    #[command(after_help = "Example:\n  provisioning notify status")]
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a test message, once, to one target or to all.
    #[command(after_help = "Example:\n  provisioning notify test chat")]
    Test {
        /// The target's name; all of them without it.
        target: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: NotifyCommand) -> anyhow::Result<()> {
    match command {
        NotifyCommand::Status { json, connection } => status(json, &connection).await,
        NotifyCommand::Test { target, json, connection } => test(target, json, &connection).await,
    }
}

async fn status(json: bool, connection: &Connection) -> anyhow::Result<()> {
    let answer = Client::open(connection).await?.get("/api/notify").await?;
    if json {
        return table::print_json(&answer);
    }
    let targets: Vec<Value> = answer["targets"].as_array().cloned().unwrap_or_default();
    let columns = [
        ("NAME", "name"),
        ("AT", "origin"),
        ("EVENTS", "events"),
        ("WAITING", "backlog"),
        ("LAST SUCCESS", "last_success_at"),
        ("LAST ERROR", "last_error"),
        ("NEXT TRY", "next_try_at"),
    ];
    table::print(&targets, &columns)?;
    Ok(())
}

async fn test(target: Option<String>, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let body = target.map_or_else(|| json!({}), |target| json!({ "target": target }));
    let answer = Client::open(connection).await?.post("/api/notify/test", Payload::Json(body)).await?;
    let results: Vec<Value> = answer["results"].as_array().cloned().unwrap_or_default();
    if json {
        table::print_json(&answer)?;
    } else {
        for result in &results {
            let outcome = match result["error"].as_str() {
                Some(error) => format!("not delivered: {error}"),
                None => format!("delivered ({})", result["status"]),
            };
            say(format!("{}: {outcome}", text(result, "target")))?;
        }
    }
    if results.iter().all(|result| result["delivered"] == true) {
        return Ok(());
    }
    Err(Failure::new(Trouble::Unreachable, "not every target took the message").into())
}
