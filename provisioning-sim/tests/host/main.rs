//! The life of a simulated machine before a server that is good, slow, or bad.

#![expect(clippy::unwrap_used, reason = "a laboratory that cannot be set up shall fail the test")]

mod fleet;
mod lab;
mod stub;

use lab::Lab;
use provisioning_core::model::PhoneHome;
use provisioning_sim::real::host::HostEvent;
use serde_json::Value;

fn phoned_home(event: &HostEvent) -> bool {
    *event == HostEvent::PhonedHome
}

fn shown(events: &[HostEvent]) -> String {
    events.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_machine_goes_from_power_on_to_phone_home() {
    let mut lab = Lab::new(1, |_| {}).await;
    let events = lab.until(phoned_home).await;
    let order = [
        "powered on",
        "iPXE asks",
        "console: hello",
        "installer 9.2 started",
        "asks for its answer",
        "takes the answer: becomes pve-07.lab.example",
        "has its first-boot script",
        "writes sda, sdb",
        "disks written (installation 1)",
        "webhook taken",
        "powered on",
        "booting from the local disk",
        "pve-07.lab.example is up",
        "phoned home",
    ];
    let text = shown(&events);
    let mut rest = text.as_str();
    for step in order {
        let Some((_, after)) = rest.split_once(step) else { panic!("{step:?} is missing or too early in\n{text}") };
        rest = after;
    }
    assert_eq!((lab.installations(), lab.boots()), (1, 1));
    let system = lab.systems.installed.lock().unwrap()[0].clone();
    assert_eq!(system.root_ssh_keys, ["ssh-ed25519 AAAA key"]);

    let answer = &lab.stub.seen("/api/boot/answer")[0];
    assert_eq!(answer.headers["authorization"], "Bearer answer-token");
    assert!(answer.body.contains(&lab.hardware.boot_nic().mac.to_string().to_uppercase()));
    let webhook: Value = serde_json::from_str(&lab.stub.seen("/installed")[0].body).unwrap();
    assert_eq!(webhook["$schema"]["version"], "1.2");
    assert_eq!(webhook["filesystem"], "zfs (RAID1)");

    let home = &lab.stub.seen("/api/hosts/")[0];
    assert_eq!(home.from, lab.hardware.address(), "a machine speaks from its own address");
    assert!(home.headers["authorization"].to_str().unwrap().starts_with("Bearer AAAAAAABc"));
    let report = PhoneHome::from_json(home.body.as_bytes()).unwrap();
    assert_eq!(report.ip, lab.hardware.address());
    assert_eq!(report.hardware_id.unwrap().as_str(), lab.hardware.uuid);
    assert_eq!(report.host_keys.len(), 1);
}

#[tokio::test]
async fn a_machine_that_is_told_to_wait_asks_again() {
    let mut lab = Lab::new(2, |stub| stub.plan().scripts.extend([(503, "5"), (503, "5")])).await;
    let events = lab.until(phoned_home).await;
    assert_eq!(events.iter().filter(|event| **event == HostEvent::Held { seconds: 5 }).count(), 2);
    assert_eq!(lab.installations(), 1);
}

#[tokio::test]
async fn a_refusal_sends_an_empty_machine_to_a_person_who_starts_it_again() {
    for (code, text) in [(404, ""), (500, ""), (503, ""), (200, "<html>not for you</html>"), (200, "#!ipxe\nreboot\n")]
    {
        let mut lab = Lab::new(3, |stub| stub.plan().scripts.push_back((code, text))).await;
        let events = lab.until(phoned_home).await;
        let stuck = events.iter().any(|event| matches!(event, HostEvent::NoBootDevice { .. }));
        assert!(stuck, "{code} {text}\n{}", shown(&events));
        assert_eq!(lab.installations(), 1);
    }
}

#[tokio::test]
async fn a_plain_exit_hangs_uefi_and_leads_bios_to_its_disk() {
    for (number, stuck) in [(4, true), (5, false)] {
        let mut lab = Lab::new(number, |stub| stub.plan().scripts.push_back((200, "#!ipxe\nexit\n"))).await;
        assert_eq!(lab.hardware.uefi, stuck);
        let events = lab.until(phoned_home).await;
        assert_eq!(events.iter().any(|event| matches!(event, HostEvent::Stuck { .. })), stuck, "{}", shown(&events));
    }
}

#[tokio::test]
async fn the_local_disk_of_an_empty_machine_is_no_boot_device() {
    let mut lab = Lab::new(6, |stub| stub.plan().answered = true).await;
    lab.until(|event| matches!(event, HostEvent::NoBootDevice { .. })).await;
    assert_eq!(lab.installations(), 0);
}

#[tokio::test]
async fn an_answer_that_is_refused_leaves_the_disks_alone() {
    let mut lab = Lab::new(7, |stub| stub.plan().answers.push_back(503)).await;
    let events = lab.until(|event| matches!(event, HostEvent::DebugShell { .. })).await;
    assert!(shown(&events).contains("the server said 503 not now"), "{}", shown(&events));
    assert_eq!(lab.installations(), 0);
    // One attempt only; after a person typed exit the machine starts from the beginning.
    assert_eq!(lab.stub.seen("/api/boot/answer").len(), 1);
    let events = lab.until(phoned_home).await;
    assert_eq!(events[0], HostEvent::ShellLeft);
    assert_eq!(lab.stub.seen("/api/boot/answer").len(), 2);
}

#[tokio::test]
async fn a_webhook_that_is_refused_does_not_keep_the_host_from_phoning_home() {
    for reboot_on_error in [false, true] {
        let mut lab = Lab::new(8, |stub| {
            let mut plan = stub.plan();
            plan.webhooks.push_back(204);
            plan.reboot_on_error = reboot_on_error;
        })
        .await;
        let events = lab.until(phoned_home).await;
        let by_itself = events.iter().any(|event| matches!(event, HostEvent::InstallationFailed { .. }));
        let by_person = events.contains(&HostEvent::ShellLeft);
        assert_eq!((by_itself, by_person), (reboot_on_error, !reboot_on_error), "{}", shown(&events));
        assert_eq!(lab.stub.seen("/installed").len(), 1, "the webhook is tried once");
        assert_eq!(lab.installations(), 1);
    }
}

#[tokio::test]
async fn the_first_boot_script_tries_until_it_is_heard() {
    let mut lab = Lab::new(9, |stub| stub.plan().phone_homes.extend([500, 503])).await;
    let events = lab.until(phoned_home).await;
    let tries = events.iter().filter(|event| matches!(event, HostEvent::PhoneHomeFailed { .. })).count();
    assert_eq!(tries, 2);
    assert_eq!(lab.stub.seen("/api/hosts/").len(), 3);
}

#[tokio::test]
async fn a_first_boot_script_that_gave_up_runs_again_at_the_next_boot_and_not_after_it_was_heard() {
    let mut lab = Lab::new(10, |stub| stub.plan().phone_homes.extend([500; 60])).await;
    lab.until(|event| matches!(event, HostEvent::FirstBootFailed { .. })).await;
    lab.button.cycle();
    lab.until(phoned_home).await;
    lab.button.cycle();
    lab.until(|event| matches!(event, HostEvent::SystemBooted { .. })).await;
    lab.button.cycle();
    lab.until(|event| matches!(event, HostEvent::SystemBooted { .. })).await;
    assert_eq!((lab.installations(), lab.boots()), (1, 4));
    assert_eq!(lab.stub.seen("/api/hosts/").len(), 61);
}

#[tokio::test]
async fn a_kernel_with_one_wrong_bit_does_not_boot() {
    let mut lab = Lab::new(11, |stub| stub.plan().spoilt_kernel = true).await;
    let events = lab.until(|event| matches!(event, HostEvent::Stuck { .. })).await;
    assert!(shown(&events).contains("the kernel differs"), "{}", shown(&events));
}

#[tokio::test]
async fn a_power_cut_while_disks_are_written_leaves_nothing_to_boot() {
    let mut lab = Lab::new(12, |_| {}).await;
    lab.until(|event| matches!(event, HostEvent::WritingDisks { .. })).await;
    lab.button.cycle();
    let events = lab.until(|event| matches!(event, HostEvent::NoBootDevice { .. } | HostEvent::PhonedHome)).await;
    // The press may come just after the last block; then the system is there, and whole.
    let finished = events.iter().any(|event| matches!(event, HostEvent::DisksWritten { .. }));
    assert_eq!(events.contains(&HostEvent::PhonedHome), finished, "{}", shown(&events));
}

#[tokio::test]
async fn some_machines_have_an_old_ipxe_that_encodes_colons() {
    let mut encoded = 0;
    for number in 20..32 {
        let mut lab = Lab::new(number, |_| {}).await;
        lab.until(|event| matches!(event, HostEvent::Downloaded { .. })).await;
        let seen = &lab.stub.seen("/ipxe/")[0];
        let old = seen.headers["user-agent"].to_str().unwrap().starts_with("iPXE/1.0.0");
        assert_eq!(seen.path.contains("%3A"), old, "{}", seen.path);
        assert_eq!(seen.method, "GET");
        encoded += u32::from(old);
    }
    assert!((1..12).contains(&encoded), "{encoded} of 12");
}
