//! `provisioning host …`: hosts as they are, and what is done with them. Rebuilds are in `rebuild`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Payload};
use super::rebuild::{self, RebuildArgs};
use super::table::{encoded, say, text};
use super::watch::{self, WatchArgs};
use super::{Connection, ask, op, table};

#[derive(Debug, Subcommand)]
pub(super) enum HostCommand {
    /// Register a host.
    #[command(
        visible_alias = "add",
        after_help = "Examples:
  provisioning host register pve-07 --mac 52:54:00:12:34:56 --server-type lab
  provisioning host register pve-08 --mac 52:54:00:12:34:57 --server-type lab --address 10.0.0.8/24"
    )]
    Register(RegisterArgs),
    /// List the hosts, by name.
    #[command(after_help = "Examples:
  provisioning host list
  provisioning host list --phase failed --json")]
    List(ListArgs),
    /// Show a host: where it is, what it waits for, why it failed.
    #[command(after_help = "Example:\n  provisioning host show pve-07")]
    Show(ShowArgs),
    /// Change a host on which no operation runs; what is not named stays.
    #[command(after_help = "Examples:
  provisioning host edit pve-07 --name pve-17
  provisioning host edit pve-07 --address dhcp")]
    Edit(EditArgs),
    /// Install a host: its disks are wiped, then it joins the cluster.
    #[command(after_help = "Examples:
  provisioning host rebuild pve-07                   shows what will happen, and asks
  provisioning host rebuild pve-07 --yes --watch     for scripts, as long as the host was never ready
  provisioning host rebuild pve-07 --confirm pve-07  for scripts, also when it was ready before")]
    Rebuild(RebuildArgs),
    /// End the operation that runs on a host.
    #[command(after_help = "Example:\n  provisioning host cancel pve-07 --yes")]
    Cancel(ConfirmedArgs),
    /// Take a failed join up again, without reinstalling.
    #[command(after_help = "Example:\n  provisioning host resume pve-07")]
    Resume(ShowArgs),
    /// Forget a host. The machine itself is left as it is.
    #[command(after_help = "Example:\n  provisioning host remove pve-07 --yes")]
    Remove(ConfirmedArgs),
    /// List what was tried with a host, the latest first; or its whole journal.
    #[command(after_help = "Examples:
  provisioning host history pve-07
  provisioning host history pve-07 --journal")]
    History(HistoryArgs),
    /// Follow a host until it is ready or has failed.
    #[command(after_help = "Example:\n  provisioning host watch pve-07")]
    Watch {
        /// The host's name or id.
        name: String,
        /// One JSON object a line, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct RegisterArgs {
    /// Its name, a DNS label.
    name: String,
    /// The address of the NIC it boots from; again for further NICs.
    #[arg(long, required = true, value_name = "MAC")]
    mac: Vec<String>,
    /// Its hardware class, a key of server-types.yaml.
    #[arg(long, value_name = "KEY")]
    server_type: String,
    /// A fixed address with its prefix; without it the host keeps what DHCP gives its installer.
    #[arg(long, value_name = "CIDR")]
    address: Option<String>,
    /// The registered host as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only hosts in this phase: registered, pxe_ready, pxe_booted, installing, installed, first_boot, joining,
    /// ready or failed.
    #[arg(long)]
    phase: Option<String>,
    /// Only hosts of this hardware class.
    #[arg(long, value_name = "KEY")]
    server_type: Option<String>,
    /// Only hosts whose name or MAC address holds this text.
    #[arg(long)]
    text: Option<String>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// The host's name or id.
    host: String,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Other NICs, all of them, the one it boots from first.
    #[arg(long, value_name = "MAC")]
    mac: Vec<String>,
    /// Another hardware class.
    #[arg(long, value_name = "KEY")]
    server_type: Option<String>,
    /// Another fixed address with its prefix, or dhcp.
    #[arg(long, value_name = "CIDR")]
    address: Option<String>,
    /// The host since as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The host's name or id.
    name: String,
    /// The host as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct ConfirmedArgs {
    /// The host's name or id.
    name: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// The outcome as JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// The host's name or id.
    name: String,
    /// Every line of its journal instead of a line for each operation.
    #[arg(long)]
    journal: bool,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: HostCommand) -> anyhow::Result<()> {
    match command {
        HostCommand::Register(args) => register(args).await,
        HostCommand::List(args) => list(&args).await,
        HostCommand::Show(args) => show(&args).await,
        HostCommand::Edit(args) => edit(args).await,
        HostCommand::Rebuild(args) => rebuild::run(args).await,
        HostCommand::Cancel(args) => cancel(&args).await,
        HostCommand::Resume(args) => resume(&args).await,
        HostCommand::Remove(args) => remove(&args).await,
        HostCommand::History(args) if args.journal => op::journal(&args.name, args.json, &args.connection).await,
        HostCommand::History(args) => op::list(&args.name, None, args.json, &args.connection).await,
        HostCommand::Watch { name, json, connection } => {
            watch::run(WatchArgs { hosts: vec![name], until_settled: true, json, connection }).await
        }
    }
}

