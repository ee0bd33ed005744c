//! The installer's rules for answers, good and bad, release by release.

#![expect(clippy::unwrap_used, reason = "an answer that cannot be judged shall fail the test")]

use std::path::Path;

use proptest::prelude::*;
use provisioning_core::model::Release;
use provisioning_sim::real::answer::{
    AnswerFormat, DiskPick, FirstBootSource, FqdnPlan, InstallPlan, NetworkPlan, Ordering, RebootMode, judge,
};

const ALL: [&str; 6] = ["8.2", "8.3", "8.4", "9.0", "9.1", "9.2"];

const SNAKE: &str = r#"
[global]
keyboard = "de"
country = "at"
timezone = "Europe/Vienna"
fqdn = "pve-07.lab.example"
mailto = "root@localhost"
root_password = "12345678"
root_ssh_keys = ["ssh-ed25519 AAAA one"]
reboot_on_error = true
[network]
source = "from-dhcp"
[disk-setup]
filesystem = "ext4"
disk_list = ["sda"]
"#;

/// The same in the spelling that is taken from 8.4 on.
fn kebab() -> String {
    ["root_password", "root_ssh_keys", "reboot_on_error", "disk_list"]
        .iter()
        .fold(SNAKE.to_owned(), |text, key| text.replace(key, &key.replace('_', "-")))
}

fn judged(text: &str, release: &str) -> Result<InstallPlan, String> {
    judge(text.as_bytes(), AnswerFormat::Toml, release.parse().unwrap()).map_err(|e| e.to_string())
}

/// The kebab answer with one line changed; the line must be there.
fn with(line: &str, other: &str) -> String {
    let text = kebab();
    assert!(text.contains(line), "{line}");
    text.replace(line, other)
}

/// Each change is refused by these releases, with these words, and accepted by all others.
fn check(text: &str, refused_by: &[&str], words: &str) {
    for release in ALL.into_iter().filter(|release| *release != "8.2" && *release != "8.3") {
        match judged(text, release) {
            Ok(_) => assert!(!refused_by.contains(&release), "{release} takes {text}"),
            Err(said) => {
                assert!(refused_by.contains(&release), "{release} refuses {text}: {said}");
                assert!(said.contains(words), "{release}: {said:?} lacks {words:?}");
            }
        }
    }
}

const FROM_84: [&str; 4] = ["8.4", "9.0", "9.1", "9.2"];

#[test]
fn every_release_takes_snake_case_and_kebab_case_comes_with_8_4() {
    for release in ALL {
        let plan = judged(SNAKE, release).unwrap();
        assert_eq!(plan.fqdn, FqdnPlan::Name("pve-07.lab.example".into()));
        assert_eq!(plan.root_ssh_keys, ["ssh-ed25519 AAAA one"]);
        assert!(plan.reboot_on_error && plan.reboot_mode == RebootMode::Reboot);
        assert_eq!(plan.network, NetworkPlan::FromDhcp);
        assert_eq!(plan.disks.pick, DiskPick::List(vec!["sda".into()]));
        assert!(plan.webhook.is_none() && plan.first_boot.is_none());
    }
    check(&kebab(), &[], "");
    for release in ["8.2", "8.3"] {
        let said = judged(&kebab(), release).unwrap_err();
        assert!(said.starts_with("global.root-password: is missing"), "{release}: {said}");
    }
    assert!(judged(SNAKE, "8.1").unwrap_err().contains("no automated installation"));
}

#[test]
fn what_the_servers_renderer_writes_is_taken_by_the_release_it_is_for() {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provisioning-core/tests/golden/answer/good");
    let mut judged = 0;
    for case in std::fs::read_dir(&good).unwrap() {
        for file in std::fs::read_dir(case.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let Ok(release) = stem.parse::<Release>() else { continue };
            let json = path.extension().is_some_and(|extension| extension == "json");
            let format = if json { AnswerFormat::Json } else { AnswerFormat::Toml };
            if let Err(error) = judge(&std::fs::read(&path).unwrap(), format, release) {
                panic!("{}: {error}", path.display());
            }
            judged += 1;
        }
    }
    assert!(judged >= 20, "only {judged} golden answers were found");
}

