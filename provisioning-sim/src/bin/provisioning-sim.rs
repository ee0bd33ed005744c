//! The simulator's command line: a fleet, one machine, or an image.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on its standard streams")]

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use provisioning_core::model::{CertFingerprint, Hostname, Release, Secret};
use provisioning_sim::real::fleet::{ClusterOptions, Fleet, FleetEvent, FleetOptions, Summary};
use provisioning_sim::real::iso::{self, IsoOptions};
use provisioning_sim::world::cli as world;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Simulated machines that netboot, install and join over real HTTP and real SSH.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register machines with a server, switch them on, and wait until each one is ready or failed
    #[command(after_help = FLEET_EXAMPLES)]
    Fleet(FleetArgs),
    /// The same with one machine, printing every step it takes
    #[command(after_help = HOST_EXAMPLES)]
    Host(ServerArgs),
    /// Run the production orchestrator in a virtual world where everything goes wrong, from one seed
    #[command(after_help = world::EXAMPLES)]
    World(world::WorldArgs),
    /// Write a small synthetic Proxmox VE ISO of the real layout
    #[command(after_help = ISO_EXAMPLES)]
    Iso(IsoArgs),
}

const FLEET_EXAMPLES: &str = "\
Examples:
  provisioning-sim fleet --print-config                      lines for the server's provisioning.yaml
  provisioning-sim fleet --server http://127.0.0.1:8080 --token-file token --hosts 50 --seed 7
  PROVISIONING_TOKEN=... provisioning-sim fleet --server http://127.0.0.1:8080 --release 8.4 --keep

The machines have addresses in 127.0.0.0/8, by the seed: run the server on the same machine, with proxmox.ssh_port set
to --ssh-port. The exit status is 0 only when every host is ready.";

const HOST_EXAMPLES: &str = "\
Example:
  provisioning-sim host --server http://127.0.0.1:8080 --token-file token --seed 3";

const ISO_EXAMPLES: &str = "\
Example:
  provisioning-sim iso --out /tmp/proxmox-ve_9.2-1.iso --release 9.2 --size-mb 8";

#[derive(Debug, Args)]
struct FleetArgs {
    /// How many machines
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=60_000))]
    hosts: u16,
    /// How often a host that failed is rebuilt
    #[arg(long, default_value_t = 0, value_name = "N")]
    rebuild_failed: u32,
    /// Keep the machines running after the summary, until interrupted
    #[arg(long)]
    keep: bool,
    /// Print the lines that the server's configuration needs for the simulated cluster, and do nothing else
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// The server's base address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// Where firmware boots from, when the server has a door without TLS for it
    #[arg(long, value_name = "URL")]
    boot_server: Option<String>,
    /// The certificate of a server that made its own, as PEM: tls/cert.pem of its data directory
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The operator's token; it is seen in the process list, so prefer the variable or --token-file
    #[arg(long, env = "PROVISIONING_TOKEN", hide_env_values = true, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the operator's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Decides addresses, names and delays
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The release to install; the server is given a synthetic image when it has none of it
    #[arg(long, default_value = "9.2")]
    release: Release,
    /// The server type to register the hosts with; the server's first one otherwise
    #[arg(long, value_name = "KEY")]
    server_type: Option<String>,
    /// What the hosts' names begin with
    #[arg(long, default_value = "sim")]
    name_prefix: String,
    /// Where the machines' sshd listens; the server's proxmox.ssh_port must say the same
    #[arg(long, default_value_t = 2222)]
    ssh_port: u16,
    /// Kernel names of the machines' disks, with commas [default: sda,sdb,nvme0n1,nvme1n1]
    #[arg(long, value_delimiter = ',')]
    disks: Vec<String>,
    /// Node name of the simulated cluster's member: the server's proxmox.existing_node
    #[arg(long, default_value = ClusterOptions::MEMBER)]
    member: Hostname,
    /// The member's certificate: the server's proxmox.join_fingerprint
    #[arg(long, default_value = ClusterOptions::FINGERPRINT)]
    fingerprint: CertFingerprint,
    /// A file with root's password on the member [default: the password is "simulated-cluster"]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Seconds after which to stop waiting [default: never]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Milliseconds that one second of a machine lasts
    #[arg(long, default_value_t = 10, value_name = "MS")]
    second: u64,
}

#[derive(Debug, Args)]
struct IsoArgs {
    /// Where to write the image
    #[arg(long)]
    out: PathBuf,
    /// The release it claims to be
    #[arg(long, default_value = "9.2")]
    release: Release,
    /// Its size in MiB, roughly
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=2048))]
    size_mb: u16,
    /// Decides its content
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    perform(Cli::parse().command).await.unwrap_or_else(|error| {
        eprintln!("provisioning-sim: {error:#}");
        ExitCode::FAILURE
    })
}

