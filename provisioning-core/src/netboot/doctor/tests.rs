//! Trails as machines leave them in the field, and what the doctor says of each.

use std::net::Ipv4Addr;

use super::*;
use crate::machine::BootAnswer;
use crate::netboot::{ClientArch, DhcpClient, Trace};

const NEW_IPXE: &str = "iPXE/1.21.1+git20250501";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn saw(seconds: i64, what: Sighted) -> Footprint {
    Footprint { at: at(seconds), trace: Trace::BootServer { what } }
}

fn script(seconds: i64, told: BootAnswer, agent: &str) -> Footprint {
    Footprint { at: at(seconds), trace: Trace::ScriptAsked { told, agent: Some(agent.to_owned()) } }
}

fn firmware(arch: ClientArch) -> DhcpClient {
    DhcpClient { arch: Some(arch), ipxe: false }
}

const IPXE: DhcpClient = DhcpClient { arch: Some(ClientArch::UefiX64), ipxe: true };

fn discover(seconds: i64) -> Footprint {
    saw(seconds, Sighted::Discovered(firmware(ClientArch::UefiX64)))
}

fn offer(seconds: i64, client: DhcpClient, address: Option<Ipv4Addr>, file: &str) -> Footprint {
    saw(seconds, Sighted::Offered { client, address, file: Some(file.to_owned()) })
}

fn asked_4011(seconds: i64) -> Footprint {
    let client = firmware(ClientArch::UefiX64);
    saw(seconds, Sighted::BootServerAsked { client, file: Some("ipxe.efi".to_owned()) })
}

fn sent(seconds: i64, file: &str) -> Footprint {
    saw(seconds, Sighted::FileSent { file: file.to_owned() })
}

fn size_probe(seconds: i64) -> Footprint {
    saw(seconds, Sighted::FileBroken { file: None, why: "error 8 User aborted the transfer".to_owned() })
}

fn autoexec(seconds: i64) -> Footprint {
    saw(seconds, Sighted::FileMissing { file: "autoexec.ipxe".to_owned() })
}

/// OVMF's own PXE client up to iPXE's script, as the lab's log has it; it begins at `start`.
fn to_ipxe(start: i64) -> Vec<Footprint> {
    let fw = firmware(ClientArch::UefiX64);
    vec![
        saw(start, Sighted::Discovered(fw)),
        offer(start, fw, None, "ipxe.efi"),
        asked_4011(start + 4),
        size_probe(start + 4),
        sent(start + 5, "ipxe.efi"),
        autoexec(start + 8),
        saw(start + 9, Sighted::Discovered(IPXE)),
        offer(start + 9, IPXE, None, "http://10.0.0.2:8080/ipxe/52:54:00:00:00:07"),
    ]
}

/// A whole netboot that ends with the script.
fn netboot(start: i64, told: BootAnswer) -> Vec<Footprint> {
    let mut trail = to_ipxe(start);
    trail.push(script(start + 11, told, NEW_IPXE));
    trail
}

struct Patient {
    trail: Vec<Footprint>,
    phase: Option<Phase>,
    progress: Option<Progress>,
    other_nic: Option<MacAddr>,
    turned_away: Option<String>,
}

impl Patient {
    fn armed(trail: Vec<Footprint>) -> Self {
        Self { trail, phase: Some(Phase::PxeReady), progress: None, other_nic: None, turned_away: None }
    }

    fn with_phase(self, phase: Phase) -> Self {
        Self { phase: Some(phase), ..self }
    }

    fn stranger(trail: Vec<Footprint>) -> Self {
        Self { phase: None, ..Self::armed(trail) }
    }

    fn with_progress(self, kernel: (u64, u64), initrd: (u64, u64), moved_at: i64) -> Self {
        let part = |(bytes, total)| PartProgress { bytes, total };
        let progress = Progress { kernel: part(kernel), initrd: part(initrd), moved_at: Some(at(moved_at)) };
        Self { progress: Some(progress), ..self }
    }

    fn diagnosed(&self, seconds: i64) -> Diagnosis {
        let public_url = "http://10.0.0.2:8080".parse().unwrap();
        diagnose(&Case {
            mac: "52:54:00:00:00:07".parse().unwrap(),
            at: at(seconds),
            phase: self.phase,
            other_nic: self.other_nic,
            turned_away: self.turned_away.clone(),
            trail: &self.trail,
            progress: self.progress,
            public_url: &public_url,
        })
    }

