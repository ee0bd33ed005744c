//! One machine in front of the stub server.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::model::Release;
use provisioning_sim::real::host::{
    Hardware, HostEvent, HostReport, HostSpec, InstalledSystem, PowerButton, SimHost, SshHostKeys, SystemSpec, Systems,
    Timing,
};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use crate::stub::Stub;

/// Longer than any of these tests takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Lab {
    pub(crate) stub: Stub,
    pub(crate) button: PowerButton,
    pub(crate) systems: Arc<Shelf>,
    pub(crate) hardware: Hardware,
    reports: UnboundedReceiver<HostReport>,
    life: JoinHandle<()>,
}

/// Systems that do nothing but count.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) installed: Mutex<Vec<SystemSpec>>,
    pub(crate) boots: Arc<AtomicU32>,
}

impl Systems for Shelf {
    fn install(&self, spec: SystemSpec) -> Box<dyn InstalledSystem> {
        self.installed.lock().unwrap().push(spec);
        Box::new(Counting(self.boots.clone()))
    }

    fn memory(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(1))
    }
}

struct Counting(Arc<AtomicU32>);

#[async_trait]
impl InstalledSystem for Counting {
    fn ssh_host_keys(&self) -> SshHostKeys {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x root@pve-07";
        SshHostKeys { ed25519: key.into(), ecdsa: "unknown".into(), rsa: "unknown".into() }
    }

    fn cert_fingerprint(&self) -> String {
        "AA:BB".into()
    }

    async fn power_on(&mut self) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn power_off(&mut self) {}
}

impl Lab {
    /// A machine that was just switched on, before a stub that was told by `plan` what to say.
    pub(crate) async fn new(number: u16, plan: impl FnOnce(&Stub)) -> Self {
        let (stub, server) = Stub::start(Release::new(9, 2)).await;
        plan(&stub);
        let hardware = Hardware::numbered(7, number, "pve-07");
        let timing = Timing {
            second: Duration::from_micros(200),
            person: Duration::from_millis(10),
            phone_home_pause: Duration::from_millis(1),
            ..Timing::default()
        };
        let spec = HostSpec {
            name: "pve-07".into(),
            hardware: hardware.clone(),
            ip: hardware.address(),
            ssh_port: 2222,
            server,
            seed: u64::from(number),
            timing,
        };
        let (sender, reports) = unbounded_channel();
        let systems = Arc::new(Shelf::default());
        let (host, button) = SimHost::new(spec, systems.clone(), sender).unwrap();
        let life = tokio::spawn(host.run());
        Self { stub, button, systems, hardware, reports, life }
    }

    /// All events up to the first that is wished, and that one.
    pub(crate) async fn until(&mut self, wished: impl Fn(&HostEvent) -> bool) -> Vec<HostEvent> {
        let mut events = Vec::new();
        loop {
            let report = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
            let Ok(Some(report)) = report else { panic!("the event did not come; before: {events:#?}") };
            events.push(report.event.clone());
            if wished(&report.event) {
                return events;
            }
        }
    }

    pub(crate) fn boots(&self) -> u32 {
        self.systems.boots.load(Ordering::SeqCst)
    }

    pub(crate) fn installations(&self) -> usize {
        self.systems.installed.lock().unwrap().len()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.life.abort();
    }
}
