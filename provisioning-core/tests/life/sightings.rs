//! What a boot server sees: of hosts in their journal, of strangers among the discovered machines.

use std::net::Ipv4Addr;
use std::time::Duration;

use provisioning_core::machine::{BootAnswer, Phase};
use provisioning_core::model::MacAddr;
use provisioning_core::netboot::doctor::{Severity, Step};
use provisioning_core::netboot::{ClientArch, DISMISSED_FOR, DhcpClient, DiscoveredMachine, Sighted, Sighting};
use provisioning_core::orchestrator::{BootReply, BootRequest, NewHost, OperatorError};
use provisioning_core::ports::{Happening, JournalQuery, Store};

use crate::lab::{Lab, mac, system_info};

const FIRMWARE: DhcpClient = DhcpClient { arch: Some(ClientArch::UefiX64), ipxe: false };
const IPXE: DhcpClient = DhcpClient { arch: Some(ClientArch::UefiX64), ipxe: true };

fn nic(n: u8) -> MacAddr {
    mac(n).parse().expect("an address")
}

fn seen(n: u8, what: Sighted) -> Sighting {
    Sighting { mac: Some(nic(n)), address: None, what }
}

fn offered(client: DhcpClient, file: &str) -> Sighted {
    Sighted::Offered { client, address: None, file: Some(file.to_owned()) }
}

fn new_host(n: u8) -> NewHost {
    NewHost {
        name: format!("pve-{n:02}").parse().expect("a name"),
        macs: vec![nic(n)],
        server_type: "mini".parse().expect("a key"),
        address: None,
    }
}

/// All that is in the journal and belongs to no host.
async fn site_journal(lab: &Lab) -> Vec<Happening> {
    let entries = lab.store.journal(&JournalQuery::after(0, 10_000)).await.expect("memory");
    entries.into_iter().filter(|entry| entry.host.is_none()).map(|entry| entry.what).collect()
}