    /// Checks the finding, what is missing, and that trouble never comes without words.
    #[track_caller]
    fn has(&self, seconds: i64, finding: &str, missing: Option<Step>) -> Diagnosis {
        let diagnosis = self.diagnosed(seconds);
        assert_eq!((diagnosis.finding, diagnosis.missing), (finding, missing), "{diagnosis:#?}");
        let is_worth_words = diagnosis.severity >= Severity::Attention;
        let has_words = !diagnosis.advice.is_empty() && diagnosis.likely_cause.is_some();
        assert!(!is_worth_words || has_words, "{diagnosis:#?}");
        let next = diagnosis.steps.iter().find(|step| step.mark == Mark::Next).map(|step| step.step);
        assert!(missing.is_none() || next.is_none() || next == missing, "{diagnosis:#?}");
        diagnosis
    }
}

#[test]
fn a_machine_that_was_never_seen_is_looked_for_on_the_network() {
    let said = Patient::armed(vec![]).has(0, "never_seen", Some(Step::FirmwareAsked));
    assert_eq!((said.severity, said.reached), (Severity::Attention, None));
    assert!(said.likely_cause.unwrap().contains("VLAN"));
    let ready = Patient::armed(vec![]).with_phase(Phase::Ready).has(0, "never_seen", Some(Step::FirmwareAsked));
    assert_eq!(ready.severity, Severity::Fine, "nobody waits for it");
}

#[test]
fn a_wrong_subnet_shows_although_the_log_does_not_tell_whose_request_it_was() {
    let turned_away = Some("no address range available for DHCP request via eth0".to_owned());
    let said = Patient { turned_away, ..Patient::armed(vec![]) }.has(0, "turned_away", Some(Step::FirmwareAsked));
    assert!(said.likely_cause.unwrap().contains("no address range available"));
}

#[test]
fn a_host_that_boots_by_another_nic_is_told_apart_from_a_silent_one() {
    let other_nic = Some("52:54:00:00:00:08".parse().unwrap());
    let said = Patient { other_nic, ..Patient::armed(vec![]) }.has(0, "other_nic", Some(Step::FirmwareAsked));
    assert!(said.summary.contains("52:54:00:00:00:08"), "{}", said.summary);
    assert_eq!(said.severity, Severity::Fine, "any NIC of a host will do");
}

#[test]
fn a_stranger_that_is_left_alone_can_be_adopted() {
    let trail = vec![saw(0, Sighted::LeftAlone(firmware(ClientArch::Bios)))];
    let said = Patient::stranger(trail.clone()).has(1, "left_alone", Some(Step::Offered));
    assert!(said.likely_cause.unwrap().contains("respond_to"));
    assert!(said.advice[0].contains("discovered adopt 52:54:00:00:00:07"), "{:?}", said.advice);
    let registered_since = Patient::armed(trail).has(60, "left_alone", Some(Step::Offered));
    assert!(registered_since.advice[0].contains("Restart"), "{:?}", registered_since.advice);
}

#[test]
fn a_request_without_an_offer_is_not_served_here() {
    let trail = vec![discover(0), discover(60)];
    Patient::armed(vec![discover(0)]).has(3, "under_way", None);
    Patient::armed(trail).has(62, "no_offer", Some(Step::Offered));
    let why = "no address range available for DHCP request via eth0".to_owned();
    let said = Patient::armed(vec![discover(0), saw(0, Sighted::NoAddress { why })]);
    let said = said.has(1, "no_address", Some(Step::Offered));
    assert!(said.likely_cause.unwrap().contains("no address range available"));
    assert!(said.advice[0].contains("pxe.subnet"));
}

#[test]
fn firmware_that_does_not_merge_proxy_offers_gets_lines_for_the_sites_own_dhcp_server() {
    let fw = firmware(ClientArch::UefiX64);
    let trail = vec![discover(0), offer(0, fw, None, "ipxe.efi"), discover(62)];
    let said = Patient::armed(trail).has(90, "offer_ignored", Some(Step::ProgramAsked));
    assert_eq!((said.severity, said.reached), (Severity::Trouble, Some(Step::Offered)));
    let snippet = said.snippet.unwrap();
    assert!(snippet.lines.iter().any(|line| line == "dhcp-boot=tag:ipxe,http://10.0.0.2:8080/ipxe/${mac},,10.0.0.2"));
    assert!(snippet.command.contains("dhcp-snippet"));
    assert!(said.likely_cause.unwrap().contains("4011"));
}

