//! Whatever the model lets through is rendered, reads back as it was put in, and breaks out of nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use provisioning_core::model::{
    BtrfsCompress, BtrfsOptions, BtrfsRaid, DiskName, DiskSelection, DiskSetup, Filesystem, FilterMatch, Glob,
    LvmOptions, MacAddr, Release, Secret, StaticNetwork, UdevKey, ZfsChecksum, ZfsCompress, ZfsOptions, ZfsRaid,
};
use provisioning_core::render::answer::{Answer, Dialect, Format};
use serde_json::{Value as Json, json};
use toml::Table;

use crate::case::{Case, golden_folder};

proptest! {
    #[test]
    fn an_accepted_input_reads_back_as_it_was_put_in(case in any_case(), release in any_release()) {
        let answer = case.answer(release, Format::Toml);
        prop_assert!(answer.is_ok(), "{:?}", answer);
        let document = read(answer.as_ref().unwrap());
        prop_assert_eq!(document, expected(&case, release));
    }

    #[test]
    fn json_and_toml_hold_the_same_document(case in any_case()) {
        let release = Release::new(9, 2);
        let toml = case.answer(release, Format::Toml).unwrap();
        let json = case.answer(release, Format::Json).unwrap();
        prop_assert_eq!(read(&toml), serde_json::from_str::<Json>(json.text.expose()).unwrap());
        let masked: Table = toml.masked.parse().unwrap();
        prop_assert_eq!(as_json(&masked), serde_json::from_str::<Json>(&json.masked).unwrap());
    }

    #[test]
    fn the_masked_form_differs_only_by_its_marks(case in any_case(), release in any_release()) {
        let answer = case.answer(release, Format::Toml).unwrap();
        let (mut shown, masked) = (read(&answer), as_json(&answer.masked.parse().unwrap()));
        mask(&mut shown, &case.token.expose());
        prop_assert_eq!(shown, masked);
        prop_assert!(!answer.masked.contains(&case.token.expose()[22..]));
        prop_assert!(!answer.masked.contains(case.site.root_password_hash.expose()));
    }

    #[test]
    fn hostile_text_changes_values_but_never_the_shape(text in hostile_text(), release in any_release()) {
        let plain = base();
        let mut case = plain.clone();
        let mut accepted = true;
        let disk = |name: DiskName| DiskSelection::Named(vec![name]);
        // Each field that takes it has it: one that breaks out would show as a key too many or too few.
        if let Ok(name) = text.parse() { case.host.name = name }
        if let Ok(domain) = text.parse() { case.site.domain = domain }
        if let Ok(mail) = text.parse() { case.site.mailto = mail }
        if let Ok(zone) = text.parse() { case.site.timezone = zone }
        if let Ok(country) = text.parse() { case.site.country = country }
        if let Ok(keyboard) = text.parse() { case.site.keyboard = keyboard }
        if let Ok(url) = text.parse() { case.site.public_url = url }
        if let Ok(key) = text.parse() { case.one_time_key = key }
        if let Ok(hash) = text.parse() { case.site.root_password_hash = hash }
        if let Ok(name) = text.parse() { case.server_type.disk.selection = disk(name) }
        if !Dialect::of(release).unwrap().takes_hashed_password() {
            accepted = text.len() >= 8 && !text.chars().any(char::is_control);
            case.fallback_password = Some(Secret::new(text));
        }
        let answer = case.answer(release, Format::Toml);
        prop_assert_eq!(answer.is_ok(), accepted);
        if let Ok(answer) = answer {
            let document = read(&answer);
            prop_assert_eq!(shape(&document), shape(&read(&plain.answer(release, Format::Toml).unwrap())));
            prop_assert_eq!(document, expected(&case, release));
        }
    }
}

/// The document that a release should get, written down a second time and another way.
fn expected(case: &Case, release: Release) -> Json {
    let kebab = release >= Release::new(8, 4);
    let key = |kebab_key: &str| if kebab { kebab_key.to_owned() } else { kebab_key.replace('-', "_") };
    let (site, host) = (&case.site, &case.host);
    let (token, url) = (case.token.expose(), site.public_url.as_str());
    let mut global = json!({
        "keyboard": site.keyboard, "country": site.country, "timezone": site.timezone, "mailto": site.mailto,
        "fqdn": format!("{}.{}", host.name, site.domain),
    });
    let keys: Vec<_> = [&case.one_time_key].into_iter().chain(&site.root_ssh_keys).collect();
    global[key("root-ssh-keys")] = json!(keys);
    global[key("reboot-on-error")] = json!(true);
    if release == Release::new(8, 2) {
        global["root_password"] = json!(case.fallback_password.as_ref().unwrap().expose());
    } else {
        global[key("root-password-hashed")] = json!(site.root_password_hash.expose());
    }
    let mut document = json!({ "global": global, "network": network(case), "disk-setup": disk(case, key) });
    if release >= Release::new(8, 3) {
        let mut webhook = json!({ "url": format!("{url}/api/hosts/{}/installed?token={token}", host.id) });
        let mut first_boot = json!({
            "source": "from-url", "ordering": "fully-up",
            "url": format!("{url}/api/hosts/{}/first-boot-script?token={token}", host.id),
        });
        if let Some(fingerprint) = site.tls_fingerprint {
            webhook[key("cert-fingerprint")] = json!(fingerprint);
            first_boot["cert-fingerprint"] = json!(fingerprint);
        }
        if release >= Release::new(9, 2) {
            webhook["auth-token"] = json!(token);
        }
        document["post-installation-webhook"] = webhook;
        document["first-boot"] = first_boot;
    }
    document
}

