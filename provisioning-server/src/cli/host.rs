//! `provisioning host …`

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, Payload};
use super::{Connection, table};

#[derive(Debug, Subcommand)]
pub(super) enum HostCommand {
    /// Register a host.
    #[command(after_help = "Examples:
  provisioning host add pve-07 --mac 52:54:00:12:34:56 --server-type lab
  provisioning host add pve-08 --mac 52:54:00:12:34:57 --server-type lab --address 10.0.0.8/24")]
    Add(AddArgs),
    /// List the hosts, by name.
    #[command(after_help = "Examples:
  provisioning host list
  provisioning host list --phase failed --json")]
    List {
        /// Only hosts in this phase: registered, pxe_ready, pxe_booted, installing, installed, first_boot, joining,
        /// ready or failed.
        #[arg(long)]
        phase: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Install a host: its disks are wiped, then it joins the cluster.
    #[command(after_help = "Examples:
  provisioning host rebuild pve-07                   shows what will happen, and asks
  provisioning host rebuild pve-07 --yes             for scripts, as long as the host was never ready
  provisioning host rebuild pve-07 --confirm pve-07  for scripts, also when it was ready before")]
    Rebuild(RebuildArgs),
    /// End the operation that runs on a host.
    #[command(after_help = "Example:\n  provisioning host cancel pve-07")]
    Cancel(NameArgs),
    /// Take a failed join up again, without reinstalling.
    #[command(after_help = "Example:\n  provisioning host resume pve-07")]
    Resume(NameArgs),
    /// Forget a host. The machine itself is left as it is.
    #[command(after_help = "Example:\n  provisioning host remove pve-07")]
    Remove(NameArgs),
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
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
pub(super) struct RebuildArgs {
    /// The host's name or id.
    name: String,
    /// The image's name or id; without it the one imported last.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Do not ask. A host that was ready before needs --confirm all the same.
    #[arg(long)]
    yes: bool,
    /// The host's name once more: wipe it although it was ready before, and do not ask.
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The host's name or id.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(command: HostCommand) -> anyhow::Result<()> {
    match command {
        HostCommand::Add(args) => add(args).await,
        HostCommand::List { phase, json, connection } => list(phase.as_deref(), json, &connection).await,
        HostCommand::Rebuild(args) => rebuild(args).await,
        HostCommand::Cancel(args) => act(&args, "cancel").await,
        HostCommand::Resume(args) => act(&args, "resume").await,
        HostCommand::Remove(args) => remove(&args).await,
    }
}

async fn add(args: AddArgs) -> anyhow::Result<()> {
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

async fn list(phase: Option<&str>, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let client = Client::open(connection).await?;
    let mut hosts: Vec<Value> = vec![];
    let mut after = String::new();
    loop {
        let phase = phase.map(|phase| format!("&phase={}", encoded(phase))).unwrap_or_default();
        let page = client.get(&format!("/api/hosts?limit=1000{after}{phase}")).await?;
        hosts.extend(page.get("hosts").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    if json {
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

async fn rebuild(args: RebuildArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let path = format!("/api/hosts/{}/rebuild", encoded(&args.name));
    let mut body = args.image.map_or_else(|| json!({}), |image| json!({ "image": image }));
    let preflight = client.post(&format!("{path}?dry_run=true"), Payload::Json(body.clone())).await?;
    show(&preflight)?;
    if preflight.get("faults").and_then(Value::as_array).is_some_and(|faults| !faults.is_empty()) {
        bail!("the host cannot be installed like this");
    }
    // Named by its id, the host is still confirmed by its name.
    let fqdn = text(&preflight, "fqdn");
    let name = fqdn.split('.').next().unwrap_or_default();
    let needs_name = preflight.get("needs_confirmation").and_then(Value::as_bool).unwrap_or(true);
    let confirm = match args.confirm {
        Some(confirm) => Some(confirm),
        None if needs_name => Some(asked(&format!("It was ready before. Type {name} to wipe it: "), "--confirm NAME")?),
        None if args.yes => None,
        None => {
            let answer = asked("Type yes to start: ", "--yes")?;
            if answer != "yes" {
                bail!("nothing was started");
            }
            None
        }
    };
    if let Some(confirm) = confirm {
        body["confirm"] = confirm.into();
    }
    let started = client.post(&path, Payload::Json(body)).await?;
    say(match started.get("power").and_then(Value::as_str) {
        Some("cycling") => format!("started; {name} is being restarted into the network"),
        _ => format!("started; now let {name} start from the network"),
    })
}

fn show(preflight: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let image = preflight.get("image").map(|image| text(image, "name")).unwrap_or_default();
    writeln!(out, "installs  {image} as {}", text(preflight, "fqdn"))?;
    writeln!(out, "wipes     {}", text(preflight, "wipes"))?;
    match preflight.get("joins").and_then(Value::as_str) {
        Some(member) => writeln!(out, "joins     the cluster of {member}")?,
        None => writeln!(out, "joins     nothing: it stays standalone")?,
    }
    for (title, key) in [("warning", "warnings"), ("fault", "faults")] {
        for line in preflight.get(key).and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "{title:<9} {}", line.as_str().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Asks the person at the terminal; scripts are told which flag answers for them.
fn asked(question: &str, flag: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        bail!("this asks for confirmation and there is no terminal: use {flag}");
    }
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes())?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

async fn act(args: &NameArgs, verb: &str) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    let host = client.post(&format!("/api/hosts/{}/{verb}", encoded(&args.name)), Payload::Nothing).await?;
    say(format!("{} is {}", text(&host, "hostname"), text(&host, "phase")))
}

async fn remove(args: &NameArgs) -> anyhow::Result<()> {
    let client = Client::open(&args.connection).await?;
    client.delete(&format!("/api/hosts/{}", encoded(&args.name))).await?;
    say(format!("{} is forgotten", args.name))
}

pub(super) fn say(line: impl AsRef<str>) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{}", line.as_ref())?;
    Ok(())
}

pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or("?").to_owned()
}

/// A name as part of a URL: what no name has is percent-encoded, so that it cannot become another path.
pub(super) fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