#[test]
fn an_address_that_is_not_taken_means_a_second_dhcp_server() {
    let fw = firmware(ClientArch::UefiX64);
    let address = Some(Ipv4Addr::new(10, 0, 0, 100));
    let said = Patient::armed(vec![discover(0), offer(0, fw, address, "ipxe.efi")]);
    let said = said.has(30, "offer_not_taken", Some(Step::ProgramAsked));
    assert!(said.likely_cause.unwrap().contains("another DHCP server"));
    assert_eq!(said.snippet, None);
    let denied = saw(2, Sighted::Denied { why: "wrong network".to_owned() });
    Patient::armed(vec![discover(0), offer(0, fw, address, "ipxe.efi"), denied]).has(
        3,
        "denied",
        Some(Step::ProgramAsked),
    );
}

#[test]
fn a_program_that_is_never_fetched_points_at_the_firewall() {
    let fw = firmware(ClientArch::UefiX64);
    let trail = vec![discover(0), offer(0, fw, None, "ipxe.efi"), asked_4011(1)];
    Patient::armed(trail.clone()).has(5, "under_way", None);
    let said = Patient::armed(trail).has(60, "program_never_fetched", Some(Step::ProgramLoaded));
    assert!(said.advice[0].contains("port 69"));
}

#[test]
fn a_missing_program_is_named() {
    let missing = saw(2, Sighted::FileMissing { file: "snponly.efi".to_owned() });
    let said = Patient::armed(vec![discover(0), asked_4011(1), missing]);
    let said = said.has(3, "program_missing", Some(Step::ProgramLoaded));
    assert!(said.summary.contains("snponly.efi"));
}

#[test]
fn a_size_probe_is_no_broken_transfer() {
    let broken = saw(2, Sighted::FileBroken { file: None, why: "timeout".to_owned() });
    let probe = vec![discover(0), asked_4011(1), size_probe(2)];
    Patient::armed(probe).has(60, "program_never_fetched", Some(Step::ProgramLoaded));
    Patient::armed(vec![discover(0), asked_4011(1), broken]).has(60, "program_broken", Some(Step::ProgramLoaded));
}

#[test]
fn a_program_that_never_speaks_is_refused_by_secure_boot() {
    let trail = vec![discover(0), asked_4011(1), size_probe(1), sent(2, "ipxe.efi")];
    Patient::armed(trail.clone()).has(10, "under_way", None);
    let said = Patient::armed(trail.clone()).has(30, "program_not_started", Some(Step::IpxeAsked));
    assert!(said.likely_cause.unwrap().contains("Secure Boot") && said.summary.contains("ipxe.efi"));
    let started = [trail, vec![autoexec(5)]].concat();
    let said = Patient::armed(started).has(60, "ipxe_without_address", Some(Step::IpxeAsked));
    assert!(said.advice[0].contains("portfast"));
}

#[test]
fn ipxe_without_an_offer_has_no_address() {
    let rom = vec![saw(0, Sighted::Discovered(DhcpClient { arch: Some(ClientArch::Bios), ipxe: true }))];
    Patient::armed(rom.clone()).has(5, "under_way", None);
    Patient::armed(rom).has(60, "ipxe_without_address", Some(Step::ScriptFetched));
}

#[test]
fn a_script_that_is_never_fetched_points_at_the_public_url() {
    Patient::armed(to_ipxe(0)).has(15, "under_way", None);
    let said = Patient::armed(to_ipxe(0)).has(60, "script_not_fetched", Some(Step::ScriptFetched));
    assert!(said.likely_cause.unwrap().contains("http://10.0.0.2:8080"));
    let url = format!("http://{}", "x".repeat(120));
    let cut = vec![saw(0, Sighted::Discovered(IPXE)), offer(0, IPXE, None, &url)];
    Patient::armed(cut).has(1, "url_too_long", Some(Step::ScriptFetched));
}