fn network(case: &Case) -> Json {
    let Some(cidr) = case.host.address else { return json!({ "source": "from-dhcp" }) };
    let around = case.site.static_network.unwrap();
    let mac = case.host.macs[0].octets().iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    json!({
        "source": "from-answer", "cidr": cidr, "gateway": around.gateway, "dns": around.dns,
        "filter": { "ID_NET_NAME_MAC": format!("*{mac:012x}") },
    })
}

fn disk(case: &Case, key: impl Fn(&str) -> String) -> Json {
    let setup = &case.server_type.disk;
    let mut section = json!({ "filesystem": setup.filesystem.as_str() });
    match &setup.selection {
        DiskSelection::Named(names) => section[key("disk-list")] = json!(names),
        DiskSelection::Filter { properties, matching } => {
            section["filter"] = json!(properties);
            if *matching == FilterMatch::All {
                section[key("filter-match")] = json!("all");
            }
        }
    }
    match setup.filesystem {
        Filesystem::Ext4(options) | Filesystem::Xfs(options) if options != LvmOptions::default() => {
            section["lvm"] = json!(options);
        }
        Filesystem::Ext4(_) | Filesystem::Xfs(_) => {}
        Filesystem::Zfs(options) => {
            section["zfs"] = json!(options);
            if let Some(mib) = section["zfs"].as_object_mut().unwrap().remove("arc_max") {
                section["zfs"][key("arc-max")] = mib;
            }
        }
        Filesystem::Btrfs(options) => section["btrfs"] = json!(options),
    }
    section
}

fn read(answer: &Answer) -> Json {
    as_json(&answer.text.expose().parse().unwrap())
}

fn as_json(table: &Table) -> Json {
    serde_json::to_value(table).unwrap()
}

/// The paths of all entries, without their values.
fn shape(document: &Json) -> BTreeSet<String> {
    document.as_object().into_iter().flatten().fold(BTreeSet::new(), |mut paths, (key, value)| {
        paths.extend(shape(value).into_iter().map(|rest| format!("{key}.{rest}")));
        paths.insert(key.clone());
        paths
    })
}

/// Puts the marks where passwords and tokens stand.
fn mask(document: &mut Json, token: &str) {
    for (key, value) in document.as_object_mut().into_iter().flatten() {
        match value {
            Json::String(text) if key.replace('_', "-").starts_with("root-password") => *text = "***".into(),
            Json::String(text) => *text = text.replace(token, "***"),
            _ => mask(value, token),
        }
    }
}

fn base() -> Case {
    Case::read(&golden_folder().join("good/dhcp-ext4-named/input.toml")).0
}

fn any_release() -> impl Strategy<Value = Release> {
    select(vec![(8, 2), (8, 3), (8, 4), (9, 0), (9, 1), (9, 2), (9, 3), (10, 0)])
        .prop_map(|(major, minor)| Release::new(major, minor))
}

/// Text that means something in TOML, JSON or on a command line, among any other.
fn hostile_text() -> impl Strategy<Value = String> {
    let barbs =
        ["\"", "'", "'''", "\"\"\"", "\\", "\n", "\r\n", "]", "[global]\n", "x = 1", "#", "\u{2028}", "\0", "$", "}"];
    let barbed =
        ("[a-z]{0,9}", select(barbs.to_vec()), "[a-z@./]{0,9}").prop_map(|(a, barb, b)| format!("{a}{barb}{b}"));
    prop_oneof![barbed, "[!-~]{1,30}", "\\PC{0,30}", any::<String>()]
}

