//! The JSON bodies that installers and hosts send, and what anyone else may send in their place.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use provisioning_core::model::{InstallReport, PhoneHome, ReportError, SystemInfo};

use crate::body;

/// Reads a body as each of the reports.
fn check(body: &[u8]) {
    body::system_info(body);
    body::install_report(body);
    body::phone_home(body);
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x root@pve1";

fn good_bodies() -> [String; 3] {
    [
        r#"{"$schema":{"version":"1.0"},"product":{"fullname":"Proxmox VE","product":"pve"},
            "iso":{"release":"9.2","isorelease":"1"},"dmi":{"system":{"uuid":"4c4c4544-0042","serial":"S523042X3A1107"}},
            "network_interfaces":[{"link":"eno1","mac":"B4:2E:99:AC:AD:B4"},{"link":"tun0","mac":""}]}"#
            .to_owned(),
        format!(
            r#"{{"product":{{"fullname":"Proxmox VE","short":"pve","version":"9.2.1"}},"fqdn":"pve1.lab.example",
            "ssh-public-host-keys":{{"rsa":"unknown","ed25519":"{KEY}"}},"disks":[{{"size":4096}}],
            "network-interfaces":[{{"address":"10.0.0.5/24","is-management":true,"name":"eno1"}}]}}"#
        ),
        format!(
            r#"{{"ip":"10.0.0.5","hardware_id":"4c4c4544-0042","cert_fingerprint":"","ssh_host_keys":{{"ed25519":"{KEY}"}}}}"#
        ),
    ]
}

/// A key that some report has, or none has.
fn any_key() -> impl Strategy<Value = String> {
    let known = [
        "product",
        "iso",
        "release",
        "dmi",
        "system",
        "uuid",
        "network_interfaces",
        "network-interfaces",
        "mac",
        "name",
        "address",
        "is-management",
        "fqdn",
        "ssh-public-host-keys",
        "ssh_host_keys",
        "ed25519",
        "ip",
        "hardware_id",
        "cert_fingerprint",
        "version",
    ];
    prop_oneof![4 => select(known.to_vec()).prop_map(str::to_owned), 1 => "[a-z]{0,5}"]
}

/// JSON as text, so that keys can stand twice and numbers be of any size.
fn any_json() -> impl Strategy<Value = String> {
    let digits = (1_usize..400).prop_map(|count| "9".repeat(count));
    let leaf = prop_oneof![
        select(vec!["null", "true", "-0", "1e999999", "-1E-999999", "0.1", "\"9.2\"", "\"\"", "\"52:54:00:00:00:01\""])
            .prop_map(str::to_owned),
        digits,
        select(vec!["\\u0000", "\\ud800", "\\n", "x", "ä", "\\\""])
            .prop_map(|unit| format!("\"{}\"", unit.repeat(300))),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            vec((any_key(), inner), 0..6).prop_map(|entries| {
                let entries: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn json_of_any_shape_is_read_or_refused_in_few_words(body in any_json()) {
        check(body.as_bytes());
    }

    #[test]
    fn a_good_body_with_damage_is_read_or_refused_in_few_words(
        which: Index, damage in vec((any::<Index>(), any::<u8>(), 0_usize..9), 1..6), put_in in any_json(),
    ) {
        let mut body = which.get(&good_bodies()).clone().into_bytes();
        for (place, byte, cut) in damage {
            let at = place.index(body.len().max(1));
            match byte % 4 {
                0 => body.truncate(at),
                1 => drop(body.splice(at..(at + cut).min(body.len()), [])),
                2 => body.insert(at, byte),
                _ => drop(body.splice(at..at, put_in.bytes())),
            }
        }
        check(&body);
    }
}

#[test]
fn the_good_bodies_are_good() {
    let [info, report, phone_home] = good_bodies();
    assert!(SystemInfo::from_json(info.as_bytes()).is_ok());
    assert_eq!(InstallReport::from_json(report.as_bytes()).map(|report| report.host_keys.len()).ok(), Some(1));
    assert_eq!(PhoneHome::from_json(phone_home.as_bytes()).map(|report| report.host_keys.len()).ok(), Some(1));
}

#[test]
fn no_depth_of_nesting_ends_the_process() {
    for (open, close) in [("[", "]"), ("{\"dmi\":", "}"), ("{\"x\":[", "]}"), ("{\"network_interfaces\":[", "]}")] {
        let deep = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        for body in [deep.clone(), format!(r#"{{"iso":{{"release":"9.2"}},"unknown":{deep}}}"#)] {
            check(body.as_bytes());
        }
    }
}

#[test]
fn lists_of_any_length_leave_little_behind() {
    let repeated = |item: &str| vec![item; 100_000].join(",");
    let bodies = [
        format!(
            r#"{{"iso":{{"release":"9.2"}},"network_interfaces":[{}]}}"#,
            repeated(r#"{"mac":"52:54:00:00:00:01"}"#)
        ),
        format!(r#"{{"network-interfaces":[{}]}}"#, repeated(r#"{"is-management":true,"name":"eno1"}"#)),
        format!(r#"{{"dmi":{{"system":{{{}}}}}}}"#, repeated(r#""uuid":"x""#)),
        format!(r#"{{"ssh_host_keys":{{{}}},"ip":"::1"}}"#, repeated(&format!(r#""rsa":"{KEY}""#))),
        format!(r#"{{"ip":"{}"}}"#, "\\u200b".repeat(100_000)),
        format!(r#"{{"iso":{{"release":"{}"}}}}"#, "9".repeat(1_000_000)),
        format!(r#"{{"product":"{}"}}"#, "\\u200b".repeat(100_000)),
    ];
    for body in bodies {
        check(body.as_bytes());
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for body in good_bodies() {
        let mut body = body.into_bytes();
        let at = body.iter().position(|&byte| byte == b'e').expect("there is an e in it");
        body[at] = 0xff;
        check(&body);
        assert!(matches!(InstallReport::from_json(&body), Err(ReportError::Json(_))));
    }
}
