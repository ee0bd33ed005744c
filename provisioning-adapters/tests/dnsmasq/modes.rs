//! What machines of each kind are told, in both modes, registered or not.

use provisioning_adapters::dnsmasq::{Addresses, RespondTo};
use provisioning_core::netboot::{ClientArch, Sighted};
use provisioning_core::ports::BootServer as _;

use super::client::{Answer, Firmware, tftp};
use super::fleet::{plan, wait};
use super::lan::{Lan, SERVER};

const BOOT_URL: &str = "http://10.77.0.10:8080/ipxe/${mac}";
const KNOWN: u8 = 1;
const STRANGER: u8 = 9;

fn file(answer: Option<Answer>) -> Option<String> {
    answer.map(|answer| answer.file)
}

#[test]
fn by_proxy_each_kind_of_machine_is_told_what_to_load_and_no_address() {
    let Some(lan) = Lan::new() else { return };
    let server = lan.start(lan.config(Addresses::Proxy, RespondTo::Registered)).unwrap();
    wait(server.dnsmasq.apply(&plan(&[KNOWN], &[]))).unwrap();

    lan.as_machine(|| {
        let bios = Firmware::new(KNOWN, 0);
        let offer = bios.discover().expect("a BIOS is offered a menu");
        assert_eq!((offer.kind, offer.file.as_str(), offer.address.is_unspecified()), (2, "", true));
        assert!(offer.options.contains_key(&43), "the menu has one item");
        let answer = bios.boot_server(SERVER).expect("the boot server answers");
        assert_eq!((answer.file.as_str(), answer.next_server), ("undionly.kpxe", SERVER));

        for (arch, program) in [(7, "snponly.efi"), (9, "snponly.efi"), (11, "ipxe-arm64.efi")] {
            let uefi = Firmware::new(KNOWN, arch);
            let offer = uefi.discover().expect("UEFI is offered a boot server");
            assert!(offer.address.is_unspecified() && offer.file.is_empty() && !offer.options.contains_key(&43));
            assert_eq!(file(uefi.boot_server(SERVER)).as_deref(), Some(program), "architecture {arch}");
        }

        let http = Firmware::new(KNOWN, 16).discover().expect("HTTP Boot is offered a URL");
        assert_eq!(http.file, "http://10.77.0.10:8080/netboot/ipxe.efi");
        assert_eq!(http.options[&60], b"HTTPClient");

        for arch in [0, 7, 11] {
            let answer = Firmware::ipxe(KNOWN, arch).discover().expect("iPXE is offered its script");
            assert_eq!((answer.file.as_str(), answer.next_server), (BOOT_URL, SERVER), "architecture {arch}");
        }
        assert_eq!(file(Firmware::ipxe(KNOWN, 16).discover()).as_deref(), Some(BOOT_URL), "iPXE after HTTP Boot");

        assert!(Firmware::system(KNOWN).is_left_alone(), "who does not netboot is the other DHCP server's");
        assert!(Firmware::new(STRANGER, 7).is_left_alone() && Firmware::ipxe(STRANGER, 0).is_left_alone());
    });
}