/// A case that must be accepted by every release.
fn any_case() -> impl Strategy<Value = Case> {
    let mail = parsed("[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,20}@[a-z]{1,9}(\\.[a-z]{2,5})?");
    let password = "\\PC{8,20}".prop_filter("no control characters", |text| !text.chars().any(char::is_control));
    let names = (parsed("[a-z][a-z0-9-]{0,30}"), parsed("[a-z]{1,9}(\\.[a-z0-9]{1,9}){0,3}"), mail);
    let people = (password, proptest::option::of(any::<[u8; 32]>()), any::<[u8; 16]>());
    (names, people, any_network(), any_disk()).prop_map(
        |((name, domain, mailto), (password, tls, secret), net, disk)| {
            let mut case = base();
            (case.host.name, case.site.domain, case.site.mailto) = (name, domain, mailto);
            (case.host.macs, case.host.address, case.site.static_network) = net;
            case.site.tls_fingerprint = tls.map(provisioning_core::model::CertFingerprint::new);
            case.token = provisioning_core::model::BootToken::new(case.token.operation(), secret);
            case.fallback_password = Some(Secret::new(password));
            case.server_type.disk = disk;
            case
        },
    )
}

fn parsed<T: std::str::FromStr + std::fmt::Debug>(regex: &'static str) -> impl Strategy<Value = T> {
    regex.prop_filter_map("not of the type", |text| text.parse().ok())
}

type Net = (Vec<MacAddr>, Option<IpNet>, Option<StaticNetwork>);

fn any_network() -> impl Strategy<Value = Net> {
    let mac = any::<[u8; 6]>().prop_filter_map("no NIC's", |bytes| MacAddr::new(bytes).ok());
    let fixed = (any::<[u8; 3]>(), 9_u8..=29, any::<(u32, u32, u32)>()).prop_filter_map(
        "address and gateway must differ",
        |([a, b, c], prefix, (host, gateway, dns))| {
            let subnet = Ipv4Net::new(Ipv4Addr::new(10, a, b, c), prefix).ok()?.trunc();
            let inner = (1_u32 << (32 - prefix)) - 2;
            let at = |n: u32| Ipv4Addr::from_bits(subnet.network().to_bits() + 1 + n % inner);
            let address = IpNet::new(IpAddr::V4(at(host)), prefix).ok()?;
            let around = StaticNetwork { gateway: at(gateway).into(), dns: at(dns).into() };
            (at(host) != at(gateway)).then_some((Some(address), Some(around)))
        },
    );
    let addresses = prop_oneof![Just((None, None)), fixed];
    (proptest::collection::vec(mac, 1..4), addresses).prop_map(|(macs, (address, around))| (macs, address, around))
}

fn any_disk() -> impl Strategy<Value = DiskSetup> {
    let disks = ["sda", "sdb", "sdc", "vda", "xvdb", "nvme0n1", "nvme1n1", "cciss/c0d0"];
    let named = subsequence(disks.to_vec(), 1..=disks.len())
        .prop_map(|names| DiskSelection::Named(names.iter().map(|name| name.parse().unwrap()).collect()));
    let filter = (
        proptest::collection::btree_map(parsed::<UdevKey>("[A-Z0-9_]{1,12}"), parsed::<Glob>("[ -~]{1,9}"), 1..4),
        select(vec![FilterMatch::Any, FilterMatch::All]),
    )
        .prop_map(|(properties, matching): (BTreeMap<_, _>, _)| DiskSelection::Filter { properties, matching });
    (prop_oneof![named, filter], any_filesystem())
        .prop_filter_map("refused by the model", |(selection, filesystem)| DiskSetup::new(selection, filesystem).ok())
}

fn any_filesystem() -> impl Strategy<Value = Filesystem> {
    use proptest::option::of;
    let size = || of(8_u32..100_000);
    let lvm =
        (size(), of(0_u32..4), size(), of(0_u32..9), size()).prop_map(|(hdsize, swapsize, maxroot, maxvz, minfree)| {
            LvmOptions { hdsize, swapsize, maxroot, maxvz, minfree }
        });
    let zfs = (
        select(vec![ZfsRaid::Raid0, ZfsRaid::Raid1, ZfsRaid::Raid10, ZfsRaid::RaidZ1, ZfsRaid::RaidZ3]),
        of(9_u8..=16),
        of(64_u32..),
        of(select(vec![ZfsChecksum::On, ZfsChecksum::Fletcher4, ZfsChecksum::Sha256])),
        of(select(vec![ZfsCompress::Off, ZfsCompress::Lz4, ZfsCompress::Zstd])),
        of(1_u8..=3),
        size(),
    )
        .prop_map(|(raid, ashift, arc_max, checksum, compress, copies, hdsize)| {
            Filesystem::Zfs(ZfsOptions { raid, ashift, arc_max, checksum, compress, copies, hdsize })
        });
    let btrfs = (select(vec![BtrfsRaid::Raid0, BtrfsRaid::Raid1, BtrfsRaid::Raid10]), size())
        .prop_map(|(raid, hdsize)| Filesystem::Btrfs(BtrfsOptions { raid, hdsize, compress: None::<BtrfsCompress> }));
    prop_oneof![lvm.clone().prop_map(Filesystem::Ext4), lvm.prop_map(Filesystem::Xfs), zfs, btrfs]
}
