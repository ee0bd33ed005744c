//! Where adapters meet the core: the only place that names concrete ones.

pub mod upkeep;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use provisioning_adapters::dnsmasq::{Dnsmasq, DnsmasqConfig, default_run_dir};
use provisioning_adapters::infrastructure::{InfrastructureClient, InfrastructureConfig as AdapterConfig, Method};
use provisioning_adapters::proxmox::ProxmoxMember;
use provisioning_adapters::sqlite::{SealingKey, SqliteStore};
use provisioning_adapters::ssh::SshShell;
use provisioning_adapters::system::{SystemClock, SystemEntropy};
use provisioning_core::model::Secret;
use provisioning_core::netboot::Sighting;
use provisioning_core::orchestrator::Ports;
use provisioning_core::ports::{
    BootServer, BoxError, Clock as _, ClusterMember, Inventory, NoInventory, NobodyToAsk, PersonAtThePowerButton,
};
use tokio::sync::mpsc;

use crate::access::{Access, AccessSetup, LoginPassword, hash_password};
use crate::config::{Config, InfrastructureConfig, InventoryMethod, PasswordConfig, TlsConfig};
use crate::data_dir::DataDir;
use crate::http::health;
use crate::http::metrics::{Metrics, Surroundings};
use crate::images::import::ImageStore;
use crate::netboot::{BootServerHealth, Health, LateBootServer, Netboot, Service, Start, Started, Task};
use crate::notify::{Notify, Patience};
use crate::plan_log::PlanLog;
use crate::server::{Server, Setup};
use crate::tls::{Names, Source, Tls};

/// Sightings that may wait to be told: what a rack of forty machines says in a second.
const SIGHTINGS_MAX: usize = 4096;

/// What a server is put together for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To serve machines and operators.
    Serve,
    /// For one command while no server runs: machines are not answered.
    Command,
}

/// Puts a server together on a locked data directory.
///
/// # Errors
/// When the database, the key file or the inventory's templates cannot be used.
pub async fn wire(config: &Config, data: &DataDir, access: AccessSetup, role: Role) -> anyhow::Result<Server> {
    let images = ImageStore::open(data.path()).await?;
    let metrics = Metrics::default();
    let store = SqliteStore::open_alone(&data.database(), metrics.on_commit())?;
    let notify = Notify::new(config.notify.clone(), Arc::new(store.clone()), Patience::default())?;
    let observer = metrics.on_delivery(notify.names());
    let notify = notify.observed_by(observer);
    let probe = store.clone();
    let ports = ports(config, store, &data.key_file())?;
    let tls = tls(config, data)?;
    let shown = tls.clone();
    metrics.look_at(Surroundings { database: data.database(), tls: tls.clone() });
    let (boot_server, netboot) = match role {
        // The last that can fail, so that no boot server runs for nothing.
        Role::Serve => boot_server(config, data).await?,
        Role::Command => without_boot_server(config),
    };
    let ports = Ports { boot_server, ..ports };
    let server = Server::new(Setup {
        ports,
        site: config.site.clone(),
        policy: config.policy.clone(),
        server_types: config.server_types.clone(),
        images,
        access,
        metrics,
        tls,
        netboot,
        warnings: config.warnings.iter().map(ToString::to_string).collect(),
        notify,
        max_streams: config.max_streams,
        max_bandwidth: config.max_bandwidth,
    });
    server.app().settings.get_or_init(|| config.settings());
    let data_dir = Some(data.path().to_owned());
    server.app().health.look_at(health::Surroundings { data_dir, probe: Some(Arc::new(probe)), tls: shown });
    Ok(server)
}

fn tls(config: &Config, data: &DataDir) -> anyhow::Result<Option<Tls>> {
    let source = match &config.server.tls {
        None => return Ok(None),
        Some(TlsConfig::Files { cert, key }) => Source::Files { cert: cert.clone(), key: key.clone() },
        Some(TlsConfig::SelfSigned) => Source::SelfSigned {
            directory: data.path().join("tls"),
            names: Names::new(&config.site.public_url, config.server.listen),
        },
    };
    Ok(Some(Tls::load(source, SystemClock.now()).context("server.tls")?))
}

fn without_boot_server(config: &Config) -> (Arc<dyn BootServer>, Netboot) {
    (Arc::new(PlanLog::default()), Netboot::without_service(&config.pxe.ipxe_dir))
}

/// Our own dnsmasq, or nothing but a log when the operator's DHCP server does its work.
async fn boot_server(config: &Config, data: &DataDir) -> anyhow::Result<(Arc<dyn BootServer>, Netboot)> {
    let Some(dnsmasq) = dnsmasq_config(config, data.path())? else {
        return Ok(without_boot_server(config));
    };
    let (sender, sightings) = mpsc::channel(SIGHTINGS_MAX);
    let start: Start = Box::new(move || Box::pin(start_dnsmasq(dnsmasq.clone(), sender.clone())));
    let (boot_server, keep) = LateBootServer::begin(start).await;
    let service = Service { keep: Box::new(keep), sightings, health: boot_server.health() };
    Ok((boot_server, Netboot { programs: config.pxe.ipxe_dir.clone(), service: Some(service) }))
}