/// Waits until a stored machine is as it shall be.
async fn until_stored(lab: &Lab, n: u8, is_so: impl Fn(&DiscoveredMachine) -> bool) -> DiscoveredMachine {
    let found = async {
        let mut look = tokio::time::interval(Duration::from_millis(100));
        loop {
            look.tick().await;
            match lab.store.discovered_by_mac(nic(n)).await.expect("memory") {
                Some(machine) if is_so(&machine) => break machine,
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("it is written in time")
}

#[tokio::test(start_paused = true)]
async fn a_hosts_netboot_is_journalled_step_by_step_and_not_its_repeats() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    for _ in 0..50 {
        lab.orchestrator.sighted(seen(7, Sighted::Discovered(FIRMWARE))).await;
        lab.orchestrator.sighted(seen(7, offered(FIRMWARE, "ipxe.efi"))).await;
    }
    let is_sighting = |what: &Happening| matches!(what, Happening::Sighted { .. });
    assert_eq!(lab.journal(host).await.into_iter().filter(is_sighting).count(), 2);
    assert_eq!(lab.orchestrator.discovered().await.expect("memory"), [], "a host is not discovered");
    tokio::time::advance(Duration::from_secs(61)).await;
    lab.orchestrator.sighted(seen(7, Sighted::Discovered(FIRMWARE))).await;
    assert_eq!(lab.journal(host).await.into_iter().filter(is_sighting).count(), 3, "it still asks");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_a_thousand_hosts_leaves_a_few_lines_of_each() {
    let lab = Lab::new(true).await;
    let machines: Vec<MacAddr> = (0..1_000_u16)
        .map(|n| [0x52, 0x54, 1, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]])
        .map(|bytes| MacAddr::new(bytes).expect("unicast"))
        .collect();
    for (n, mac) in machines.iter().enumerate() {
        let new = NewHost { name: format!("storm-{n}").parse().expect("a name"), macs: vec![*mac], ..new_host(7) };
        lab.orchestrator.register(new).await.expect("a new host");
    }
    let before = lab.store.last_seq().await.expect("memory");
    for _ in 0..20 {
        for mac in &machines {
            let sighting = Sighting { mac: Some(*mac), address: None, what: Sighted::Discovered(FIRMWARE) };
            lab.orchestrator.sighted(sighting).await;
        }
    }
    assert_eq!(lab.store.last_seq().await.expect("memory") - before, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_discovered_once_and_its_row_follows_it() {
    let mut lab = Lab::new(true).await;
    lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    let first = until_stored(&lab, 9, |_| true).await;
    assert_eq!((first.arch, first.ipxe, first.times_seen), (Some(ClientArch::UefiX64), false, 1));
    for _ in 0..20 {
        lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    }
    let request = BootRequest { mac: nic(9), from: Some([10, 0, 0, 9].into()), agent: Some("iPXE/1.21.1\n") };
    assert!(matches!(lab.orchestrator.boot_script_for(request).await, BootReply::NextDevice), "as before");
    let body = format!(
        r#"{{"product":{{"product":"pve"}},"iso":{{"release":"9.2"}},"dmi":{{"system":{{"serial":"S7","uuid":"7b2f"}}}},
        "network_interfaces":[{{"link":"eno1","mac":"{}"}}]}}"#,
        mac(9)
    );
    let request =
        provisioning_core::orchestrator::AnswerRequest { token: None, body: body.as_bytes(), accept: None, from: None };
    lab.orchestrator.answer_file(&request).await.expect_err("it is nobody's");

    let machine = until_stored(&lab, 9, |machine| machine.serial.is_some() && machine.times_seen == 23).await;
    assert_eq!(machine.agent.as_deref(), Some("iPXE/1.21.1"));
    assert_eq!((machine.ipxe, machine.address), (true, Some([10, 0, 0, 9].into())));
    assert_eq!((machine.serial.as_deref(), machine.uuid.as_deref()), (Some("S7"), Some("7b2f")));
    assert_eq!(machine.trail.len(), 3, "repeats leave no footprint: {:?}", machine.trail);
    let is_discovery = |what: &&Happening| matches!(what, Happening::MachineDiscovered { mac, .. } if *mac == nic(9));
    assert_eq!(site_journal(&lab).await.iter().filter(is_discovery).count(), 1);

    lab.restart().await;
    assert_eq!(lab.orchestrator.discovered().await.expect("memory"), [machine], "it outlives the process");
    lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    until_stored(&lab, 9, |machine| machine.times_seen == 24).await;
    assert_eq!(site_journal(&lab).await.iter().filter(is_discovery).count(), 1, "it is no news");
}

#[tokio::test(start_paused = true)]
async fn a_discovered_machine_is_adopted_as_a_host_and_is_discovered_no_more() {
    let lab = Lab::new(true).await;
    let refused = lab.orchestrator.adopt(nic(9), new_host(9)).await;
    assert!(matches!(refused, Err(OperatorError::NotDiscovered(mac)) if mac == nic(9)));
    lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    lab.orchestrator.sighted(seen(8, Sighted::LeftAlone(FIRMWARE))).await;
    let record = lab.orchestrator.adopt(nic(9), new_host(9)).await.expect("at once, though nothing is written yet");
    lab.register(8).await;
    let journal = lab.journal(record.host.id).await;
    assert!(
        matches!(&journal[..], [Happening::HostRegistered { .. }, Happening::MachineAdopted { mac, .. }] if *mac == nic(9))
    );
    assert_eq!(lab.orchestrator.discovered().await.expect("memory"), [], "neither adopted nor registered ones");
    tokio::time::advance(Duration::from_secs(61)).await;
    lab.orchestrator.sighted(seen(9, Sighted::Discovered(FIRMWARE))).await;
    let last = lab.journal(record.host.id).await.pop();
    assert!(matches!(last, Some(Happening::Sighted { .. })), "from now on its journal tells: {last:?}");
    assert!(matches!(lab.orchestrator.dismiss(nic(9)).await, Err(OperatorError::NotDiscovered(_))));
}

#[tokio::test(start_paused = true)]
async fn a_dismissed_machine_is_hidden_for_its_time_and_then_news_again() {
    let lab = Lab::new(true).await;
    lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    until_stored(&lab, 9, |_| true).await;
    let machine = lab.orchestrator.dismiss(nic(9)).await.expect("it is discovered");
    let now = lab.orchestrator.now();
    assert!(machine.is_dismissed(now));
    tokio::time::advance(Duration::from_secs(120)).await;
    lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    let seen_again = until_stored(&lab, 9, |machine| machine.times_seen == 2).await;
    assert!(seen_again.is_dismissed(lab.orchestrator.now()), "being seen does not bring it back");

    tokio::time::advance(DISMISSED_FOR).await;
    lab.orchestrator.sighted(seen(9, Sighted::LeftAlone(FIRMWARE))).await;
    until_stored(&lab, 9, |machine| machine.dismissed_until.is_none()).await;
    let journal = site_journal(&lab).await;
    let kinds = journal.iter().filter_map(|what| match what {
        Happening::MachineDiscovered { .. } => Some("discovered"),
        Happening::MachineDismissed { .. } => Some("dismissed"),
        _ => None,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["discovered", "dismissed", "discovered"]);
}

#[tokio::test(start_paused = true)]
async fn invented_addresses_do_not_fill_the_journal_or_the_store() {
    let lab = Lab::new(true).await;
    for n in 0..3_000_u16 {
        let [high, low] = n.to_be_bytes();
        let mac = MacAddr::new([0x52, 0x54, 2, 0, high, low]).expect("unicast");
        lab.orchestrator.boot_script(mac).await;
    }
    let all_written = async {
        let mut look = tokio::time::interval(Duration::from_millis(100));
        while lab.store.discovered().await.expect("memory").len() < 1_000 {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_written).await.expect("they are written");
    assert_eq!(lab.store.discovered().await.expect("memory").len(), 1_000);
    let announced = site_journal(&lab).await;
    assert_eq!(announced.iter().filter(|what| matches!(what, Happening::MachineDiscovered { .. })).count(), 120);
}

#[tokio::test(start_paused = true)]
async fn the_doctor_reads_a_hosts_journal() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    let never = lab.orchestrator.diagnose(nic(7), None).await.expect("memory");
    assert_eq!((never.finding, never.severity), ("never_seen", Severity::Fine));

    let token = lab.rebuild(host).await;
    lab.orchestrator.sighted(seen(7, Sighted::Discovered(FIRMWARE))).await;
    lab.orchestrator.sighted(seen(7, offered(FIRMWARE, "ipxe.efi"))).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    let ignored = lab.orchestrator.diagnose(nic(7), None).await.expect("memory");
    assert_eq!((ignored.finding, ignored.missing), ("offer_ignored", Some(Step::ProgramAsked)));
    assert!(ignored.snippet.is_some());

    // The log of TFTP knows the address only: whose it is shows when the machine asks for its script.
    let address = Some(Ipv4Addr::new(10, 0, 0, 7));
    let sent = Sighted::FileSent { file: "ipxe.efi".to_owned() };
    lab.orchestrator.sighted(Sighting { mac: None, address, what: sent }).await;
    lab.orchestrator.sighted(seen(7, Sighted::Discovered(IPXE))).await;
    let request = BootRequest { mac: nic(7), from: Some([10, 0, 0, 7].into()), agent: Some("iPXE/1.0.0+git-20190125") };
    assert!(matches!(lab.orchestrator.boot_script_for(request).await, BootReply::Script(_)));
    let booted = lab.orchestrator.diagnose(nic(7), None).await.expect("memory");
    assert_eq!((booted.finding, booted.reached), ("under_way", Some(Step::ScriptFetched)));
    assert!(booted.steps.iter().any(|step| step.step == Step::ProgramLoaded && step.done_at.is_some()), "{booted:#?}");
    assert!(booted.notes[0].contains("older than 2021"), "{booted:#?}");

    lab.fetches_answer(7, Some(&token)).await.expect("an answer");
    let done = lab.orchestrator.diagnose(nic(7), None).await.expect("memory");
    assert_eq!((done.finding, done.severity, lab.phase(host).await), ("done", Severity::Fine, Phase::Installing));
}

#[tokio::test(start_paused = true)]
async fn a_boot_script_that_was_asked_in_vain_stands_in_the_journal() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    assert!(matches!(lab.boots(7).await, BootReply::NextDevice));
    let asked = |what: &Happening| matches!(what, Happening::Booted { answer: BootAnswer::NextDevice, .. });
    assert!(lab.journal(host).await.iter().any(asked));
    let said = lab.orchestrator.diagnose(nic(7), None).await.expect("memory");
    assert_eq!(said.finding, "not_armed");
    let body = system_info(&[&mac(7)]);
    let request =
        provisioning_core::orchestrator::AnswerRequest { token: None, body: body.as_bytes(), accept: None, from: None };
    lab.orchestrator.answer_file(&request).await.expect_err("it is not armed");
    let denied = |what: &Happening| matches!(what, Happening::AnswerDenied { .. });
    assert!(lab.journal(host).await.iter().any(denied), "the refusal stands with the host that it concerns");
    assert_eq!(lab.orchestrator.discovered().await.expect("memory"), []);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_boots_by_its_second_nic_is_told_so() {
    let lab = Lab::new(true).await;
    let new = NewHost { macs: vec![nic(7), nic(8)], ..new_host(7) };
    lab.orchestrator.register(new).await.expect("a new host");
    lab.orchestrator.sighted(seen(8, Sighted::Discovered(FIRMWARE))).await;
    let said = lab.orchestrator.diagnose(nic(7), None).await.expect("memory");
    assert_eq!(said.finding, "other_nic");
    assert!(said.summary.contains(&mac(8)), "{}", said.summary);
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_dhcp_client_is_nobody_to_be_discovered_and_leaves_no_line() {
    let lab = Lab::new(true).await;
    let host = lab.register(7).await;
    for n in [7, 9] {
        let address = Ipv4Addr::new(10, 0, 0, n);
        lab.orchestrator.sighted(seen(n, Sighted::Discovered(DhcpClient::default()))).await;
        lab.orchestrator.sighted(seen(n, Sighted::Requested { address })).await;
        lab.orchestrator.sighted(seen(n, Sighted::Acknowledged { address })).await;
    }
    assert_eq!(lab.orchestrator.discovered().await.expect("memory"), []);
    assert_eq!(lab.journal(host).await.len(), 1, "that it was registered");
    let why = "no address range available".to_owned();
    lab.orchestrator.sighted(Sighting { mac: None, address: None, what: Sighted::NoAddress { why } }).await;
    let said = lab.orchestrator.diagnose(nic(9), None).await.expect("memory");
    assert_eq!(said.finding, "turned_away");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_was_never_seen_has_a_diagnosis_too() {
    let lab = Lab::new(true).await;
    let said = lab.orchestrator.diagnose(nic(200), None).await.expect("memory");
    assert_eq!((said.finding, said.severity, said.reached), ("never_seen", Severity::Attention, None));
    lab.orchestrator.sighted(seen(200, Sighted::LeftAlone(FIRMWARE))).await;
    let said = lab.orchestrator.diagnose(nic(200), None).await.expect("memory");
    assert_eq!((said.finding, said.reached), ("left_alone", Some(Step::FirmwareAsked)));
}
