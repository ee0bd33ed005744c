//! The configuration's golden files, checked by dnsmasq itself, and the values that never get into one.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p provisioning-adapters --features dnsmasq --test dnsmasq` writes them anew.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use provisioning_adapters::dnsmasq::{
    Addresses, BootPrograms, ConfigPath, Facts, InterfaceName, Pool, RenderError, RespondTo, UserName, render,
};
use provisioning_core::model::{BaseUrl, Hostname, MacAddr};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dnsmasq").join(name)
}

fn check(name: &str, text: &str) {
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "{}", path.display());
}

/// A configuration with every program there is, or with those for which `keep` says so.
fn config(
    addresses: &Addresses,
    respond_to: RespondTo,
    url: &str,
    keep: fn(&str) -> bool,
) -> Result<String, RenderError> {
    let mut programs = BootPrograms::usual();
    programs.retain(|program| keep(program.client.tag));
    let path = |path: &str| ConfigPath::try_from(PathBuf::from(path)).unwrap();
    render(&Facts {
        interface: &"eno1".parse().unwrap(),
        own: "10.0.0.2/24".parse().unwrap(),
        addresses,
        respond_to,
        public_url: &url.parse().unwrap(),
        programs: &programs,
        run_dir: &path("/run/provisioning/a"),
        lease_file: &path("/var/lib/provisioning/dnsmasq.leases"),
        user: &"nobody".parse().unwrap(),
    })
}

fn pool(router: Option<Ipv4Addr>, dns: Vec<Ipv4Addr>) -> Addresses {
    let (first, last) = (Ipv4Addr::new(10, 0, 0, 100), Ipv4Addr::new(10, 0, 0, 199));
    Addresses::Dhcp(Pool { first, last, lease_time: Duration::from_secs(3600), router, dns })
}

const URL: &str = "http://10.0.0.2:8080";

#[test]
fn each_mode_is_rendered_as_it_was_seen_to_work_and_dnsmasq_accepts_it() {
    let dns = vec![Ipv4Addr::new(10, 0, 0, 53), Ipv4Addr::new(10, 0, 0, 54)];
    let x86 = |tag: &str| !tag.contains("arm");
    let cases = [
        ("good/proxy.conf", config(&Addresses::Proxy, RespondTo::Registered, URL, |_| true)),
        ("good/proxy_all_x86.conf", config(&Addresses::Proxy, RespondTo::All, URL, x86)),
        ("good/dhcp.conf", config(&pool(Some(Ipv4Addr::new(10, 0, 0, 1)), dns), RespondTo::Registered, URL, |_| true)),
        ("good/dhcp_all_x86.conf", config(&pool(None, vec![]), RespondTo::All, "https://boot.lab.example/p", x86)),
    ];
    for (name, text) in cases {
        check(name, &text.unwrap());
        let tested = Command::new("/usr/sbin/dnsmasq").arg("--test").arg("-C").arg(golden(name)).output();
        match tested {
            Ok(tested) => assert!(tested.status.success(), "{name}: {}", String::from_utf8_lossy(&tested.stderr)),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "dnsmasq is not installed: {error}");
                eprintln!("NOT CHECKED by dnsmasq: {error}");
            }
        }
    }
}

#[test]
fn arm64_has_the_same_lines_as_the_others() {
    let proxy = config(&Addresses::Proxy, RespondTo::All, URL, |_| true).unwrap();
    let full = config(&pool(None, vec![]), RespondTo::All, URL, |_| true).unwrap();
    let lines = |text: &str, words: &[&str]| {
        for word in words {
            assert!(text.lines().any(|line| line == *word), "{word} is missing in\n{text}");
        }
    };
    let arm = "http://10.0.0.2:8080/netboot/ipxe-arm64.efi";
    lines(
        &proxy,
        &[
            "dhcp-match=set:arm64,option:client-arch,11",
            "dhcp-match=set:httparm,option:client-arch,19",
            "pxe-service=tag:!ipxe,11,\"network boot\",snponly-arm64.efi",
            &format!("dhcp-boot=tag:!ipxe,tag:httparm,{arm},,10.0.0.2"),
        ],
    );
    lines(
        &full,
        &[
            "dhcp-boot=tag:!ipxe,tag:arm64,snponly-arm64.efi",
            "dhcp-option-force=tag:httparm,option:vendor-class,HTTPClient",
            &format!("dhcp-boot=tag:!ipxe,tag:httparm,{arm}"),
        ],
    );
}

#[test]
fn values_that_would_break_out_of_their_line_are_refused_before_there_is_a_line() {
    let mut said = Vec::new();
    let mut refused = |what: &str, text: &str, outcome: Result<(), String>| {
        let problem = outcome.expect_err(text);
        said.push(format!("{what} {text:?}: {problem}\n"));
    };
    let words = |error: &dyn std::fmt::Display| error.to_string();
    for text in ["eth0\nport=53", "eth0,eth1", "eth0 #", ""] {
        refused("interface", text, text.parse::<InterfaceName>().map(drop).map_err(|e| words(&e)));
    }
    for text in ["nobody\nuser=root", "no body"] {
        refused("user", text, text.parse::<UserName>().map(drop).map_err(|e| words(&e)));
    }
    for text in ["/run/a,b", "/run/a\nuser=root", "run", "/run/../etc"] {
        refused("path", text, ConfigPath::try_from(PathBuf::from(text)).map(drop).map_err(|e| words(&e)));
    }
    for text in ["http://a,b", "http://a\ndhcp-script=/x", "http://a#b", "http://a\"b"] {
        refused("url", text, text.parse::<BaseUrl>().map(drop).map_err(|e| words(&e)));
    }
    for text in ["pve-01\ndhcp-host=x", "pve,ignore", "pve # x"] {
        refused("host name", text, text.parse::<Hostname>().map(drop).map_err(|e| words(&e)));
    }
    for text in ["52:54:00:00:00:01,set:x", "52:54:00:00:00:*", "52:54:00:00:00:01\n"] {
        refused("mac", text, text.parse::<MacAddr>().map(drop).map_err(|e| words(&e)));
    }
    check("bad/expected.txt", &said.concat());
}