#[test]
fn an_ipxe_of_before_2021_is_warned_of() {
    let old = |agent| {
        let trail = [to_ipxe(0), vec![script(11, BootAnswer::Installer, agent)]].concat();
        Patient::armed(trail).diagnosed(12).notes
    };
    assert!(old("iPXE/1.0.0+git-20190125.36a4c85-5.1")[0].contains("2021"));
    assert_eq!(old(NEW_IPXE), Vec::<String>::new());
}

#[test]
fn a_machine_that_was_sent_on_was_not_armed() {
    let trail = netboot(0, BootAnswer::NextDevice);
    let said = Patient::stranger(trail.clone()).has(20, "not_registered", Some(Step::KernelFetched));
    assert_eq!(said.steps.last().unwrap().step, Step::ScriptFetched, "it has no steps behind its script");
    let said = Patient::armed(trail.clone()).with_phase(Phase::Registered);
    let said = said.has(20, "not_armed", Some(Step::KernelFetched));
    assert!(said.advice[0].contains("Start a rebuild"));
    let armed_since = Patient::armed(trail).has(20, "not_armed", Some(Step::KernelFetched));
    assert_eq!(armed_since.severity, Severity::Waiting);
    let failed = Patient::armed(netboot(0, BootAnswer::LocalDisk)).with_phase(Phase::Failed);
    failed.has(20, "not_armed", Some(Step::KernelFetched));
}

#[test]
fn a_machine_that_boots_its_disk_is_fine_until_it_goes_round() {
    let ready = |trail| Patient::armed(trail).with_phase(Phase::Ready);
    let once = ready(netboot(0, BootAnswer::LocalDisk)).has(600, "boots_disk", None);
    assert_eq!(once.severity, Severity::Fine);
    let round = [0, 200, 400].map(|start| netboot(start, BootAnswer::LocalDisk)).concat();
    let said = ready(round.clone()).has(420, "netboot_loop", None);
    assert!(said.likely_cause.unwrap().contains("boot order"), "{}", said.summary);
    ready(round).has(4_000, "boots_disk", None);
}

#[test]
fn a_kernel_that_is_never_asked_for_is_missed() {
    let trail = netboot(0, BootAnswer::Installer);
    Patient::armed(trail.clone()).has(20, "under_way", None);
    Patient::armed(trail).with_phase(Phase::PxeBooted).has(60, "kernel_not_fetched", Some(Step::KernelFetched));
}

#[test]
fn a_download_is_fine_while_it_moves_and_stalled_when_it_does_not() {
    let patient = |moved_at| {
        let patient = Patient::armed(netboot(0, BootAnswer::Installer)).with_phase(Phase::PxeBooted);
        patient.with_progress((10, 10), (440, 1_000), moved_at)
    };
    let moving = patient(100).has(110, "downloading", None);
    assert_eq!(moving.severity, Severity::Fine);
    assert!(moving.summary.contains("44 %"), "{}", moving.summary);
    let stalled = patient(30).has(110, "download_stalled", Some(Step::InitrdFetched));
    assert!(stalled.summary.contains("440 of 1000"), "{}", stalled.summary);
    let detail = stalled.steps.iter().find(|step| step.step == Step::InitrdFetched).unwrap();
    assert_eq!((detail.mark, detail.detail.as_deref()), (Mark::Next, Some("440 of 1000 bytes")));
}

#[test]
fn an_installer_that_never_asks_has_too_little_memory_or_no_driver() {
    let loaded = Patient::armed(netboot(0, BootAnswer::Installer)).with_phase(Phase::PxeBooted);
    let loaded = loaded.with_progress((10, 10), (1_000, 1_000), 30);
    loaded.has(100, "under_way", None);
    let said = loaded.has(400, "answer_not_asked", Some(Step::AnswerFetched));
    assert_eq!(said.reached, Some(Step::InitrdFetched));
    assert!(said.likely_cause.unwrap().contains("memory"));
    let round = [0, 300, 600].map(|start| netboot(start, BootAnswer::Installer)).concat();
    let restarts = Patient::armed(round).with_phase(Phase::PxeBooted);
    restarts.has(620, "installer_restarts", Some(Step::AnswerFetched));
}