#[test]
fn bad_values_in_global_are_refused_by_name() {
    let cases = [
        ("\"de\"", "\"DE\"", "global.keyboard: is \"DE\""),
        ("\"at\"", "\"AT\"", "global.country"),
        ("\"at\"", "\"xx\"", "global.country"),
        ("Europe/Vienna", "Etc/UTC", "global.timezone"),
        ("Europe/Vienna", "Europe/Kiev", "global.timezone"),
        ("Europe/Vienna", "US/Eastern", "global.timezone"),
        ("pve-07.lab.example", "pve-07", "global.fqdn"),
        ("pve-07.lab.example", "pve_07.lab.example", "global.fqdn"),
        ("pve-07.lab.example", "07.lab.example", "all digits"),
        ("pve-07.lab.example", "pve-07.lab.example.", "global.fqdn"),
        ("pve-07.lab.example", "-pve.lab.example", "global.fqdn"),
        ("root@localhost", "root", "global.mailto"),
        ("root@localhost", "mail@example.invalid", "global.mailto"),
        ("root@localhost", "a b@c", "global.mailto"),
        ("12345678", "1234567", "global.root-password: has 7 bytes"),
        ("reboot-on-error = true", "reboot-on-error = \"yes\"", "global.reboot-on-error: is not true or false"),
        ("[\"ssh-ed25519 AAAA one\"]", "\"ssh-ed25519 AAAA one\"", "global.root-ssh-keys: is not a list"),
        ("reboot-on-error = true", "reboot = true", "global.reboot: is not known"),
        ("reboot-on-error = true", "reboot-on-error = true\nreboot_on_error = true", "stands there twice"),
        ("reboot-on-error = true", "reboot-mode = \"poweroff\"", "global.reboot-mode"),
        ("root-password = \"12345678\"", "", "global.root-password: is missing"),
        ("[global]", "[globl]\n[global]", "globl: is not known"),
        ("keyboard = \"de\"", "keyboard = \"de\"\nkeyboard = \"de\"", "duplicate"),
    ];
    for (line, other, words) in cases {
        check(&with(line, other), &FROM_84, words);
    }
}

#[test]
fn good_oddities_in_global_are_taken() {
    for (line, other) in [
        ("Europe/Vienna", "UTC"),
        ("pve-07.lab.example", "PVE-07.Lab.Example"),
        ("root@localhost", "a@b"),
        ("12345678", "ääää"),
        ("\"pve-07.lab.example\"", "{}"),
        ("\"pve-07.lab.example\"", "{ source = \"from-dhcp\", domain = \"lab.example\" }"),
        ("reboot-on-error = true", "reboot-mode = \"power-off\""),
        ("root-password = \"12345678\"", "root-password-hashed = \"garbage\""),
        ("[global]", "\u{feff}[global]"),
        ("\n", "\r\n"),
    ] {
        check(&with(line, other).trim_start().replace("\u{feff}", ""), &[], "");
    }
    assert!(judged(&format!("\u{feff}{}", kebab().trim_start()), "9.2").is_ok());
    let short = SNAKE.replace("12345678", "1234567");
    assert!(judged(&short, "8.3").is_ok(), "the 8 bytes came with 8.4");
    assert!(judged(&SNAKE.replace("root_password =", "root_password_hashed ="), "8.2").is_err());
    assert!(judged(&SNAKE.replace("root_password =", "root_password_hashed ="), "8.3").is_ok());
    check(
        &with("reboot-on-error = true", "subscription-key = \"pve1c-0123456789\""),
        &["8.4", "9.0", "9.1"],
        "subscription-key",
    );
}

