//! A running server: listeners, the orchestrator's loop and the watch on edited files, started and stopped together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use provisioning_core::machine::Policy;
use provisioning_core::model::{ServerType, Site};
use provisioning_core::orchestrator::{Orchestrator, Ports, Retention};
use provisioning_core::ports::chain;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::AccessSetup;
use crate::bandwidth::Bandwidth;
use crate::http::artifacts::LoadedImages;
use crate::http::auth::Operators;
use crate::http::census::{Census, ConnectionLimits};
use crate::http::downloads::Downloads;
use crate::http::health::HealthChecks;
use crate::http::hub::Hub;
use crate::http::listen::{self, Door, stopped};
use crate::http::metrics::Metrics;
use crate::http::{self, App};
use crate::images::import::ImageStore;
use crate::netboot::{self, Netboot, Service};
use crate::notify;
use crate::reload::Asked;
use crate::server_types_reload::{by_key, follow};
use crate::systemd::{Notifier, attend};
use crate::tls::{Reloaded, Tls};
use crate::web::board::Board;

/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a server is made of.
pub struct Setup {
    /// Everything the orchestrator asks of the world.
    pub ports: Ports,
    /// What all hosts share.
    pub site: Site,
    /// Time limits.
    pub policy: Policy,
    /// The hardware classes.
    pub server_types: Vec<ServerType>,
    /// The images.
    pub images: ImageStore,
    /// Who may operate.
    pub access: AccessSetup,
    /// What is counted and measured.
    pub metrics: Metrics,
    /// The certificate to serve under; `None` is plain HTTP.
    pub tls: Option<Tls>,
    /// Boot programs, and the boot server that runs beside us.
    pub netboot: Netboot,
    /// What the configuration is warned of: shown on the pages.
    pub warnings: Vec<String>,
    /// Services that are told of events.
    pub notify: notify::Notify,
    /// How many machines download at once; `None` does not count.
    pub max_streams: Option<usize>,
    /// How many bytes a second all downloads take together; `None` is as many as go out.
    pub max_bandwidth: Option<Bandwidth>,
}

/// A server that is not yet served: its handlers answer, its loop does not run.
pub struct Server {
    app: Arc<App>,
    tls: Option<Tls>,
    limits: ConnectionLimits,
    stop: watch::Sender<bool>,
    netboot: Option<Service>,
}

impl Server {
    /// Puts a server together.
    pub fn new(setup: Setup) -> Self {
        let Setup { ports, mut site, policy, server_types, images, access, metrics, tls, netboot, warnings, .. } =
            setup;
        let (notify, max_streams, max_bandwidth) = (setup.notify, setup.max_streams, setup.max_bandwidth);
        let server_type_faults = Arc::<RwLock<Vec<String>>>::default();
        if let Some(tls) = &tls {
            site.tls_fingerprint = Some(tls.fingerprint());
        }
        let (clock, entropy) = (Arc::clone(&ports.clock), Arc::clone(&ports.entropy));
        let public_url = site.public_url.clone();
        let orchestrator = Orchestrator::new(ports, Arc::new(site), policy, by_key(server_types));
        let (stop, stopping) = watch::channel(false);
        let app = App {
            orchestrator: Arc::new(orchestrator),
            images: LoadedImages::new(images),
            operators: Operators::new(access, public_url, Arc::clone(&clock), entropy),
            downloads: Downloads::new(clock, max_streams, max_bandwidth),
            metrics,
            programs: netboot.programs,
            boot_server: netboot.service.as_ref().map(|service| service.health.clone()).unwrap_or_default(),
            board: Arc::new(Board::new(Arc::clone(&server_type_faults), warnings)),
            hub: Hub::default(),
            server_type_faults,
            notify,
            settings: OnceLock::new(),
            health: HealthChecks::default(),
            stopping,
        };
        let (app, limits) = (Arc::new(app), ConnectionLimits::default());
        Self { app, tls, limits, stop, netboot: netboot.service }
    }

