//! The iPXE interpreter: follows the script, refuses what it does not know, never panics.

#![expect(clippy::unwrap_used, reason = "a script that cannot be read shall fail the test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use provisioning_sim::real::ipxe::{End, ImageRef, IpxeError, Script, Step, Went};

const INSTALLER: &str = "#!ipxe\n\
    # by hand\n\
    echo Installing on ${mac} # not printed\n\
    kernel http://s:8080/boot/T/vmlinuz initrd=initrd.img \\\n  quiet proxmox-start-auto-installer\n\
    initrd --name initrd.img http://s:8080/boot/T/initrd\n\
    boot\n";

fn settings() -> BTreeMap<String, String> {
    [("mac".to_owned(), "52:54:00:00:00:01".to_owned())].into()
}

/// Runs a script to its end, every step going as `went` says.
fn steps(text: &str, mut went: impl FnMut(&Step) -> Went) -> Vec<Step> {
    let mut running = Script::parse(text).unwrap().run(settings());
    let mut steps = Vec::new();
    let mut last = Went::Well;
    loop {
        let step = running.next(last);
        steps.push(step.clone());
        if matches!(step, Step::Ended(_)) {
            return steps;
        }
        last = went(&step);
    }
}

fn all_well(_: &Step) -> Went {
    Went::Well
}

fn echo(text: &str) -> Step {
    Step::Echo(text.into())
}

#[test]
fn the_installers_script_fetches_and_boots_what_it_names() {
    let kernel = ImageRef::Kernel {
        url: "http://s:8080/boot/T/vmlinuz".into(),
        arguments: ["initrd=initrd.img", "quiet", "proxmox-start-auto-installer"].map(String::from).to_vec(),
    };
    let initrd =
        ImageRef::Initrd { name: "initrd.img".into(), url: "http://s:8080/boot/T/initrd".into(), wrap_as: None };
    assert_eq!(
        steps(INSTALLER, all_well),
        [
            echo("Installing on 52:54:00:00:00:01"),
            Step::Fetch(kernel.clone()),
            Step::Fetch(initrd.clone()),
            Step::Boot(vec![kernel, initrd]),
            Step::Ended(End::RanOut),
        ]
    );
}

#[test]
fn a_failed_download_ends_the_script_at_its_line() {
    let went = |step: &Step| if matches!(step, Step::Fetch(_)) { Went::Wrong } else { Went::Well };
    let steps = steps(INSTALLER, went);
    assert_eq!(steps.last(), Some(&Step::Ended(End::Failed { command: "kernel", line: 4 })));
    assert_eq!(steps.len(), 3);
}

#[test]
fn the_local_disk_is_tried_before_the_next_boot_option() {
    let local = "#!ipxe\nsanboot --no-describe --drive 0x80 || exit 1\n";
    let sanboot = Step::Sanboot { drive: 0x80 };
    assert_eq!(steps(local, all_well), [sanboot.clone(), Step::Ended(End::RanOut)]);
    assert_eq!(steps(local, |_| Went::Wrong), [sanboot, Step::Ended(End::Exit(1))]);
}

#[test]
fn a_line_stops_at_the_first_operator_that_does_not_fit() {
    let well = steps("#!ipxe\necho a && echo b || echo c && echo d\necho e\n", all_well);
    assert_eq!(well, [echo("a"), echo("b"), echo("e"), Step::Ended(End::RanOut)]);
    let boot_fails = |step: &Step| if matches!(step, Step::Boot(_)) { Went::Wrong } else { Went::Well };
    let caught = steps("#!ipxe\nboot || echo c && echo d\nexit 3\n", boot_fails);
    assert_eq!(caught, [Step::Boot(vec![]), echo("c"), echo("d"), Step::Ended(End::Exit(3))]);
    let uncaught = steps("#!ipxe\nboot && echo b || echo c\nexit 3\n", boot_fails);
    assert_eq!(uncaught, [Step::Boot(vec![]), Step::Ended(End::Failed { command: "boot", line: 2 })]);
}

#[test]
fn a_file_may_be_wrapped_into_the_initramfs_under_a_name() {
    let steps = steps("#!ipxe\ninitrd http://s/a/pve.iso?x=1 proxmox.iso\nexit\n", all_well);
    let image = ImageRef::Initrd {
        name: "pve.iso".into(),
        url: "http://s/a/pve.iso?x=1".into(),
        wrap_as: Some("proxmox.iso".into()),
    };
    assert_eq!(steps, [Step::Fetch(image), Step::Ended(End::Exit(0))]);
}

#[test]
fn settings_are_filled_in_and_unknown_ones_are_empty_as_in_ipxe() {
    let steps = steps("#!ipxe\necho <${mac}> <${nonsense}> ${open\n", all_well);
    assert_eq!(steps[0], echo("<52:54:00:00:00:01> <> ${open"));
}

#[test]
fn bad_scripts_are_refused_with_line_and_reason() {
    let cases: &[(&str, &str)] = &[
        ("", "the first line is not #!ipxe"),
        ("#!ipxe2\nboot\n", "the first line is not #!ipxe"),
        ("\n#!ipxe\nboot\n", "the first line is not #!ipxe"),
        ("<html>", "the first line is not #!ipxe"),
        ("#!ipxe\necho ok\nchainload http://x\n", "line 3: \"chainload\" is no command"),
        ("#!ipxe\nBOOT\n", "line 2: \"BOOT\" is no command"),
        ("#!ipxe\nkernel\n", "line 2: kernel lacks its URL"),
        ("#!ipxe\nkernel --verbose http://x\n", "line 2: kernel has no option \"--verbose\""),
        ("#!ipxe\ninitrd --name\n", "line 2: initrd lacks its --name"),
        ("#!ipxe\ninitrd http://x a b\n", "line 2: initrd does not take \"b\""),
        ("#!ipxe\nboot now\n", "line 2: boot does not take \"now\""),
        ("#!ipxe\nsanboot --drive 0x1ff\n", "line 2: sanboot has drive \"0x1ff\""),
        ("#!ipxe\nexit one\n", "line 2: exit has status \"one\""),
        ("#!ipxe\nboot ||\n", "line 2: || lacks a command"),
        ("#!ipxe\n&& boot\n", "lacks a command on one side"),
        ("#!ipxe\nboot || && exit\n", "lacks a command on one side"),
    ];
    for (script, expected) in cases {
        let said = Script::parse(script).unwrap_err().to_string();
        assert!(said.contains(expected), "{script:?} gave {said:?}");
    }
    assert_eq!(Script::parse("echo hi"), Err(IpxeError::NoHeader));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text: String) {
        Script::parse(&format!("#!ipxe\n{text}")).ok();
        Script::parse(&text).ok();
    }

    #[test]
    fn every_script_comes_to_an_end(
        lines in proptest::collection::vec(proptest::sample::select(vec![
            "echo a", "boot || exit 1", "kernel http://x a", "initrd http://y && boot", "sanboot || boot && exit 2", "#", "",
        ]), 0..12),
        fates in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let mut running = Script::parse(&format!("#!ipxe\n{}", lines.join("\n"))).unwrap().run(settings());
        let mut last = Went::Well;
        let ended = fates.iter().any(|&well| {
            let step = running.next(last);
            last = if well { Went::Well } else { Went::Wrong };
            matches!(step, Step::Ended(_))
        });
        prop_assert!(ended);
        prop_assert!(matches!(running.next(Went::Well), Step::Ended(_)));
    }
}