#[test]
fn a_refused_answer_says_why() {
    let mut trail = netboot(0, BootAnswer::Installer);
    let why = "pve-07 is not armed; rebuild it to install it".to_owned();
    trail.push(Footprint { at: at(60), trace: Trace::AnswerRefused { why } });
    let said = Patient::armed(trail).has(61, "answer_refused", Some(Step::AnswerFetched));
    assert!(said.summary.contains("pve-07 is not armed"));
}

#[test]
fn an_answered_installer_is_done_and_an_installed_host_stays_so() {
    let mut trail = netboot(0, BootAnswer::Installer);
    trail.push(Footprint { at: at(60), trace: Trace::AnswerFetched });
    // The installer and the installed system are ordinary DHCP clients.
    trail.push(saw(70, Sighted::Discovered(DhcpClient::default())));
    trail.push(saw(71, Sighted::Acknowledged { address: Ipv4Addr::new(10, 0, 0, 9) }));
    trail.push(Footprint { at: at(400), trace: Trace::Installed });
    let said = Patient::armed(trail).with_phase(Phase::Ready).has(9_000, "done", None);
    assert_eq!((said.severity, said.reached), (Severity::Fine, Some(Step::Installed)));
    assert!(said.steps.iter().all(|step| step.mark == Mark::Done), "{:#?}", said.steps);
}

#[test]
fn http_boot_needs_no_tftp() {
    let fw = firmware(ClientArch::UefiHttpX64);
    let offered = vec![saw(0, Sighted::Discovered(fw)), offer(0, fw, None, "http://10.0.0.2:8080/files/ipxe.efi")];
    let silent = Patient::armed(offered.clone()).has(60, "http_boot_silent", Some(Step::IpxeAsked));
    assert!(silent.advice[0].contains("http://10.0.0.2:8080"));
    let ipxe = vec![saw(5, Sighted::Discovered(IPXE)), script(6, BootAnswer::Installer, NEW_IPXE)];
    let said = Patient::armed([offered, ipxe].concat()).has(10, "under_way", None);
    let mark = |step| said.steps.iter().find(|seen| seen.step == step).map(|seen| seen.mark);
    assert_eq!(mark(Step::ProgramLoaded), Some(Mark::Skipped));
    assert_eq!(mark(Step::KernelFetched), Some(Mark::Next));
}

#[test]
fn full_dhcp_is_understood_as_well() {
    let fw = firmware(ClientArch::Bios);
    let address = Ipv4Addr::new(10, 0, 0, 100);
    let trail = vec![
        saw(0, Sighted::Discovered(fw)),
        offer(3, fw, Some(address), "undionly.kpxe"),
        saw(4, Sighted::Requested { address }),
        saw(4, Sighted::Acknowledged { address }),
        sent(5, "undionly.kpxe"),
        saw(8, Sighted::Discovered(IPXE)),
        offer(8, IPXE, Some(address), "http://10.0.0.2:8080/ipxe/52:54:00:00:00:07"),
        saw(9, Sighted::Acknowledged { address }),
    ];
    Patient::armed(trail[..4].to_vec()).has(60, "program_never_fetched", Some(Step::ProgramLoaded));
    Patient::armed(trail).has(60, "script_not_fetched", Some(Step::ScriptFetched));
}

#[test]
fn only_the_latest_netboot_counts() {
    let mut trail = netboot(0, BootAnswer::Installer);
    trail.extend([discover(300), offer(300, firmware(ClientArch::UefiX64), None, "ipxe.efi")]);
    let said = Patient::armed(trail).has(400, "offer_ignored", Some(Step::ProgramAsked));
    assert_eq!(said.steps[0].done_at, Some(at(300)));
}

#[test]
fn no_trail_makes_the_doctor_panic() {
    let what = [
        discover(1).trace,
        asked_4011(1).trace,
        size_probe(1).trace,
        autoexec(1).trace,
        Trace::ScriptAsked { told: BootAnswer::Installer, agent: None },
        Trace::AnswerFetched,
        Trace::Installed,
    ];
    for first in &what {
        for second in &what {
            for phase in [None, Some(Phase::Registered), Some(Phase::PxeReady), Some(Phase::Ready)] {
                let trail = [first, second].map(|trace| Footprint { at: at(1), trace: trace.clone() }).to_vec();
                let said = Patient { phase, ..Patient::armed(trail) }.diagnosed(100);
                assert!(!said.summary.is_empty());
            }
        }
    }
}