#[test]
fn the_network_section_is_judged_as_each_release_does() {
    let source = "source = \"from-dhcp\"";
    let fixed = "source = \"from-answer\"\ncidr = \"10.0.0.5/24\"\ndns = \"10.0.0.53\"\ngateway = \"10.0.0.1\"\n\
                 filter.ID_NET_NAME_MAC = \"*b42e99acadb4\"";
    check(&with(source, ""), &["9.2"], "network.source: is missing");
    check(&with(source, fixed), &[], "");
    check(&with(source, &fixed.replace("/24", "")), &["8.4", "9.0", "9.1"], "network.cidr");
    check(&with(source, &fixed.replace("10.0.0.53", "10.0.0.53,10.0.0.54")), &FROM_84, "network.dns");
    check(&with(source, &fixed.replace("gateway = \"10.0.0.1\"\n", "")), &FROM_84, "network.gateway: is missing");
    let no_filter = fixed.replace("filter.ID_NET_NAME_MAC = \"*b42e99acadb4\"", "");
    check(&with(source, &no_filter), &FROM_84, "no filter defined");
    check(&with(source, &format!("{source}\ncidr = \"10.0.0.5/24\"")), &FROM_84, "network.cidr: is not known");
    check(&with(source, "source = \"dhcp\""), &FROM_84, "network.source");
    let pinning = "source = \"from-dhcp\"\n[network.interface-name-pinning]\nenabled = true\n";
    check(&with(source, pinning), &["8.4", "9.0"], "interface-name-pinning: is not known");
    let bad_name = format!("{pinning}mapping = {{ \"b4:2e:99:ac:ad:b4\" = \"0eth\" }}");
    check(&with(source, &bad_name), &FROM_84, "interface-name-pinning");
    let plan = judged(&with(source, fixed), "9.2").unwrap();
    let NetworkPlan::Static(plan) = plan.network else { panic!("{:?}", plan.network) };
    assert_eq!(plan.cidr.to_string(), "10.0.0.5/24");
    assert_eq!(plan.filter, [("ID_NET_NAME_MAC".to_owned(), "*b42e99acadb4".to_owned())]);
}

#[test]
fn disks_are_judged_as_the_installer_does() {
    let setup = "filesystem = \"ext4\"\ndisk-list = [\"sda\"]";
    let zfs = |raid: &str, disks: &str| {
        with(setup, &format!("filesystem = \"zfs\"\ndisk-list = [{disks}]\n[disk-setup.zfs]\nraid = \"{raid}\""))
    };
    check(&zfs("raid1", "\"sda\", \"sdb\""), &[], "");
    check(&zfs("RAIDZ-1", "\"sda\", \"sdb\", \"sdc\""), &[], "");
    check(&zfs("Raid1", "\"sda\", \"sdb\""), &FROM_84, "disk-setup.zfs.raid");
    check(&zfs("raidz1", "\"sda\", \"sdb\""), &FROM_84, "disk-setup.zfs.raid");
    check(&zfs("raid1", "\"sda\""), &FROM_84, "names 1 disks");
    check(&zfs("raid1", "\"sda\", \"sda\""), &FROM_84, "twice");
    check(&zfs("raid10", "\"a\", \"b\", \"c\", \"d\", \"e\""), &FROM_84, "names 5 disks");
    for (other, words) in [
        ("filesystem = \"ZFS\"\ndisk-list = [\"sda\"]", "disk-setup.filesystem"),
        ("filesystem = \"zfs\"\ndisk-list = [\"sda\"]", "disk-setup.zfs: is missing"),
        ("filesystem = \"ext4\"", "names no disk"),
        ("filesystem = \"ext4\"\ndisk-list = []", "names no disk"),
        ("filesystem = \"ext4\"\ndisk-list = [\"sda\", \"sdb\"]", "must name one disk"),
        ("filesystem = \"ext4\"\ndisk-list = [\"sda\"]\nfilter.ID_BUS = \"ata\"", "exclude each other"),
        ("filesystem = \"ext4\"\ndisk-list = [\"sda\"]\nzfs.raid = \"raid0\"", "does not go with ext4"),
        ("filesystem = \"ext4\"\ndisk-list = [\"sda\"]\nlvm.rootsize = 1", "disk-setup.lvm.rootsize: is not known"),
        ("filesystem = \"ext4\"\nfilter.ID_BUS = \"ata\"\nfilter-match = \"some\"", "disk-setup.filter-match"),
        ("filesystem = \"zfs\"\ndisk-list = [\"sda\"]\nzfs = {raid = \"raid0\", compress = \"lzma\"}", "zfs.compress"),
    ] {
        check(&with(setup, other), &FROM_84, words);
    }
    check(
        &with(setup, &format!("{setup}\nlvm = {{ hdsize = 100, swapsize = 60.5 }}")),
        &["9.0", "9.1", "9.2"],
        "disk-setup.lvm.swapsize",
    );
    let all =
        with(setup, "filesystem = \"btrfs\"\nfilter.ID_BUS = \"*\"\nfilter-match = \"all\"\nbtrfs.raid = \"raid1\"");
    let plan = judged(&all, "9.2").unwrap().disks;
    assert_eq!(plan.pick, DiskPick::Filter { globs: vec![("ID_BUS".into(), "*".into())], all: true });
    assert_eq!((plan.filesystem.as_str(), plan.raid.as_deref(), plan.disks_min()), ("btrfs", Some("raid1"), 2));
}