/// What our own dnsmasq is told; `None` when it is not to run.
fn dnsmasq_config(config: &Config, data_dir: &Path) -> anyhow::Result<Option<DnsmasqConfig>> {
    let pxe = &config.pxe;
    let Some(interface) = pxe.interface.clone().filter(|_| pxe.enabled) else { return Ok(None) };
    let run_dir = match &pxe.run_dir {
        Some(run_dir) => run_dir.clone(),
        None => default_run_dir(data_dir).context("pxe.run_dir: write one, since server.data_dir does not fit")?,
    };
    Ok(Some(DnsmasqConfig {
        interface,
        subnet: pxe.subnet,
        addresses: pxe.addresses.clone(),
        respond_to: pxe.respond_to,
        public_url: config.site.boot_url().clone(),
        programs: pxe.ipxe_dir.clone(),
        run_dir,
        lease_file: data_dir.join("dnsmasq.leases").try_into().context("server.data_dir")?,
        user: pxe.user.clone(),
        program: pxe.program.clone(),
    }))
}

async fn start_dnsmasq(config: DnsmasqConfig, sightings: mpsc::Sender<Sighting>) -> Result<Started, BoxError> {
    let (dnsmasq, supervisor) = Dnsmasq::start(config, sightings).await?;
    for warning in dnsmasq.programs().warnings() {
        tracing::warn!("pxe: {warning}");
    }
    let dnsmasq = Arc::new(dnsmasq);
    let asked = Arc::clone(&dnsmasq);
    let health = Health::new(move || {
        let status = asked.status();
        let last = status.last_error.unwrap_or_else(|| "it has just been started".to_owned());
        let trouble = (!status.state.is_running()).then(|| format!("dnsmasq does not run: {last}"));
        BootServerHealth { trouble, restarts: status.restarts }
    });
    let keep = Box::new(|stop: Task| Box::pin(supervisor.run(stop)) as Task);
    Ok(Started { boot_server: dnsmasq, keep, health })
}

/// Who may operate, and the token to show when this start has made it.
///
/// # Errors
/// When the tokens cannot be read or written, or the password cannot be hashed.
pub fn access(config: &Config, data: &DataDir) -> anyhow::Result<(AccessSetup, Option<Secret<String>>)> {
    let (access, tokens, new) = data.access(&config.auth, SystemClock.now(), &SystemEntropy)?;
    let hash = match &config.logins.password {
        None => None,
        Some(PasswordConfig::Hash(hash)) => Some(hash.clone()),
        Some(PasswordConfig::Clear(password)) => Some(hash_password(password).context("auth.password")?),
    };
    let password = hash.map(LoginPassword::new);
    Ok((AccessSetup { access, tokens, password, session_idle: config.logins.session_idle }, new))
}

/// For commands that work by themselves while no server runs: nobody is let in but through this very process.
///
/// # Errors
/// When the tokens cannot be read.
pub fn closed(data: &DataDir) -> anyhow::Result<AccessSetup> {
    Ok(AccessSetup { tokens: data.tokens()?, ..Access::Closed.into() })
}

fn ports(config: &Config, store: SqliteStore, key_file: &Path) -> anyhow::Result<Ports> {
    let vault = store.vault(SealingKey::load_or_create(key_file)?);
    Ok(Ports {
        store: Arc::new(store),
        vault: Arc::new(vault),
        boot_server: Arc::new(PlanLog::default()),
        shell: Arc::new(SshShell::new().with_port(config.ssh_port)),
        member: member(config)?,
        inventory: inventory(config.infrastructure.as_ref())?,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        power: Arc::new(PersonAtThePowerButton),
    })
}

/// The existing member that hosts join by, if there is one.
fn member(config: &Config) -> anyhow::Result<Arc<dyn ClusterMember>> {
    let Some(cluster) = &config.site.cluster else { return Ok(Arc::new(NobodyToAsk)) };
    Ok(Arc::new(ProxmoxMember::new(&cluster.member, cluster.fingerprint, config.api_token.as_ref())?))
}

/// The inventory service, its templates checked.
///
/// # Errors
/// The first fault, which names its key.
pub fn inventory(config: Option<&InfrastructureConfig>) -> anyhow::Result<Arc<dyn Inventory>> {
    let Some(config) = config else { return Ok(Arc::new(NoInventory)) };
    let default = AdapterConfig::new(config.base_url.clone());
    let mut headers: Vec<(String, Secret<String>)> = config.headers.clone().into_iter().collect();
    headers.extend(config.token.as_ref().map(|token| {
        // Braces would be read as a template's.
        let value = format!("Bearer {{% raw %}}{}{{% endraw %}}", token.expose());
        ("Authorization".to_owned(), Secret::new(value))
    }));
    let adapter = AdapterConfig {
        base_url: config.base_url.clone(),
        method: match config.method {
            InventoryMethod::Put => Method::Put,
            InventoryMethod::Post => Method::Post,
            InventoryMethod::Patch => Method::Patch,
        },
        path: config.path.clone().unwrap_or(default.path),
        headers,
        body: config.body.clone(),
        server_type_map: config.server_type_map.clone(),
        timeout: config.timeout.unwrap_or(default.timeout),
        ca_pem: config.ca_pem.clone(),
        conflict_means_known: config.conflict_means_known,
    };
    Ok(Arc::new(InfrastructureClient::new(&adapter).context("the inventory service is not configured right")?))
}
