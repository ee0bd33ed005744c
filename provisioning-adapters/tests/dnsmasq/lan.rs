//! A LAN of two network namespaces, each on a thread of its own, with a cable between them. The kernel takes both away
//! with the threads, whatever happens to the test.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Pid, geteuid, gettid};
use provisioning_adapters::dnsmasq::{Addresses, Dnsmasq, DnsmasqConfig, DnsmasqFault, Pool, RespondTo};
use provisioning_core::netboot::Sighting;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::client::CLIENT;
/// The boot server's address.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 10);

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own, which does what it is given.
#[derive(Debug)]
struct Namespace {
    jobs: Option<std_mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    id: Pid,
}

impl Namespace {
    fn new() -> Self {
        let (jobs, todo) = std_mpsc::channel::<Job>();
        let (tell, told) = std_mpsc::channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network namespace");
            tell.send(gettid()).expect("the test waits for it");
            for job in todo {
                job();
            }
        });
        let id = told.recv().expect("the thread has its namespace");
        Self { jobs: Some(jobs), thread: Some(thread), id }
    }

    /// Does something in this namespace.
    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = std_mpsc::channel();
        let jobs = self.jobs.as_ref().expect("it is taken at the end only");
        let send = move || drop(tell.send(job()));
        jobs.send(Box::new(send)).expect("the thread lives");
        told.recv().expect("what is done in a namespace does not panic")
    }

    fn ip(&self, arguments: &str) {
        let arguments = arguments.to_owned();
        self.run(move || {
            let output = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
            assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        });
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// A server's and a machine's end of a cable, and a folder.
#[derive(Debug)]
pub(crate) struct Lan {
    client: Namespace,
    server: Namespace,
    folder: TempDir,
}

impl Lan {
    /// `None`, said loudly, where no namespace can be made; that fails where checks are meant to be complete.
    #[expect(clippy::print_stderr, reason = "a test that checks nothing shall say so")]
    pub(crate) fn new() -> Option<Self> {
        let able = geteuid().is_root() && ["ip", "dnsmasq"].into_iter().all(is_installed);
        if !able {
            let why = "NOT CHECKED against the real dnsmasq: this needs root, iproute2 and dnsmasq-base";
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("{why}");
            return None;
        }
        let (client, server) = (Namespace::new(), Namespace::new());
        server.ip("link set lo up");
        server.ip("link add s0 type veth peer name c0");
        server.ip(&format!("link set c0 netns {}", client.id));
        server.ip(&format!("addr add {SERVER}/24 dev s0"));
        server.ip("link set s0 up");
        client.ip("link set lo up");
        client.ip(&format!("addr add {CLIENT}/24 dev c0"));
        client.ip("link set c0 up");
        client.ip("route add default dev c0");
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let programs = folder.path().join("ipxe");
        std::fs::create_dir(&programs).unwrap();
        for name in ["undionly.kpxe", "snponly.efi", "ipxe.efi", "ipxe-arm64.efi"] {
            std::fs::write(programs.join(name), name.repeat(100)).unwrap();
        }
        Some(Self { client, server, folder })
    }

    /// Does something as a machine on the LAN.
    pub(crate) fn as_machine<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.client.run(job)
    }

    /// Does something on the server's side.
    pub(crate) fn as_server<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.server.run(job)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration for this LAN.
    pub(crate) fn config(&self, addresses: Addresses, respond_to: RespondTo) -> DnsmasqConfig {
        let path = |name: &str| self.folder().join(name).try_into().unwrap();
        DnsmasqConfig {
            interface: "s0".parse().unwrap(),
            subnet: Some("10.77.0.0/24".parse().unwrap()),
            addresses,
            respond_to,
            public_url: format!("http://{SERVER}:8080").parse().unwrap(),
            programs: self.folder().join("ipxe"),
            run_dir: path("run"),
            lease_file: path("leases"),
            user: "nobody".parse().unwrap(),
            program: PathBuf::from("dnsmasq"),
        }
    }

    /// Addresses from .100 to .110, for the full mode.
    pub(crate) fn pool() -> Addresses {
        Addresses::Dhcp(Pool {
            first: Ipv4Addr::new(10, 77, 0, 100),
            last: Ipv4Addr::new(10, 77, 0, 110),
            lease_time: Duration::from_secs(3600),
            router: Some(Ipv4Addr::new(10, 77, 0, 1)),
            dns: vec![Ipv4Addr::new(10, 77, 0, 1)],
        })
    }

    /// Starts dnsmasq and keeps it running, on the server's side.
    pub(crate) fn start(&self, config: DnsmasqConfig) -> Result<Server, DnsmasqFault> {
        let (tell, told) = std_mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, sightings) = mpsc::channel(1024);
        let namespace = self.server.id;
        // A thread of its own, so that the namespace's stays free; every child of its comes to the same namespace.
        let thread = thread::spawn(move || {
            let there = std::fs::File::open(format!("/proc/self/task/{namespace}/ns/net")).unwrap();
            nix::sched::setns(there, CloneFlags::CLONE_NEWNET).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                match Dnsmasq::start(config, sender).await {
                    Ok((dnsmasq, supervisor)) => {
                        tell.send(Ok(Arc::new(dnsmasq))).unwrap();
                        supervisor.run(async { drop(stopped.await) }).await;
                    }
                    Err(fault) => tell.send(Err(fault)).unwrap(),
                }
            });
        });
        let dnsmasq = told.recv().expect("it starts or tells why not")?;
        Ok(Server { dnsmasq, sightings, stop: Some(stop), thread: Some(thread) })
    }
}

/// A dnsmasq that is looked after.
pub(crate) struct Server {
    pub(crate) dnsmasq: Arc<Dnsmasq>,
    pub(crate) sightings: mpsc::Receiver<Sighting>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn is_installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|folder| Path::new(folder).join(program).is_file())
}
