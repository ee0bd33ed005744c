//! The installer's words, release by release, byte by byte.

use std::time::Duration;

use provisioning_core::model::{InstallReport, Release, SystemInfo};
use serde_json::Value;

use super::*;
use crate::real::answer::judge;
use crate::real::http::Trust;

fn live(release: &str) -> LiveSystem {
    LiveSystem {
        release: release.parse().unwrap(),
        iso_release: "1".into(),
        product: "pve".into(),
        product_long: "Proxmox VE".into(),
        mode: Mode {
            url: "https://s/answer".into(),
            cert_fingerprint: Some("ab".repeat(32)),
            token: (release == "9.2").then(|| "T".into()),
        },
        first_boot: None,
    }
}

fn asked(release: &str) -> (Vec<(&'static str, String)>, String) {
    let request = answer_request(&live(release), &Hardware::numbered(7, 1, "pve-07"), Duration::from_secs(60));
    assert_eq!(request.trust, Trust::Pinned("ab".repeat(32)));
    (request.headers, String::from_utf8(request.body.unwrap()).unwrap())
}

const DMI: &str = concat!(
    r#""dmi":{"baseboard":{"asset_tag":"","name":"SIM-1","serial":"Default string"},"#,
    r#""chassis":{"asset_tag":"","serial":"","sku":"To be filled by O.E.M."},"#,
    r#""system":{"name":"Simulated Server","serial":"SIM000700001","sku":"","#,
    r#""uuid":"7b2f1c52-93d1-4a1c-8a55-000700000001"}}"#
);

fn body(schema: &str, release: &str, macs: [&str; 2]) -> String {
    format!(
        "{{{schema}\"product\":{{\"enable_btrfs\":true,\"fullname\":\"Proxmox VE\",\"product\":\"pve\"}},\
         \"iso\":{{\"isorelease\":\"1\",\"release\":\"{release}\"}},{DMI},\
         \"network_interfaces\":[{{\"link\":\"eno1\",\"mac\":\"{}\"}},{{\"link\":\"eno2\",\"mac\":\"{}\"}}]}}",
        macs[0], macs[1]
    )
}

#[test]
fn the_request_for_an_answer_is_that_of_its_release() {
    let schema = "\"$schema\":{\"version\":\"1.0\"},";
    let lower = ["52:54:00:07:00:01", "52:55:00:07:00:01"];
    let ureq2 = ("user-agent", "ureq/2.9.1".to_owned());
    let ureq3 = [("accept-encoding", "gzip".to_owned()), ("user-agent", "ureq/3.0.11".to_owned())];
    let json = ("content-type", "application/json; charset=utf-8".to_owned());

    let cut = ("content-type", "application/json; charset=utf-".to_owned());
    assert_eq!(asked("8.2"), (vec![cut, ureq2.clone()], body("", "8.2", lower)));
    assert_eq!(asked("8.4"), (vec![json.clone(), ureq2], body(schema, "8.4", lower)));
    let old = vec![json.clone(), ureq3[0].clone(), ureq3[1].clone()];
    assert_eq!(asked("9.1"), (old.clone(), body(schema, "9.1", lower)));
    let mut new = old;
    new.push(("accept", "application/json, application/toml;q=0.5".to_owned()));
    new.push(("authorization", "Bearer T".to_owned()));
    assert_eq!(asked("9.2"), (new, body(schema, "9.2", lower.map(str::to_uppercase).each_ref().map(String::as_str))));
}

#[test]
fn the_server_reads_the_requests_of_all_releases() {
    for release in ["8.2", "8.3", "8.4", "9.0", "9.1", "9.2"] {
        let info = SystemInfo::from_json(asked(release).1.as_bytes()).unwrap();
        assert_eq!(info.release.to_string(), release);
        assert_eq!(info.macs.len(), 2);
    }
}

fn report(release: &str) -> Value {
    let token = if release == "9.2" { "auth-token = \"hook\"\n" } else { "" };
    let answer = format!(
        "[global]\nkeyboard = \"de\"\ncountry = \"at\"\ntimezone = \"UTC\"\nfqdn = \"a.b\"\nmailto = \"a@b\"\n\
         root_password = \"12345678\"\n[network]\nsource = \"from-dhcp\"\n[disk-setup]\nfilesystem = \"ext4\"\n\
         disk_list = [\"nvme0n1\"]\n[post-installation-webhook]\nurl = \"http://s\"\n{token}"
    );
    let live = live(release);
    let hardware = Hardware::numbered(7, 1, "a");
    let plan = judge(answer.as_bytes(), AnswerFormat::Toml, live.release).unwrap();
    let target = settle(&plan, &hardware).unwrap();
    let keys = SshHostKeys { ed25519: "unknown".into(), ecdsa: "unknown".into(), rsa: "unknown".into() };
    serde_json::from_slice(&webhook_body(&live, &hardware, &plan, &target, &keys)).unwrap()
}

#[test]
fn the_report_has_the_schema_of_its_release() {
    for (release, schema, mode, names) in [
        ("8.3", "1.0", false, false),
        ("8.4", "1.1", true, false),
        ("9.0", "1.1", true, false),
        ("9.2", "1.2", true, true),
    ] {
        let report = report(release);
        assert_eq!(report["$schema"]["version"], schema, "{release}");
        assert_eq!(report["reboot-mode"].is_string(), mode, "{release}");
        assert_eq!(report["network-interfaces"][0]["name"].is_string(), names, "{release}");
        assert_eq!(report["token"].is_string(), release == "9.2", "{release}");
    }
    let report = report("9.2");
    let nics = &report["network-interfaces"];
    assert_eq!((&nics[0]["is-management"], &nics[0]["address"]), (&true.into(), &"127.84.0.2/8".into()));
    assert_eq!(nics[1]["is-management"], Value::Null);
    assert_eq!(nics[0]["mac"], "52:54:00:07:00:01", "the report has lower case in every release");
    let boot_disks: Vec<bool> =
        report["disks"].as_array().unwrap().iter().map(|disk| disk["is-bootdisk"] == true).collect();
    assert_eq!(boot_disks, [false, false, true, false]);
    let read = InstallReport::from_json(report.to_string().as_bytes()).unwrap();
    assert_eq!((read.fqdn.unwrap().as_str(), read.address), ("a.b", Some([127, 84, 0, 2].into())));
}

#[test]
fn the_mode_file_is_read_as_the_fetch_tool_of_a_release_reads_it() {
    let good = "mode = \"http\"\n[http]\nurl = \"http://s\"\ncert_fingerprint = \"ab\"\ntoken = \"t\"\n";
    let read = |text: &str, release: &str| Mode::read(text, release.parse().unwrap()).map_err(|e| e.to_string());
    let mode = read(good, "9.2").unwrap();
    assert_eq!(
        (mode.url.as_str(), mode.cert_fingerprint.as_deref(), mode.token.as_deref()),
        ("http://s", Some("ab"), Some("t"))
    );
    assert_eq!(read(good, "9.1").unwrap().token, None, "older installers send no token");
    let kebab = read(&good.replace("cert_f", "cert-f"), "9.2").unwrap();
    assert_eq!(kebab.cert_fingerprint, None, "the kebab spelling is silently ignored");
    let label = format!("partition_label = \"x\"\n{good}");
    assert!(read(&label, "8.3").is_ok() && read(&label, "8.2").unwrap_err().contains("partition_label"));
    for (text, words) in [
        ("", "mode is missing"),
        ("mode = \"HTTP\"", "knows \"http\" only"),
        ("mode = \"http\"", "http.url is missing"),
        ("mode = \"http\"\nurl = \"x\"", "unknown field `url`"),
        ("mode = http", "auto-installer-mode.toml"),
    ] {
        assert!(read(text, "9.2").unwrap_err().contains(words), "{text}");
    }
}

#[test]
fn disks_and_nics_are_found_as_udev_would() {
    let hardware = Hardware::numbered(7, 1, "a");
    let settled = |disk_setup: &str| {
        let answer = format!(
            "[global]\nkeyboard = \"de\"\ncountry = \"at\"\ntimezone = \"UTC\"\nfqdn = \"a.b\"\nmailto = \"a@b\"\n\
             root-password = \"12345678\"\n[network]\nsource = \"from-answer\"\ncidr = \"127.77.9.9/8\"\n\
             dns = \"127.0.0.1\"\ngateway = \"127.0.0.1\"\nfilter.ID_NET_NAME_MAC = \"*525500070001\"\n\
             [disk-setup]\n{disk_setup}"
        );
        let plan = judge(answer.as_bytes(), AnswerFormat::Toml, Release::new(9, 2)).unwrap();
        settle(&plan, &hardware)
    };
    let target = settled("filesystem = \"ext4\"\nfilter.ID_BUS = \"nvme\"").unwrap();
    assert_eq!((target.disks, target.management), (vec!["nvme0n1".to_owned()], "eno2".to_owned()));
    assert_eq!(target.address.to_string(), "127.77.9.9/8");
    let all = "filesystem = \"zfs\"\nfilter = {ID_BUS = \"nvme\", NO_SUCH = \"x\"}\nfilter-match = \"all\"\nzfs.raid = \"raid1\"";
    assert_eq!(settled(all).unwrap().disks, ["nvme0n1", "nvme1n1"], "a property that is absent counts as fitting");
    assert_eq!(
        settled("filesystem = \"ext4\"\ndisk-list = [\"/dev/disk/by-id/x\"]"),
        Err("no disk fits disk-setup".into())
    );
    let missing = "filesystem = \"zfs\"\ndisk-list = [\"sda\", \"sdz\"]\nzfs.raid = \"raid1\"";
    assert_eq!(settled(missing), Err("raid1 needs 2 disks, 1 fit".into()));
}

#[test]
fn only_200_and_201_succeed_from_9_2_on_and_any_2xx_before() {
    for (status, new, old) in [
        (200, true, true),
        (201, true, true),
        (202, false, true),
        (204, false, true),
        (301, false, false),
        (404, false, false),
        (503, false, false),
    ] {
        assert_eq!(reports_success(status, Release::new(9, 2)), new, "{status}");
        assert_eq!(reports_success(status, Release::new(9, 1)), old, "{status}");
    }
}

#[test]
fn json_is_told_by_its_content_type_and_only_from_9_2_on() {
    let reply = |kind: &str| Reply { status: 200, content_type: Some(kind.to_owned()), body: Vec::new() };
    let json = reply("application/json; charset=utf-8");
    assert_eq!(answer_format(&json, Release::new(9, 2)), Ok(AnswerFormat::Json));
    assert_eq!(answer_format(&json, Release::new(9, 1)), Ok(AnswerFormat::Toml));
    assert_eq!(answer_format(&reply("text/plain"), Release::new(9, 2)), Ok(AnswerFormat::Toml));
}