async fn perform(command: Command) -> anyhow::Result<ExitCode> {
    // In the virtual world every warning is one that was asked for.
    if !matches!(command, Command::World(_)) {
        tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    }
    match command {
        Command::Iso(args) => write_iso(&args),
        // It has runtimes of its own, one per run and thread.
        Command::World(args) => tokio::task::spawn_blocking(move || world::run(&args)).await?,
        Command::Fleet(args) if args.print_config => {
            let cluster = cluster(&args.server)?;
            print!("{}", cluster.config_lines(args.server.ssh_port));
            println!("# join-password holds root's password on the simulated member: {:?}", ClusterOptions::PASSWORD);
            println!("# unless another is given by --password-file");
            Ok(ExitCode::SUCCESS)
        }
        Command::Fleet(args) => {
            let mut options = options(&args.server)?;
            options.hosts = args.hosts;
            options.rebuild_failed = args.rebuild_failed;
            run(options, std::io::stderr().is_terminal(), args.keep).await
        }
        Command::Host(args) => {
            let mut options = options(&args)?;
            options.hosts = 1;
            run(options, false, false).await
        }
    }
}

fn write_iso(args: &IsoArgs) -> anyhow::Result<ExitCode> {
    let options = IsoOptions {
        release: args.release,
        filler_bytes: usize::from(args.size_mb) << 20,
        seed: args.seed,
        ..IsoOptions::default()
    };
    iso::write_file(&options, &args.out).with_context(|| format!("cannot write {}", args.out.display()))?;
    println!("{} written; import it with `provisioning image import {0}`", args.out.display());
    Ok(ExitCode::SUCCESS)
}

fn options(args: &ServerArgs) -> anyhow::Result<FleetOptions> {
    let mut options = FleetOptions::new(&args.server);
    options.boot_server.clone_from(&args.boot_server);
    if let Some(file) = &args.ca_file {
        options.ca_pem = Some(std::fs::read_to_string(file).with_context(|| format!("--ca-file {}", file.display()))?);
    }
    options.token = match &args.token_file {
        Some(file) => Some(secret(file)?),
        None => args.token.clone().map(Secret::new),
    };
    options.seed = args.seed;
    options.release = args.release;
    options.server_type.clone_from(&args.server_type);
    options.name_prefix.clone_from(&args.name_prefix);
    options.ssh_port = args.ssh_port;
    options.disks.clone_from(&args.disks);
    options.cluster = Some(cluster(args)?);
    options.timeout = args.timeout.map(Duration::from_secs);
    options.timing.second = Duration::from_millis(args.second);
    Ok(options)
}

fn cluster(args: &ServerArgs) -> anyhow::Result<ClusterOptions> {
    let mut cluster = ClusterOptions { member: args.member.clone(), ..ClusterOptions::default() };
    cluster.fingerprint = args.fingerprint;
    if let Some(file) = &args.password_file {
        cluster.password = secret(file)?;
    }
    Ok(cluster)
}

fn secret(file: &PathBuf) -> anyhow::Result<Secret<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn run(options: FleetOptions, bars: bool, keep: bool) -> anyhow::Result<ExitCode> {
    let (watch, events) = unbounded_channel();
    let total = u64::from(options.hosts);
    let shown = tokio::spawn(show(events, bars.then(|| bar(total))));
    let mut fleet = Fleet::new(options, watch)?;
    let summary = tokio::select! {
        summary = fleet.run() => summary?,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            anyhow::bail!("interrupted: the machines are gone, the server will find them missing");
        }
    };
    if keep {
        println!("{summary}\nthe machines stay up until you interrupt them with Ctrl-C");
        tokio::signal::ctrl_c().await?;
    }
    // The last sender goes with the fleet, and so the display ends before the last word.
    drop(fleet);
    shown.await?;
    println!("{summary}");
    Ok(exit_code(&summary))
}

fn exit_code(summary: &Summary) -> ExitCode {
    if summary.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} ready  {wide_msg}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar on a terminal, where only trouble is worth a line; every step in lines otherwise.
async fn show(mut events: UnboundedReceiver<FleetEvent>, bar: Option<ProgressBar>) {
    while let Some(event) = events.recv().await {
        let line = match &event {
            FleetEvent::Note(text) => text.clone(),
            FleetEvent::Host(report) => {
                format!("{:>9.3}s {}  {}", report.at.as_secs_f64(), report.host, report.event)
            }
            FleetEvent::Phase { host, phase } => format!("           {host}  is {phase}"),
        };
        let Some(bar) = &bar else {
            println!("{line}");
            continue;
        };
        match &event {
            FleetEvent::Phase { phase, .. } if phase == "ready" => bar.inc(1),
            FleetEvent::Host(report) if report.event.is_trouble() => bar.println(line),
            _ => bar.set_message(line.trim_start().to_owned()),
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
