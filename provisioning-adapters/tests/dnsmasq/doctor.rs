//! What can be found out of a LAN and of this machine before anything is started.

use std::time::Duration;

use provisioning_adapters::dnsmasq::{Addresses, Finding, Offer, RespondTo, dhcp_offers, examine};

use super::fleet::wait;
use super::lan::{Lan, SERVER};

/// dnsmasq looks for three seconds whether an address is free before it offers it.
const OFFER_TIME: Duration = Duration::from_millis(4500);

#[test]
fn every_dhcp_server_of_the_lan_is_told_with_what_it_offers() {
    let Some(lan) = Lan::new() else { return };
    let asked = |wait| lan.as_machine(move || dhcp_offers(&"c0".parse().unwrap(), wait)).unwrap();
    assert_eq!(asked(Duration::from_millis(300)), [], "nobody answers yet");
    let server = lan.start(lan.config(Addresses::Proxy, RespondTo::All)).unwrap();
    assert_eq!(asked(Duration::from_millis(900)), [Offer { server: SERVER, address: None, boots: true }]);
    drop(server);
    let _server = lan.start(lan.config(Lan::pool(), RespondTo::All)).unwrap();
    let offers = asked(OFFER_TIME);
    assert!(matches!(offers.as_slice(), [Offer { server: SERVER, address: Some(_), boots: true }]), "{offers:?}");
}

#[test]
fn an_interface_that_is_not_there_cannot_be_asked_on() {
    assert!(dhcp_offers(&"nosuch0".parse().unwrap(), Duration::from_millis(10)).is_err());
}

fn faults(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().filter(|finding| finding.outcome.is_err()).map(|finding| finding.about).collect()
}

#[test]
fn what_dnsmasq_needs_is_looked_at_without_starting_it() {
    let Some(lan) = Lan::new() else { return };
    let program = [b"MZ".to_vec(), vec![0; 70_000]].concat();
    for name in ["undionly.kpxe", "snponly.efi", "ipxe.efi", "ipxe-arm64.efi"] {
        std::fs::write(lan.folder().join("ipxe").join(name), &program).unwrap();
    }
    let good = lan.config(Addresses::Proxy, RespondTo::Registered);
    let looked = |config: provisioning_adapters::dnsmasq::DnsmasqConfig, server| {
        lan.as_server(move || wait(async move { examine(&config, server).await }))
    };
    let found = looked(good.clone(), None);
    assert_eq!((faults(&found), found.len()), (vec![], 6), "{found:?}");
    assert!(!lan.folder().join("run").exists(), "nothing was made");

    let mut wrong = good.clone();
    wrong.program = "/nowhere/dnsmasq".into();
    assert_eq!(faults(&looked(wrong, None)), ["dnsmasq"]);
    let mut wrong = good.clone();
    wrong.interface = "nosuch0".parse().unwrap();
    assert_eq!(faults(&looked(wrong, None)), ["interface"]);
    let mut wrong = good.clone();
    wrong.programs = lan.folder().to_owned();
    assert_eq!(faults(&looked(wrong, None)), ["boot-programs"]);

    let _server = lan.start(good.clone()).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(faults(&looked(good.clone(), Some(own))), [""; 0], "the ports are held by our own child");
    let found = looked(good, None);
    assert_eq!(faults(&found), ["dhcp-ports"], "{found:?}");
    let said = found.iter().find_map(|finding| finding.outcome.as_ref().err()).unwrap();
    // Which of its ports is found first is the kernel's choice.
    assert!(said.contains("/udp is taken by process") && said.contains("dnsmasq"), "{said}");
}
