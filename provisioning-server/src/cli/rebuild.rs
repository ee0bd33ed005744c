//! `provisioning host rebuild`: shows what will happen, asks, starts, and follows it if that is wanted.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::{Value, json};

use super::ask::asked;
use super::client::{Client, Payload};
use super::failure::{Failure, Trouble};
use super::table::{encoded, say, text};
use super::watch::{self, WatchArgs};
use super::{Connection, ask, table};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct RebuildArgs {
    /// The host's name or id.
    name: String,
    /// The image's name or id; without it the one imported last.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Only show what would happen.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. A host that was ready before needs --confirm all the same.
    #[arg(long)]
    yes: bool,
    /// The host's name once more: wipe it although it was ready before, and do not ask.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Follow it until it is ready or has failed.
    #[arg(long)]
    watch: bool,
    /// What was started, or would be, as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: RebuildArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let path = format!("/api/hosts/{}/rebuild", encoded(&args.name));
    let mut body = args.image.as_ref().map_or_else(|| json!({}), |image| json!({ "image": image }));
    let preflight = client.post(&format!("{path}?dry_run=true"), Payload::Json(body.clone())).await?;
    match (args.json, args.dry_run) {
        (true, true) => table::print_json(&preflight)?,
        (true, false) => {}
        (false, _) => show(&preflight)?,
    }
    if preflight["faults"].as_array().is_some_and(|faults| !faults.is_empty()) {
        return Err(Failure::new(Trouble::Refused, "the host cannot be installed like this").into());
    }
    if args.dry_run {
        return Ok(());
    }
    // Named by its id, the host is still confirmed by its name.
    let fqdn = text(&preflight, "fqdn");
    let name = fqdn.split('.').next().unwrap_or_default();
    if let Some(confirm) = confirmed(&args, &preflight, name)? {
        body["confirm"] = confirm.into();
    }
    let started = client.post(&path, Payload::Json(body)).await?;
    if args.json {
        table::print_json(&started)?;
    } else {
        say(match started["power"].as_str() {
            Some("cycling") => format!("started; {name} is being restarted into the network"),
            _ => format!("started; now let {name} start from the network"),
        })?;
    }
    if args.watch {
        let watch =
            WatchArgs { hosts: vec![args.name], until_settled: true, json: args.json, connection: args.connection };
        return watch::run(watch).await;
    }
    Ok(())
}

/// What the person has confirmed with: the name, when the host was ready before.
fn confirmed(args: &RebuildArgs, preflight: &Value, name: &str) -> anyhow::Result<Option<String>> {
    let needs_name = preflight["needs_confirmation"].as_bool().unwrap_or(true);
    match &args.confirm {
        Some(confirm) => Ok(Some(confirm.clone())),
        None if needs_name => {
            asked(&format!("It was ready before. Type {name} to wipe it: "), "--confirm NAME").map(Some)
        }
        None => ask::confirm(&format!("The disks of {name} will be wiped."), args.yes).map(|()| None),
    }
}

fn show(preflight: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "installs  {} as {}", text(&preflight["image"], "name"), text(preflight, "fqdn"))?;
    writeln!(out, "wipes     {}", text(preflight, "wipes"))?;
    match preflight["joins"].as_str() {
        Some(member) => writeln!(out, "joins     the cluster of {member}")?,
        None => writeln!(out, "joins     nothing: it stays standalone")?,
    }
    for (title, key) in [("warning", "warnings"), ("fault", "faults")] {
        for line in preflight[key].as_array().into_iter().flatten() {
            writeln!(out, "{title:<9} {}", line.as_str().unwrap_or_default())?;
        }
    }
    Ok(())
}
