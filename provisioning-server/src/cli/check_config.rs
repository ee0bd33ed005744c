//! `provisioning check-config`: every fault at once, or what the configuration means.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::failure::{Failure, Trouble};
use super::{configuration_path, variables};
use crate::config::{Config, Fault, Faults, Place, Setting, Shown};
use crate::setup::network;

/// Examples, for the help.
pub(super) const EXAMPLES: &str = "Examples:
  provisioning check-config --config provisioning.yaml && systemctl restart provisioning
  provisioning check-config --explain
  provisioning check-config --json | jq '.faults[] | .file, .line, .problem'

Exit codes:
  0  the configuration is in order; warnings are no faults
  1  there is no configuration
  9  it has faults";

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: super::ConfigArgs,
    /// Lists every key with what is in force and where that comes from: a line of the file, the environment, or the
    /// default. Secrets are not shown.
    #[arg(long)]
    explain: bool,
    /// Prints JSON for programs: faults, warnings and, with --explain, settings.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let path = configuration_path(args.config.config.as_deref())?;
    let outcome = Config::load(&path, variables());
    let mut out = io::stdout().lock();
    if args.json {
        return as_json(&mut out, &path, &outcome, args.explain);
    }
    let config = outcome?;
    crate::wire::inventory(config.infrastructure.as_ref())?;
    for warning in config.warnings.iter().chain(&doubts(&config)) {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "{} is in order", config.path.display())?;
    summary(&mut out, &config)?;
    if args.explain {
        explain(&mut out, &config)?;
    }
    Ok(())
}

/// What it means, in a few lines.
fn summary(out: &mut impl Write, config: &Config) -> io::Result<()> {
    let listen = config.server.listen;
    writeln!(out, "  listens on {listen}, machines use {}", config.site.public_url)?;
    if let Some(boot_url) = &config.site.boot_url {
        writeln!(out, "  firmware uses {boot_url}")?;
    }
    writeln!(out, "  keeps its data in {}", config.server.data_dir.display())?;
    match (&config.pxe.interface, config.pxe.enabled) {
        (Some(interface), true) => writeln!(out, "  answers netbooting machines on {interface}")?,
        _ => writeln!(out, "  leaves netbooting machines to your DHCP server: see provisioning dhcp-snippet --help")?,
    }
    writeln!(out, "  knows {} server types of {}", config.server_types.len(), config.server_types_file.display())?;
    match &config.site.cluster {
        Some(cluster) => writeln!(out, "  hosts join the cluster of {}", cluster.member),
        None => writeln!(out, "  hosts stay standalone: proxmox.existing_node is empty"),
    }
}

fn explain(out: &mut impl Write, config: &Config) -> io::Result<()> {
    let rows: Vec<[String; 3]> = config.settings().into_iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).min(48);
    let (keys, values) = (width(0), width(1));
    writeln!(out, "\nIn force, and where it comes from:")?;
    for [key, value, from] in &rows {
        writeln!(out, "  {key:keys$}  {value:values$}  {from}")?;
    }
    writeln!(out, "\nServer types of {}:", config.server_types_file.display())?;
    for class in &config.server_types {
        let disks = class.disk.wipes();
        writeln!(out, "  {}: {}; wipes {disks}, {}", class.key, class.display_name, class.disk.filesystem.as_str())?;
    }
    Ok(())
}

fn row(setting: Setting) -> [String; 3] {
    let value = match setting.value {
        Shown::Value(text) if text.is_empty() => "\"\"".to_owned(),
        Shown::Value(text) => text,
        Shown::Hidden => "(set, not shown)".to_owned(),
        Shown::Nothing => "-".to_owned(),
    };
    [setting.key, value, setting.from.unwrap_or_else(|| "default".to_owned())]
}

/// What is no fault of the configuration, but does not fit this machine: it may be checked on another one.
fn doubts(config: &Config) -> Vec<Fault> {
    let mut doubts = vec![];
    let mut doubt = |key: &str, problem: String| {
        let place = config.place_of(key);
        doubts.push(Fault { place, key: key.to_owned(), problem, help: None });
    };
    if let (Some(interface), Ok(present)) = (&config.pxe.interface, network::interfaces())
        && !present.iter().any(|name| name == interface.as_str())
    {
        doubt("pxe.interface", format!("{interface} is no interface of this machine; it has {}", present.join(", ")));
    }
    if let std::net::IpAddr::V4(address) = config.server.listen.ip()
        && !network::is_own(address)
    {
        doubt("server.listen", format!("{address} is no address of this machine, so nothing can listen on it"));
    }
    doubts
}

fn as_json(
    out: &mut impl Write,
    path: &PathBuf,
    outcome: &Result<Config, Faults>,
    with_settings: bool,
) -> anyhow::Result<()> {
    let (mut faults, mut warnings, mut settings) = (vec![], vec![], Value::Null);
    match outcome {
        Ok(config) => {
            if let Err(error) = crate::wire::inventory(config.infrastructure.as_ref()) {
                faults.push(json!({ "key": "infrastructure", "problem": format!("{error:#}") }));
            }
            warnings.extend(config.warnings.iter().chain(&doubts(config)).map(fault_as_json));
            if with_settings {
                settings = config.settings().into_iter().map(setting_as_json).collect();
            }
        }
        Err(Faults(found)) => faults.extend(found.iter().map(fault_as_json)),
    }
    let in_order = faults.is_empty();
    let mut report = json!({ "path": path, "in_order": in_order, "faults": faults, "warnings": warnings });
    if !settings.is_null() {
        report["settings"] = settings;
    }
    writeln!(out, "{report:#}")?;
    if in_order {
        return Ok(());
    }
    Err(Failure::new(Trouble::BadConfiguration, format!("{} has faults", path.display())).into())
}

fn fault_as_json(fault: &Fault) -> Value {
    let mut value = json!({ "key": fault.key, "problem": fault.problem, "help": fault.help });
    match &fault.place {
        Place::File { path, line, column } => {
            value["file"] = json!(path.as_ref());
            // Line 0 is the whole file.
            if *line > 0 {
                value["line"] = json!(line);
                value["column"] = json!(column);
            }
        }
        Place::Variable(name) => value["variable"] = json!(name),
    }
    value
}

fn setting_as_json(setting: Setting) -> Value {
    let (value, is_set) = match setting.value {
        Shown::Value(text) => (Some(text), true),
        Shown::Hidden => (None, true),
        Shown::Nothing => (None, false),
    };
    json!({ "key": setting.key, "value": value, "set": is_set, "from": setting.from.unwrap_or_else(|| "default".into()) })
}