#[test]
fn webhook_and_first_boot_have_the_spellings_of_their_release() {
    let pin = "AB".repeat(32);
    let webhook = |key: &str| format!("{SNAKE}\n[post-installation-webhook]\nurl = \"http://s/h\"\n{key} = \"{pin}\"");
    let first_boot =
        |key: &str| format!("{SNAKE}\n[first-boot]\nsource = \"from-url\"\nurl = \"http://s/f\"\n{key} = \"{pin}\"");
    let taken_by = |text: &str| ALL.into_iter().filter(|release| judged(text, release).is_ok()).collect::<Vec<_>>();
    assert_eq!(taken_by(&webhook("cert_fingerprint")), ["8.3", "8.4", "9.0", "9.1", "9.2"]);
    assert_eq!(taken_by(&webhook("cert-fingerprint")), ["8.4", "9.0", "9.1", "9.2"]);
    assert_eq!(taken_by(&webhook("auth-token")), ["9.2"]);
    assert_eq!(taken_by(&first_boot("cert-fingerprint")), ["8.3", "8.4", "9.0", "9.1", "9.2"]);
    assert_eq!(taken_by(&first_boot("cert_fingerprint")), ["8.4", "9.0", "9.1", "9.2"]);
    assert!(taken_by(&first_boot("ordering")).is_empty(), "a fingerprint is no ordering");
    let no_url = format!("{SNAKE}\n[first-boot]\nsource = \"from-url\"");
    assert_eq!(judged(&no_url, "9.2").unwrap_err(), "first-boot.url: is missing, which from-url needs");
    let snake_section = format!("{SNAKE}\n[first_boot]\nsource = \"from-iso\"");
    assert!(taken_by(&snake_section).is_empty());

    let plan = judged(&first_boot("cert-fingerprint"), "9.2").unwrap().first_boot.unwrap();
    assert_eq!(plan.ordering, Ordering::FullyUp);
    let url = FirstBootSource::Url { url: "http://s/f".into(), fingerprint: Some(pin.to_lowercase()) };
    assert_eq!(plan.source, url);
    let plan = judged(&webhook("auth-token"), "9.2").unwrap().webhook.unwrap();
    assert_eq!((plan.url.as_str(), plan.token.as_deref()), ("http://s/h", Some(pin.as_str())));
    assert!(!format!("{plan:?}").contains(&pin), "the token must not be printed");
}

#[test]
fn json_is_an_answer_from_9_2_on_and_keeps_its_own_rules() {
    let json = |text: &str, release: &str| judge(text.as_bytes(), AnswerFormat::Json, release.parse().unwrap());
    let table: toml::Table = toml::from_str(&kebab()).unwrap();
    let text = serde_json::to_string(&table).unwrap();
    assert_eq!(json(&text, "9.2").unwrap(), judged(&kebab(), "9.2").unwrap());
    assert!(json(&text, "9.1").unwrap_err().problem.contains("is JSON"));
    let null = text.replace("\"reboot-on-error\":true", "\"reboot-on-error\":null");
    assert!(json(&null, "9.2").is_ok());
    let null = text.replace("[\"ssh-ed25519 AAAA one\"]", "null");
    assert!(json(&null, "9.2").unwrap_err().problem.contains("is null"));
    let twice = text.replace("\"country\":\"at\"", "\"country\":\"at\",\"country\":\"at\"");
    assert!(json(&twice, "9.2").unwrap_err().problem.contains("duplicate field"));
    assert!(json("", "9.2").is_err() && json("[]", "9.2").is_err());
    assert!(judged("", "9.2").unwrap_err().contains("global: is missing"));
}

proptest! {
    #[test]
    fn no_answer_makes_the_judge_panic(body: Vec<u8>, text in "\\PC{0,200}", minor in 0_u16..4) {
        for format in [AnswerFormat::Toml, AnswerFormat::Json] {
            judge(&body, format, Release::new(9, minor)).ok();
            judge(text.as_bytes(), format, Release::new(9, minor)).ok();
        }
    }
}
