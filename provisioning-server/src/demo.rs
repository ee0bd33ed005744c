//! `provisioning demo`: the real server with simulated machines and a simulated cluster, all on loopback.
//!
//! Nothing is simplified on the server's side: HTTP, SQLite, SSH and the streamed ISO are the real ones.

mod boot_log;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use provisioning_adapters::system::SystemEntropy;
use provisioning_core::machine::Policy;
use provisioning_core::model::{
    Cluster, DiskSelection, DiskSetup, Filesystem, JoinSecret, LvmOptions, Secret, ServerType, Site,
};
use provisioning_core::orchestrator::{Orchestrator, Retention};
use provisioning_core::ports::EntropyExt as _;
use provisioning_sim::real::fleet::{ClusterOptions, Fleet, FleetEvent, FleetOptions, Summary};
use provisioning_sim::real::host::{HostEvent, Timing};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cli::serve::stop_signal;
use crate::config::{AuthConfig, Config, LogFormat, LoggingConfig, LoginConfig, Origins, PxeConfig, ServerConfig};
use crate::data_dir::DataDir;
use crate::http::listen;
use crate::wire::{Role, access, wire};

/// What the demo is told.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stop when every host is ready or failed; the exit status is 0 only when all are ready.
    #[arg(long)]
    once: bool,
    /// How many machines.
    #[arg(long, default_value_t = 6, value_name = "N")]
    hosts: u16,
    /// Decides everything about the machines that looks random.
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
}

/// How long one of the machines' seconds lasts when somebody watches: a life takes about 110 of them.
const WATCHED_SECOND: Duration = Duration::from_millis(100);

/// Runs the demo.
///
/// # Errors
/// When the server cannot start, or a host does not come to ready with `--once`.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    crate::logging::start(&LoggingConfig { format: LogFormat::Text, level: "warn".to_owned() })?;
    let signal = stop_signal()?;
    let tcp = listen::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = tcp.local_addr()?;
    let reached = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let url = format!("http://{}", SocketAddr::new(reached, address.port()));
    let mut options = FleetOptions::new(url.clone());
    (options.hosts, options.seed) = (args.hosts, args.seed);
    options.ssh_port = free_port()?;
    if !args.once {
        options.timing = Timing { second: WATCHED_SECOND, ..Timing::default() };
    }

    let scratch = Scratch::new()?;
    let data = DataDir::open(&scratch.0)?;
    let config = config(&url, address, &options, &scratch.0)?;
    let (access, token) = access(&config, &data)?;
    options.token.clone_from(&token);
    let running = wire(&config, &data, access, Role::Serve).await?.start(tcp, None)?;
    let once = args.once;
    say(&format!("dashboard on {url}, {} simulated machines, seed {}", args.hosts, args.seed))?;
    if let Some(token) = &token {
        say(&format!("log in with {}", token.expose()))?;
    }

    let (watch, events) = unbounded_channel();
    let mut fleet = Fleet::new(options, watch)?;
    let orchestrator = Arc::clone(&running.app().orchestrator);
    let shown = tokio::spawn(show(events, Arc::clone(&orchestrator)));
    let mut outcome = None;
    running
        .until(async {
            let mut signal = std::pin::pin!(signal);
            let mut strangers = std::pin::pin!(boot_log::strangers(&orchestrator));
            let summary = tokio::select! {
                biased;
                () = &mut signal => return,
                summary = fleet.run() => summary,
                () = &mut strangers => return,
            };
            outcome = Some(summary);
            if !once && matches!(outcome, Some(Ok(_))) {
                say("all machines have settled; press Ctrl-C to stop").ok();
                tokio::select! {
                    biased;
                    () = signal => {}
                    () = strangers => {}
                }
            }
        })
        .await?;
    // The last sender goes with the fleet, and so the display ends.
    drop(fleet);
    shown.await??;
    match outcome {
        Some(summary) => judge(&summary?),
        None if once => bail!("stopped before the machines had settled"),
        None => Ok(()),
    }
}

/// A port that nobody has: demos and fleets on one machine share its loopback addresses.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn judge(summary: &Summary) -> anyhow::Result<()> {
    say(&summary.to_string())?;
    if summary.is_success() { Ok(()) } else { bail!("not every host came to ready") }
}

/// One line a phase.
async fn show(mut events: UnboundedReceiver<FleetEvent>, orchestrator: Arc<Orchestrator>) -> io::Result<()> {
    while let Some(event) = events.recv().await {
        match event {
            FleetEvent::Phase { host, phase } => say(&format!("{host}  {phase}"))?,
            FleetEvent::Note(text) => say(&text)?,
            FleetEvent::Host(report) => {
                if report.event == HostEvent::PoweredOn {
                    boot_log::machine_starts(&orchestrator, &report.host).await;
                }
            }
        }
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn config(url: &str, listen: SocketAddr, options: &FleetOptions, data_dir: &Path) -> anyhow::Result<Config> {
    let cluster = options.cluster.as_ref().map(cluster).transpose()?;
    let site = Site {
        public_url: url.parse()?,
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "demo.internal".parse()?,
        country: "us".parse()?,
        timezone: "UTC".parse()?,
        keyboard: "en-us".parse()?,
        mailto: "root@localhost".parse()?,
        // Of the right form and nobody's password: the machines are entered by key alone.
        root_password_hash: format!("$6$demo${}", ".".repeat(86)).parse()?,
        root_ssh_keys: vec![],
        static_network: None,
        cluster,
    };
    let disk = DiskSetup::new(DiskSelection::Named(vec!["sda".parse()?]), Filesystem::Ext4(LvmOptions::default()))?;
    let server_type = ServerType {
        key: "demo".parse()?,
        display_name: "Simulated machine".to_owned(),
        disk,
        management_nic: None,
        gpu: None,
        hostname_prefix: None,
    };
    // Whoever shares this machine may watch; beyond it a token is asked for.
    let auth = if listen.ip().is_loopback() { AuthConfig::Open } else { AuthConfig::Token { admin: None } };
    Ok(Config {
        path: PathBuf::new(),
        server: ServerConfig {
            listen,
            data_dir: data_dir.to_owned(),
            tls: None,
            boot_listen: None,
            artifact_listen: None,
        },
        site,
        ssh_port: options.ssh_port,
        api_token: None,
        policy: Policy::default(),
        infrastructure: None,
        retention: Retention::default(),
        max_streams: None,
        max_bandwidth: None,
        pxe: PxeConfig::default(),
        auth,
        logins: LoginConfig::default(),
        logging: LoggingConfig { format: LogFormat::Text, level: "warn".to_owned() },
        notify: vec![],
        server_types: vec![server_type],
        server_types_file: PathBuf::new(),
        warnings: vec![],
        origins: Origins::default(),
    })
}

fn cluster(options: &ClusterOptions) -> anyhow::Result<Cluster> {
    Ok(Cluster {
        member: options.member.as_str().parse()?,
        fingerprint: options.fingerprint,
        password: Secret::new(options.password.expose().clone()),
        join_secret: JoinSecret::Password,
    })
}

/// A directory that goes with the demo.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;

        let name = SystemEntropy.bytes::<8>().map(|byte| format!("{byte:02x}")).concat();
        let path = std::env::temp_dir().join(format!("provisioning-demo-{name}"));
        // Not recursive: a directory that somebody else has put there is refused.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind in a directory for temporary files does no harm.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