    /// What the handlers share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// All routes, for calls within the process.
    pub fn router(&self) -> axum::Router {
        http::router(Arc::clone(&self.app))
    }

    /// With other limits for its connections.
    #[must_use]
    pub fn with_limits(self, limits: ConnectionLimits) -> Self {
        Self { limits, ..self }
    }

    /// Starts to serve on `tcp` and `control`, and to do the work that is owed.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(self, tcp: TcpListener, control: Option<UnixListener>) -> std::io::Result<Running> {
        self.start_with_boot(tcp, None, control)
    }

    /// The same, and serves firmware alone on `boot`, without TLS.
    ///
    /// # Errors
    /// When a listener has no address.
    pub fn start_with_boot(
        self,
        tcp: TcpListener,
        boot: Option<TcpListener>,
        control: Option<UnixListener>,
    ) -> std::io::Result<Running> {
        let address = tcp.local_addr()?;
        let boot_address = boot.as_ref().map(TcpListener::local_addr).transpose()?;
        let mut tasks = JoinSet::new();
        let stopping = self.app.stopping.clone();
        let counting = self.app.metrics.clone().follow(Arc::clone(&self.app.orchestrator));
        let stop = stopped(stopping.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop => {}
                () = counting => {}
            }
        });
        let census = Census::new(self.limits);
        let main = match &self.tls {
            Some(tls) => Door::Tls(tcp, tls.acceptor()),
            None => Door::Plain(tcp),
        };
        let router = self.router();
        tasks.spawn(listen::serve(main, router.clone(), census.clone(), stopping.clone()));
        if let Some(boot) = boot {
            let router = http::boot_router(Arc::clone(&self.app));
            tasks.spawn(listen::serve(Door::Plain(boot), router, census.clone(), stopping.clone()));
        }
        if let Some(control) = control {
            tasks.spawn(listen::serve(Door::Control(control), router, census, stopping.clone()));
        }
        if let Some(service) = self.netboot {
            // It stays until the last sighting is told: that ends the second task.
            tasks.spawn((service.keep)(Box::pin(stopped(stopping.clone()))));
            tasks.spawn(netboot::pass_on(service.sightings, Arc::clone(&self.app.orchestrator)));
        }
        tasks.spawn(Arc::clone(&self.app.orchestrator).run(stopped(stopping)));
        tasks.spawn(follow_journal(Arc::clone(&self.app)));
        tasks.spawn(tell_subscribers(Arc::clone(&self.app)));
        tasks.spawn(notify(Arc::clone(&self.app)));
        tasks.spawn(watch_health(Arc::clone(&self.app)));
        Ok(Running { app: self.app, tls: self.tls, stop: self.stop, tasks, address, boot_address })
    }
}

/// A server that serves.
pub struct Running {
    app: Arc<App>,
    tls: Option<Tls>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    address: SocketAddr,
    boot_address: Option<SocketAddr>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where firmware alone is served.
    pub fn boot_address(&self) -> Option<SocketAddr> {
        self.boot_address
    }

    /// What the handlers share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves kernel and initrd alone on `tcp`, by `sendfile`, from now on.
    pub fn serve_artifacts(&mut self, tcp: TcpListener) {
        let stopping = self.app.stopping.clone();
        self.tasks.spawn(crate::artifact_http::serve(tcp, Arc::clone(&self.app), stopping));
    }