async fn register(args: RegisterArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let mut body = json!({ "hostname": args.name, "macs": args.mac, "server_type": args.server_type });
    if let Some(address) = args.address {
        body["address"] = address.into();
    }
    let host = client.post("/api/hosts", Payload::Json(body)).await?;
    if args.json {
        return table::print_json(&host);
    }
    say(format!("{} is registered; `provisioning host rebuild {0}` installs it", text(&host, "hostname")))
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let filters = [("phase", &args.phase), ("server_type", &args.server_type), ("text", &args.text)];
    let filters = filters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))));
    let query = format!("?{}", filters.collect::<Vec<_>>().join("&"));
    let hosts = Client::open(&args.connection).await?.list("/api/hosts", &query, "hosts").await?;
    if args.json {
        return table::print_json(&json!({ "hosts": hosts }));
    }
    let columns = [
        ("NAME", "hostname"),
        ("PHASE", "phase"),
        ("SINCE", "since"),
        ("TYPE", "server_type"),
        ("MAC", "macs"),
        ("WAITS", "waiting_for"),
        ("FAILURE", "failure"),
    ];
    table::print(&hosts, &columns)?;
    Ok(())
}

async fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let host = Client::open(&args.connection).await?.get(&path(&args.name)).await?;
    if args.json {
        return table::print_json(&host);
    }
    let fields = [
        ("name", "hostname"),
        ("id", "id"),
        ("phase", "phase"),
        ("since", "since"),
        ("until", "deadline"),
        ("now", "waiting_for"),
        ("trouble", "trouble"),
        ("failure", "failure"),
        ("type", "server_type"),
        ("nics", "macs"),
        ("address", "address"),
        ("hardware id", "hardware_id"),
        ("operation", "operation"),
        ("last ready", "last_ready_at"),
        ("registered", "registered_at"),
    ];
    table::print_fields(&host, &fields)?;
    match host["failure"]["advice"].as_str() {
        Some(advice) => say(format!("{:<13} {advice}", "advice")),
        None => Ok(()),
    }
}

async fn edit(args: EditArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let mut body = json!({});
    if let Some(name) = args.name {
        body["hostname"] = name.into();
    }
    if !args.mac.is_empty() {
        body["macs"] = args.mac.into();
    }
    if let Some(server_type) = args.server_type {
        body["server_type"] = server_type.into();
    }
    if let Some(address) = args.address {
        body["address"] = if address == "dhcp" { Value::Null } else { address.into() };
    }
    // Read first, so that what somebody else changes in between is not overwritten.
    let seen = client.get(&path(&args.host)).await?;
    let revision = seen["revision"].as_u64().unwrap_or_default();
    let host = client.patch(&format!("/api/hosts/{}", encoded(&text(&seen, "id"))), body, revision).await?;
    if args.json {
        return table::print_json(&host);
    }
    say(format!("{} is changed", text(&host, "hostname")))
}

async fn cancel(args: &ConfirmedArgs) -> anyhow::Result<()> {
    ask::confirm(&format!("The operation on {} will end, and its install with it.", args.name), args.yes)?;
    act(&args.name, "cancel", args.json, &args.connection).await
}

async fn resume(args: &ShowArgs) -> anyhow::Result<()> {
    act(&args.name, "resume", args.json, &args.connection).await
}

async fn act(name: &str, verb: &str, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let client = Client::open(connection).await?;
    let host = client.post(&format!("{}/{verb}", path(name)), Payload::Nothing).await?;
    if json {
        return table::print_json(&host);
    }
    say(format!("{} is {}", text(&host, "hostname"), text(&host, "phase")))
}

async fn remove(args: &ConfirmedArgs) -> anyhow::Result<()> {
    ask::confirm(&format!("{} will be forgotten; the machine is left as it is.", args.name), args.yes)?;
    Client::open(&args.connection).await?.delete(&path(&args.name)).await?;
    if args.json {
        return table::print_json(&json!({ "removed": args.name }));
    }
    say(format!("{} is forgotten", args.name))
}

fn path(host: &str) -> String {
    format!("/api/hosts/{}", encoded(host))
}
