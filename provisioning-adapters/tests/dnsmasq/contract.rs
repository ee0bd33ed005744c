//! The conformance suite of boot servers, over a real dnsmasq that is asked by real requests.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use provisioning_adapters::dnsmasq::{Addresses, Dnsmasq, RespondTo};
use provisioning_core::conformance::{BootServerFixture, boot_server, sample};
use provisioning_core::ports::{BootPlan, BootServer, BootServerError};

use super::client::Firmware;
use super::lan::{Lan, Server};

/// A LAN for each rule.
struct OnLan {
    lan: Lan,
    server: Mutex<Option<Server>>,
}

/// The adapter, whose process the fixture keeps.
struct Handle(Arc<Dnsmasq>);

#[async_trait]
impl BootServer for Handle {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        self.0.apply(plan).await
    }
}

impl BootServerFixture for OnLan {
    type Server = Handle;

    async fn fresh(&self) -> Handle {
        let server = self.lan.start(self.lan.config(Addresses::Proxy, RespondTo::Registered)).unwrap();
        let handle = Handle(Arc::clone(&server.dnsmasq));
        *self.server.lock().unwrap() = Some(server);
        handle
    }

    /// The plan that the adapter tells, once the machines of the suite were answered, or not, as it says.
    async fn in_force(&self, server: &Handle) -> BootPlan {
        let plan = server.0.in_force().unwrap();
        for entry in &plan.entries {
            let nic = entry.mac.octets();
            assert!(self.lan.as_machine(move || Firmware::of(nic).discover().is_some()), "{} is known", entry.mac);
        }
        for n in 1..=3 {
            let nic = sample::mac(n, 1).unwrap().octets();
            if plan.entries.iter().all(|entry| entry.mac.octets() != nic) {
                assert!(self.lan.as_machine(move || Firmware::of(nic).is_left_alone()), "host {n} is not known");
            }
        }
        plan
    }

    async fn obstruct(&self, _: &Handle) {
        std::fs::create_dir(self.lan.folder().join("run/hosts.new")).unwrap();
    }
}

#[test]
fn the_contract_of_boot_servers_is_kept() {
    if Lan::new().is_none() {
        return;
    }
    let broken = boot_server::broken_rules(async || OnLan {
        lan: Lan::new().expect("it could be made a moment ago"),
        server: Mutex::default(),
    });
    assert_eq!(broken, []);
}
