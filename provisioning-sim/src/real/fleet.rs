//! A fleet of simulated machines against one provisioning server, from the first registration to the last host ready.
//!
//! The server is reached over HTTP alone: as an operator through its API, and by the machines as machines do. So the
//! same fleet exercises a server elsewhere, one in the same process, and one that is killed and started again.

mod operator;
mod options;
mod summary;
mod systems;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::host::{Hardware, HostReport, HostSpec, PowerButton, SimHost};
use super::iso::{self, IsoOptions};
pub use operator::{FailureStatus, HostStatus, ImageStatus, Operator, OperatorError};
pub use options::{ClusterOptions, FleetOptions};
pub use summary::{Failure, Summary};
pub use systems::SshSystems;

/// How often the hosts' phases are asked for.
const POLL: Duration = Duration::from_millis(200);

/// What happens in a fleet, for those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetEvent {
    /// What the fleet itself does.
    Note(String),
    /// A machine did something.
    Host(HostReport),
    /// The server sees a host in another phase.
    Phase {
        /// The host's name.
        host: String,
        /// `registered`, ..., `ready`, `failed`.
        phase: String,
    },
}

/// A fleet that was not started yet.
pub struct Fleet {
    options: FleetOptions,
    operator: Operator,
    systems: Arc<SshSystems>,
    watch: UnboundedSender<FleetEvent>,
    /// The machines' lives: dropping the fleet ends them.
    machines: JoinSet<()>,
}

/// One machine, and the phase that the server sees it in.
struct Member {
    button: PowerButton,
    phase: String,
    rebuilds: u32,
}

impl Fleet {
    /// Prepares a fleet; its events go to `watch`, and nobody needs to listen.
    ///
    /// # Errors
    /// When no HTTP client can be made for this server.
    pub fn new(options: FleetOptions, watch: UnboundedSender<FleetEvent>) -> Result<Self, OperatorError> {
        let operator =
            Operator::trusting(&options.server, options.token.clone(), options.outage_max, options.ca_pem.as_deref())?;
        let systems = Arc::new(SshSystems::new(options.cluster.as_ref().map(ClusterOptions::found), options.join_pace));
        Ok(Self { options, operator, systems, watch, machines: JoinSet::new() })
    }

    /// Registers the hosts, rebuilds them, switches the machines on, and waits until the server calls each one ready
    /// or failed. The machines live on until the fleet is dropped.
    ///
    /// # Errors
    /// When the server refuses what an operator asks, or is away for longer than it may.
    pub async fn run(&mut self) -> Result<Summary, OperatorError> {
        let started = Instant::now();
        let image = self.image().await?;
        let server_type = match self.options.server_type.clone() {
            Some(chosen) => chosen,
            None => self.operator.first_server_type().await?,
        };
        let mut members = BTreeMap::new();
        for number in 0..self.options.hosts {
            let (name, member) = self.enlist(number, &server_type, &image).await?;
            members.insert(name, member);
        }
        self.note(format!("{} machines are switched on", members.len()));
        let mut failures = BTreeMap::new();
        let mut timed_out = false;
        while !self.settled(&mut members, &mut failures, &image).await? {
            if self.options.timeout.is_some_and(|limit| started.elapsed() > limit) {
                timed_out = true;
                break;
            }
            if let Some(Err(died)) = self.machines.try_join_next() {
                return Err(OperatorError::Task(died));
            }
            tokio::time::sleep(POLL).await;
        }
        let phases = members.into_iter().map(|(name, member)| (name, member.phase)).collect();
        Ok(Summary::new(
            &phases,
            failures,
            timed_out,
            self.systems.cluster().map(|cluster| cluster.now().records().clone()).as_ref(),
        ))
    }

    /// An image of the wished release: one that the server has, or a synthetic one that it is given.
    async fn image(&self) -> Result<String, OperatorError> {
        let release = self.options.release;
        let present = self.operator.images().await?;
        if let Some(image) = present.iter().find(|image| image.release == release.to_string()) {
            self.note(format!("the server has image {} of release {release}", image.name));
            return Ok(image.id.clone());
        }
        let options = IsoOptions {
            release,
            seed: self.options.seed,
            filler_bytes: self.options.iso_filler_bytes,
            ..IsoOptions::default()
        };
        let name = options.file_name();
        let bytes = tokio::task::spawn_blocking(move || iso::build(&options)).await.map_err(OperatorError::Task)?;
        self.note(format!("the server is given {name}, {} bytes", bytes.len()));
        Ok(self.operator.import(bytes, &name).await?.id)
    }

    /// Registers one host, starts its rebuild, and switches its machine on.
    async fn enlist(&mut self, number: u16, server_type: &str, image: &str) -> Result<(String, Member), OperatorError> {
        let name = self.options.host_name(number);
        let hardware = Hardware::numbered(self.options.seed, number, &name).with_disks(&self.options.disks);
        let macs: Vec<String> = hardware.nics.iter().map(|nic| nic.mac.to_string()).collect();
        let host = self.operator.register(&name, &macs, server_type).await?;
        self.operator.rebuild(&host, image).await?;
        let spec = HostSpec {
            name: name.clone(),
            ip: hardware.address(),
            hardware,
            ssh_port: self.options.ssh_port,
            server: self.options.boot_server.clone().unwrap_or_else(|| self.options.server.clone()),
            seed: self.options.seed.wrapping_mul(0x1_0001).wrapping_add(u64::from(number)),
            timing: self.options.timing,
        };
        let (reports, mut received) = mpsc::unbounded_channel();
        let (machine, button) = SimHost::new(spec, self.systems.clone(), reports).map_err(OperatorError::Machine)?;
        self.machines.spawn(machine.run());
        let watch = self.watch.clone();
        self.machines.spawn(async move {
            while let Some(report) = received.recv().await {
                // Nobody needs to watch.
                watch.send(FleetEvent::Host(report)).ok();
            }
        });
        let member = Member { button, phase: host.phase, rebuilds: 0 };
        Ok((name, member))
    }

    /// Asks for all phases once. True when each host is ready, or failed without another rebuild being wished.
    async fn settled(
        &self,
        members: &mut BTreeMap<String, Member>,
        failures: &mut BTreeMap<String, Failure>,
        image: &str,
    ) -> Result<bool, OperatorError> {
        let mut settled = 0;
        for host in self.operator.hosts().await? {
            let Some(member) = members.get_mut(&host.hostname) else { continue };
            if member.phase != host.phase {
                member.phase.clone_from(&host.phase);
                let event = FleetEvent::Phase { host: host.hostname.clone(), phase: host.phase.clone() };
                self.watch.send(event).ok();
            }
            match host.phase.as_str() {
                "ready" => {
                    failures.remove(&host.hostname);
                    settled += 1;
                }
                "failed" if member.rebuilds < self.options.rebuild_failed => {
                    self.note(format!("{} failed and is rebuilt", host.hostname));
                    self.operator.rebuild(&host, image).await?;
                    member.rebuilds += 1;
                    member.button.cycle();
                }
                "failed" => {
                    failures.insert(host.hostname.clone(), Failure::of(&host));
                    settled += 1;
                }
                _ => {}
            }
        }
        Ok(settled == members.len())
    }

    fn note(&self, text: String) {
        // Nobody needs to watch.
        self.watch.send(FleetEvent::Note(text)).ok();
    }
}
