//! What is read from lines that a real dnsmasq has written, and from lines that nobody should write.

use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use provisioning_core::netboot::{ClientArch, Sighted};

use super::{LogReader, Said};

/// Runs a recorded log through a reader; one line for each thing said.
fn read(log: &str) -> String {
    let mut reader = LogReader::new("/run/p/hosts", "/run/p/tftp");
    let mut text = String::new();
    let mut told = |said: Vec<Said>| {
        for said in said {
            match said {
                Said::Seen(seen) => {
                    let mac = seen.mac.map_or_else(|| "-".to_owned(), |mac| mac.to_string());
                    let address = seen.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
                    let what = serde_json::to_string(&seen.what).unwrap();
                    writeln!(text, "{mac} {address} {what}").unwrap();
                }
                other => writeln!(text, "{other:?}").unwrap(),
            }
        }
    };
    log.lines().for_each(|line| told(reader.line(line)));
    told(reader.settle());
    assert!(!reader.holds_back());
    text
}

#[test]
fn recorded_logs_are_read_as_what_happened() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/dnsmasq/log");
    let mut logs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    assert!(logs.len() >= 4);
    for path in logs {
        let seen = read(&std::fs::read_to_string(&path).unwrap());
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &seen).unwrap();
        }
        assert_eq!(seen, std::fs::read_to_string(&expected).unwrap_or_default(), "{}", path.display());
    }
}

#[test]
fn an_offer_and_the_boot_servers_answer_are_told_apart_by_the_type_of_what_was_sent() {
    let exchange = |kind: u8| {
        let mut reader = LogReader::new("/h", "/t");
        let lines = [
            "7 available DHCP subnet: 10.0.0.2/255.255.255.0".to_owned(),
            "7 vendor class: PXEClient:Arch:00007:UNDI:003000".to_owned(),
            "7 PXE(eth0) 52:54:00:00:00:01 proxy".to_owned(),
            "7 bootfile name: snponly.efi".to_owned(),
            format!("7 sent size:  1 option: 53 message-type  {kind}"),
        ];
        let said = lines.iter().flat_map(|line| reader.line(&format!("dnsmasq-dhcp[9]: {line}")));
        let said: Vec<Sighted> =
            said.map(|said| if let Said::Seen(seen) = said { seen.what } else { panic!() }).collect();
        said
    };
    let file = Some("snponly.efi".to_owned());
    let offer = exchange(2);
    assert_eq!(offer.len(), 2);
    assert!(matches!(&offer[0], Sighted::Discovered(client) if client.arch == Some(ClientArch::UefiX64)));
    assert!(matches!(&offer[1], Sighted::Offered { file: told, address: None, .. } if *told == file));
    let answer = exchange(5);
    assert!(matches!(&answer[..], [Sighted::BootServerAsked { file: told, .. }] if *told == file));
}

#[test]
fn text_of_strangers_stays_within_its_line() {
    let mut reader = LogReader::new("/h", "/t");
    let strange = [
        "dnsmasq-dhcp[9]: 7 vendor class: PXE(eth0) 52:54:00:00:00:77 proxy-ignored",
        "dnsmasq-dhcp[9]: 7 user class: sent size:  1 option: 53 message-type  2",
        "dnsmasq-tftp[9]: error 0 sent /t/x to 10.0.0.9 received from 10.0.0.8",
    ];
    assert!(strange.iter().all(|line| reader.line(line).is_empty()));
    let missing = reader.line("dnsmasq-tftp[9]: file /t/a not found for 10.0.0.9 not found for 10.0.0.8");
    let [Said::Seen(seen)] = &missing[..] else { panic!("{missing:?}") };
    assert_eq!(seen.address, Some("10.0.0.8".parse().unwrap()));
    assert_eq!(seen.what, Sighted::FileMissing { file: "a not found for 10.0.0.9".to_owned() });
}

proptest! {
    #[test]
    fn no_lines_make_the_reader_panic(lines in prop::collection::vec(".{0,120}", 0..20)) {
        read(&lines.join("\n"));
    }

    #[test]
    fn no_mixture_of_real_words_makes_the_reader_panic(
        lines in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec![
                    "dnsmasq-dhcp[1]: ", "dnsmasq-tftp[1]: ", "dnsmasq[1]: ", "7 ", "available DHCP subnet: ", "PXE(e) ",
                    "52:54:00:00:00:01 ", "10.0.0.9 ", "proxy", "proxy-ignored", "sent ", "size: ", "option: ", "53 ", "67 ",
                    "message-type ", "2", "5", " to ", " received from ", "error 8 ", "DHCPDISCOVER(e) ", "DHCPOFFER(e) ",
                    "tags: ", "ipxe, ", "vendor class: ", ":Arch:0000", "bootfile name: ", "file ", " not found for ", "ä",
                ]),
                0..8,
            ),
            0..30,
        )
    ) {
        let lines: Vec<String> = lines.iter().map(|words| words.concat()).collect();
        read(&lines.join("\n"));
    }
}