#[test]
fn by_proxy_every_step_is_seen_with_its_machine() {
    let Some(lan) = Lan::new() else { return };
    let mut server = lan.start(lan.config(Addresses::Proxy, RespondTo::Registered)).unwrap();
    wait(server.dnsmasq.apply(&plan(&[KNOWN], &[]))).unwrap();
    let mac = Some("52:54:00:00:00:01".parse().unwrap());

    lan.as_machine(|| Firmware::new(KNOWN, 7).discover().expect("an offer"));
    let seen = server.sees(|what| matches!(what, Sighted::Offered { .. }));
    assert_eq!(seen.mac, mac);
    let Sighted::Offered { client, address: None, file: None } = seen.what else { panic!("{seen:?}") };
    assert_eq!((client.arch, client.ipxe), (Some(ClientArch::UefiX64), false));

    lan.as_machine(|| Firmware::new(KNOWN, 7).boot_server(SERVER).expect("an answer"));
    let seen = server.sees(|what| matches!(what, Sighted::BootServerAsked { .. }));
    let Sighted::BootServerAsked { file, .. } = &seen.what else { panic!("{seen:?}") };
    assert_eq!((seen.mac, file.as_deref()), (mac, Some("snponly.efi")));

    lan.as_machine(|| Firmware::ipxe(STRANGER, 0).is_left_alone());
    let seen = server.sees(|what| matches!(what, Sighted::LeftAlone(_)));
    assert_eq!(seen.mac, Some("52:54:00:00:00:09".parse().unwrap()));

    assert_eq!(lan.as_machine(|| tftp(SERVER, "snponly.efi")).unwrap(), "snponly.efi".repeat(100).into_bytes());
    let seen = server.sees(|what| matches!(what, Sighted::FileSent { .. }));
    assert_eq!(seen.what, Sighted::FileSent { file: "snponly.efi".to_owned() });
    assert!(seen.mac.is_some(), "the neighbour table knows who it was: {seen:?}");

    lan.as_machine(|| tftp(SERVER, "autoexec.ipxe")).unwrap_err();
    server.sees(|what| *what == Sighted::FileMissing { file: "autoexec.ipxe".to_owned() });
    lan.as_machine(|| tftp(SERVER, "../hosts")).unwrap_err();
}

#[test]
fn in_full_mode_a_machine_is_given_its_address_with_its_program() {
    let Some(lan) = Lan::new() else { return };
    let mut server = lan.start(lan.config(Lan::pool(), RespondTo::Registered)).unwrap();
    wait(server.dnsmasq.apply(&plan(&[KNOWN, 2], &[(KNOWN, "10.77.0.50")]))).unwrap();
    let address = "10.77.0.50".parse().unwrap();

    lan.as_machine(move || {
        for (arch, program) in [(0, "undionly.kpxe"), (7, "snponly.efi"), (9, "snponly.efi"), (11, "ipxe-arm64.efi")] {
            let offer = Firmware::new(KNOWN, arch).discover().expect("an offer");
            assert_eq!((offer.address, offer.file.as_str()), (address, program), "architecture {arch}");
        }
        let http = Firmware::new(KNOWN, 16).discover().expect("an offer");
        assert_eq!(http.file, "http://10.77.0.10:8080/netboot/ipxe.efi");
        assert_eq!(http.options[&60], b"HTTPClient");
        for arch in [0, 7, 16] {
            assert_eq!(file(Firmware::ipxe(KNOWN, arch).discover()).as_deref(), Some(BOOT_URL));
        }
        let given = Firmware::ipxe(KNOWN, 7).request(address, SERVER).expect("the address is given");
        assert_eq!((given.kind, given.address), (5, address));
        assert_eq!(given.options[&3], [10, 77, 0, 1]);
        let installer = Firmware::system(2).discover().expect("an operating system gets an address, too");
        assert!((100..=110).contains(&installer.address.octets()[3]), "{installer:?}");
        assert!(Firmware::new(STRANGER, 7).is_left_alone() && Firmware::system(STRANGER).is_left_alone());
    });

    let offered = server.sees(|what| matches!(what, Sighted::Offered { .. }));
    let Sighted::Offered { client, address: told, file } = offered.what else { panic!("{:?}", offered.what) };
    assert_eq!((client.arch, told, file.as_deref()), (Some(ClientArch::Bios), Some(address), Some("undionly.kpxe")));
    server.sees(|what| *what == Sighted::Acknowledged { address });
    server.sees(|what| matches!(what, Sighted::Offered { client, file: None, .. } if client.arch.is_none()));
    server.sees(|what| matches!(what, Sighted::LeftAlone(_)));
}

#[test]
fn who_answers_all_answers_strangers_too() {
    let Some(lan) = Lan::new() else { return };
    let server = lan.start(lan.config(Addresses::Proxy, RespondTo::All)).unwrap();
    lan.as_machine(|| {
        let offer = Firmware::ipxe(STRANGER, 7).discover().expect("an offer");
        assert_eq!(offer.file, BOOT_URL);
    });
    drop(server);
}
