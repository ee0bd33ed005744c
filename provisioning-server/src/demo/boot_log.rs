//! What the demo's boot server would have logged: the simulated machines speak HTTP only, and the way before that is
//! told here as dnsmasq tells it of real ones.

use std::time::Duration;

use provisioning_core::model::MacAddr;
use provisioning_core::netboot::{ClientArch, DhcpClient, Sighted, Sighting};
use provisioning_core::orchestrator::{BootRequest, Orchestrator};
use tokio::time::{MissedTickBehavior, interval};

const FIRMWARE: DhcpClient = DhcpClient { arch: Some(ClientArch::UefiX64), ipxe: false };
const IPXE: DhcpClient = DhcpClient { arch: Some(ClientArch::UefiX64), ipxe: true };

/// Nobody's machines: one that is left alone, and one whose firmware finds its way to us on its own.
const LEFT_ALONE: [u8; 6] = [0x52, 0x54, 0x00, 0xde, 0x30, 0x01];
const SENT_ON: [u8; 6] = [0x52, 0x54, 0x00, 0xde, 0x30, 0x02];
/// How often nobody's machines start again.
const START_AGAIN: Duration = Duration::from_secs(20);

/// A registered machine was switched on: from its firmware's request to iPXE's.
pub(super) async fn machine_starts(orchestrator: &Orchestrator, host: &str) {
    let Ok(name) = host.parse() else { return };
    // A host that cannot be read now has a line less in its history.
    let Ok(Some(record)) = orchestrator.store().host_by_name(&name).await else { return };
    let Some(mac) = record.host.macs.first().copied() else { return };
    let script = orchestrator.site().public_url.join(&format!("/ipxe/{mac}"));
    let seen = [
        Sighted::Discovered(FIRMWARE),
        Sighted::Offered { client: FIRMWARE, address: None, file: Some("ipxe.efi".to_owned()) },
        Sighted::BootServerAsked { client: FIRMWARE, file: Some("ipxe.efi".to_owned()) },
        Sighted::FileSent { file: "ipxe.efi".to_owned() },
        Sighted::Discovered(IPXE),
        Sighted::Offered { client: IPXE, address: None, file: Some(script) },
    ];
    for what in seen {
        orchestrator.sighted(Sighting { mac: Some(mac), address: None, what }).await;
    }
}

/// Nobody's machines start again and again. Never ends by itself.
pub(super) async fn strangers(orchestrator: &Orchestrator) {
    let mut restart = interval(START_AGAIN);
    restart.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        restart.tick().await;
        if let Ok(mac) = MacAddr::new(LEFT_ALONE) {
            let client = DhcpClient { arch: Some(ClientArch::Bios), ipxe: false };
            let what = Sighted::LeftAlone(client);
            orchestrator.sighted(Sighting { mac: Some(mac), address: None, what }).await;
        }
        if let Ok(mac) = MacAddr::new(SENT_ON) {
            let what = Sighted::Discovered(IPXE);
            orchestrator.sighted(Sighting { mac: Some(mac), address: None, what }).await;
            let agent = Some("iPXE/1.0.0+git-20190125.36a4c85");
            let request = BootRequest { mac, from: Some([127, 0, 200, 1].into()), agent };
            orchestrator.boot_script_for(request).await;
        }
    }
}
