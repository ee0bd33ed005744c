//! Every snippet as it is printed, and what the DHCP servers themselves say of it.
#![expect(clippy::unwrap_used, reason = "a test whose programs do not run shall fail")]

use std::path::Path;
use std::process::Command;

use super::{Kind, SnippetFacts, snippet};

fn facts() -> SnippetFacts {
    SnippetFacts::new(&"http://10.0.0.2:8080".parse().unwrap(), Some("10.0.0.7/24".parse().unwrap()))
}

/// Gives a file to a program that checks it; where the program is not there, that is said.
fn check(program: &str, arguments: &[&str], text: &str) {
    if !Path::new(program).is_file() {
        eprintln!("NOT CHECKED by {program}: it is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("snippet.conf");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(program).args(arguments).arg(&file).output().unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn each_dhcp_server_is_told_the_same_in_its_own_words() {
    for kind in Kind::ALL {
        insta::assert_snapshot!(format!("snippet_{}", kind.as_str()), snippet(kind, &facts()));
    }
}

#[test]
fn every_snippet_sends_ipxe_to_us_and_knows_each_architecture() {
    for kind in Kind::ALL {
        let text = snippet(kind, &facts());
        assert!(text.contains("http://10.0.0.2:8080/ipxe/"), "{text}");
        for program in ["undionly.kpxe", "snponly.efi", "snponly-arm64.efi", "/netboot/ipxe.efi"] {
            assert!(text.contains(program), "{} lacks {program}:\n{text}", kind.as_str());
        }
    }
}

#[test]
fn a_url_with_a_name_leaves_the_tftp_server_to_be_filled_in() {
    let facts = SnippetFacts::new(&"https://boot.lab.example/p".parse().unwrap(), None);
    let text = snippet(Kind::Isc, &facts);
    assert!(
        text.contains("next-server 192.0.2.1;") && text.contains("https://boot.lab.example/p/ipxe/${mac}"),
        "{text}"
    );
}

#[test]
fn dnsmasq_accepts_its_snippet() {
    check("/usr/sbin/dnsmasq", &["--test", "-C"], &snippet(Kind::Dnsmasq, &facts()));
}

#[test]
fn dhcpd_accepts_its_snippet() {
    check("/usr/sbin/dhcpd", &["-t", "-cf"], &snippet(Kind::Isc, &facts()));
}

#[test]
fn keas_snippet_is_json_once_its_comments_are_gone() {
    let text = snippet(Kind::Kea, &facts());
    let bare: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let json: serde_json::Value = serde_json::from_str(&bare.join("\n")).unwrap();
    let classes = json["client-classes"].as_array().unwrap();
    assert_eq!(classes.len(), 7, "iPXE and six architectures");
    assert_eq!(classes[0]["boot-file-name"], "http://10.0.0.2:8080/ipxe/${mac}");
    let bios = classes.iter().find(|class| class["name"] == "provisioning-arch-0").unwrap();
    assert_eq!((&bios["boot-file-name"], &bios["next-server"]), (&"undionly.kpxe".into(), &"10.0.0.2".into()));
}