    /// Follows the certificate's files from now on: they are read again when they change, and whenever it is `asked`
    /// for. Bad ones change nothing but what is said of them in the log.
    pub fn follow_certificate(&mut self, asked: Asked) {
        let Some(tls) = self.tls.clone() else { return };
        let (app, stopping) = (Arc::clone(&self.app), self.app.stopping.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped(stopping) => {}
                () = follow_tls(&app, &tls, asked) => {}
            }
        });
    }

    /// Makes spans of operations and their phases from now on.
    #[cfg(feature = "otel")]
    pub fn trace_operations(&mut self, queue: crate::traces::Queue) {
        let (app, stopping) = (Arc::clone(&self.app), self.app.stopping.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped(stopping) => {}
                () = crate::traces::follow(&app.orchestrator, &queue) => {}
            }
        });
    }

    /// Follows the edits of `server-types.yaml` from now on; it is read again whenever it is `asked` for, too. A bad
    /// edit changes nothing but what is said of it.
    pub fn follow_server_types(&mut self, path: PathBuf, asked: Asked) {
        let (app, stopping) = (Arc::clone(&self.app), self.app.stopping.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped(stopping) => {}
                () = follow(&app, &path, asked) => {}
            }
        });
    }

    /// Tells the service manager from now on that we serve, and how we fare; `watchdog` is how long it waits for that.
    pub fn attend(&mut self, notifier: Notifier, watchdog: Option<Duration>) {
        let (app, stopping) = (Arc::clone(&self.app), self.app.stopping.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped(stopping.clone()) => {}
                () = attend(notifier, watchdog, app) => stopped(stopping).await,
            }
        });
    }

    /// Drops what is older than it is kept, from now on.
    pub fn retain(&mut self, retention: Retention) {
        let keeping = crate::retention::keep(Arc::clone(&self.app.orchestrator), retention);
        let stopping = self.app.stopping.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stopped(stopping) => {}
                () = keeping => {}
            }
        });
    }

    /// Serves until `signal`, then finishes what is under way.
    ///
    /// # Errors
    /// When a task panicked: going on without it would hide that.
    pub async fn until(mut self, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
        let mut outcome = tokio::select! {
            biased;
            () = signal => Ok(()),
            Some(ended) = self.tasks.join_next() => ended.context("a part of the server has failed"),
        };
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            outcome = outcome.and(ended.context("a part of the server has failed"));
        }
        outcome
    }
}

/// Keeps the pages' board until the server stops.
async fn follow_journal(app: Arc<App>) {
    tokio::select! {
        biased;
        () = stopped(app.stopping.clone()) => {}
        () = app.board.follow(&app.orchestrator) => {}
    }
}

/// Keeps the pages told of what keeps the server from its work, until it stops.
async fn watch_health(app: Arc<App>) {
    tokio::select! {
        biased;
        () = stopped(app.stopping.clone()) => {}
        () = app.health.watch(&app) => {}
    }
}

/// Tells all event streams what happens until the server stops, and then ends them.
async fn tell_subscribers(app: Arc<App>) {
    tokio::select! {
        biased;
        () = stopped(app.stopping.clone()) => {}
        () = app.hub.run(&app) => {}
    }
    app.hub.close();
}

/// Tells services of events until the server stops. What is under way then is repeated by the next start.
async fn notify(app: Arc<App>) {
    tokio::select! {
        biased;
        () = stopped(app.stopping.clone()) => {}
        () = app.notify.run(&app.orchestrator) => stopped(app.stopping.clone()).await,
    }
}

async fn follow_tls(app: &App, tls: &Tls, mut asked: Asked) {
    let mut known = tls.stamp();
    loop {
        let reload = tokio::time::timeout(LOOK_EVERY, asked.next()).await.ok();
        let now = tls.stamp();
        if now == known && reload.is_none() {
            continue;
        }
        let reading = tls.clone();
        match tokio::task::spawn_blocking(move || reading.reload()).await {
            Ok(Ok(Reloaded::Same)) => {}
            Ok(Ok(Reloaded::Changed(fingerprint))) => {
                tracing::info!(%fingerprint, "shows another certificate from now on");
                app.orchestrator.replace_certificate(Some(fingerprint));
            }
            // The two files are seldom written at once: the next look may find them to be a pair.
            Ok(Err(error)) => tracing::warn!(error = %chain(&error), "kept the certificate as it was"),
            Err(error) => tracing::warn!(%error, "kept the certificate as it was"),
        }
        if let Some(reload) = reload {
            // Nobody waits for it any more when the server stops.
            reload.send(()).ok();
        }
        known = now;
    }
}
