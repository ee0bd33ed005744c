//! `provisioning discovered …` and `provisioning pxe-doctor …`

use std::io;

use clap::{Args, Subcommand};
use provisioning_core::model::MacAddr;
use serde_json::{Value, json};

use super::client::{Client, Payload};
use super::table::{encoded, say, text};
use super::{Connection, table};

#[derive(Debug, Subcommand)]
pub(super) enum DiscoveredCommand {
    /// List the machines that were seen on the network and belong to no host, the one seen last first.
    #[command(after_help = "Examples:
  provisioning discovered list
  provisioning discovered list --dismissed --json")]
    List {
        /// The dismissed ones too.
        #[arg(long)]
        dismissed: bool,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make a host of a discovered machine.
    #[command(after_help = "Example:
  provisioning discovered adopt 52:54:00:12:34:56 pve-07 --server-type lab")]
    Adopt(AdoptArgs),
    /// Hide a discovered machine for 30 days.
    #[command(after_help = "Example:\n  provisioning discovered dismiss 52:54:00:12:34:56")]
    Dismiss {
        /// Its address.
        mac: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// The machine's address, as `discovered list` shows it.
    mac: String,
    /// The host's name, a DNS label.
    name: String,
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
pub(super) struct DoctorArgs {
    /// The address of a NIC, registered or not; or the name or id of a host, for all its NICs.
    #[arg(value_name = "MAC|HOST")]
    machine: String,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: DiscoveredCommand) -> anyhow::Result<()> {
    match command {
        DiscoveredCommand::List { dismissed, json, connection } => list(dismissed, json, &connection).await,
        DiscoveredCommand::Adopt(args) => adopt(args).await,
        DiscoveredCommand::Dismiss { mac, connection } => {
            let client = Client::open(&connection).await?;
            client.delete(&format!("/api/discovered/{}", encoded(&mac))).await?;
            say(format!("{mac} is hidden for 30 days"))
        }
    }
}

async fn list(dismissed: bool, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let client = Client::open(connection).await?;
    let found = client.get(&format!("/api/discovered?dismissed={dismissed}")).await?;
    if json {
        return table::print_json(&found);
    }
    let columns = [
        ("MAC", "mac"),
        ("LAST SEEN", "last_seen_at"),
        ("TIMES", "times_seen"),
        ("ADDRESS", "address"),
        ("BOOTS", "arch"),
        ("PROGRAM", "agent"),
        ("LAST STEP", "last_step_title"),
    ];
    table::print(found.get("machines").and_then(Value::as_array).map_or(&[][..], Vec::as_slice), &columns)?;
    Ok(())
}

async fn adopt(args: AdoptArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let mut body = json!({ "hostname": args.name, "server_type": args.server_type });
    if let Some(address) = args.address {
        body["address"] = address.into();
    }
    let path = format!("/api/discovered/{}/adopt", encoded(&args.mac));
    let host = client.post(&path, Payload::Json(body)).await?;
    if args.json {
        return table::print_json(&host);
    }
    say(format!("{} is registered; `provisioning host rebuild {0}` installs it", text(&host, "hostname")))
}

/// Asks the PXE doctor.
pub(super) async fn diagnose(args: DoctorArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let macs = if let Ok(mac) = args.machine.parse::<MacAddr>() {
        vec![mac.to_string()]
    } else {
        let host = client.get(&format!("/api/hosts/{}", encoded(&args.machine))).await?;
        items(&host, "macs").iter().filter_map(|mac| mac.as_str().map(str::to_owned)).collect()
    };
    let mut said = vec![];
    for mac in macs {
        said.push(client.get(&format!("/api/doctor/{}", encoded(&mac))).await?);
    }
    if args.json {
        return table::print_json(&json!({ "diagnoses": said }));
    }
    let mut out = io::stdout().lock();
    for diagnosis in &said {
        show(&mut out, diagnosis)?;
    }
    Ok(())
}

fn show(out: &mut impl io::Write, diagnosis: &Value) -> io::Result<()> {
    let host = diagnosis.get("host").and_then(Value::as_str);
    let whose = host.map_or("no host's".to_owned(), |host| format!("{host}, {}", text(diagnosis, "phase")));
    writeln!(out, "{} ({whose})", text(diagnosis, "mac"))?;
    writeln!(out, "{}: {}", text(diagnosis, "severity"), text(diagnosis, "summary"))?;
    for step in items(diagnosis, "steps") {
        let sign = match step.get("mark").and_then(Value::as_str) {
            Some("done") => "+",
            Some("skipped") => "-",
            Some("next") => ">",
            _ => " ",
        };
        let at = step.get("done_at").and_then(Value::as_str).unwrap_or_default();
        let detail = step.get("detail").and_then(Value::as_str).unwrap_or_default();
        writeln!(out, "{}", format!("  {sign} {:<34} {at:<24} {detail}", text(step, "title")).trim_end())?;
    }
    if let Some(cause) = diagnosis.get("likely_cause").and_then(Value::as_str) {
        writeln!(out, "likely: {cause}")?;
    }
    for advice in items(diagnosis, "advice") {
        writeln!(out, "  * {}", advice.as_str().unwrap_or_default())?;
    }
    if let Some(snippet) = diagnosis.get("snippet").filter(|snippet| !snippet.is_null()) {
        for line in items(snippet, "lines") {
            writeln!(out, "      {}", line.as_str().unwrap_or_default())?;
        }
        writeln!(out, "  for other DHCP servers: {}", text(snippet, "command"))?;
    }
    for note in items(diagnosis, "notes") {
        writeln!(out, "note: {}", note.as_str().unwrap_or_default())?;
    }
    Ok(())
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
