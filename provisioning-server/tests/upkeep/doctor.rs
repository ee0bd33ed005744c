//! Faults planted one at a time on a good installation: the doctor finds each, and nothing else.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;
use rcgen::{CertificateParams, KeyPair};

use super::site::{Found, ROOM, Site, found, has_namespaces};

/// Plants a fault and asserts that the doctor finds exactly that, in these words, with this remedy.
fn finds(check: &str, words: &str, remedy: &str, plant: impl FnOnce(&Site)) {
    let site = Site::new();
    plant(&site);
    let before = state_of(site.dir.path());
    let (faults, code) = site.doctor(&[]);
    is_that(&faults, check, words, remedy);
    assert!(code == 1 || code == 2, "{check}: {code}");
    assert_eq!(state_of(site.dir.path()), before, "the doctor changes nothing");
}

fn is_that(faults: &[Found], check: &str, words: &str, remedy: &str) {
    let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, [check], "{faults:?}");
    assert!(faults[0].said.contains(words), "{words}: {faults:?}");
    assert!(faults[0].what_to_do.contains(remedy), "{remedy}: {faults:?}");
}

/// Names, sizes and modes of all files.
fn state_of(dir: &Path) -> Vec<(std::path::PathBuf, u64, u32)> {
    let mut state = vec![];
    for file in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let metadata = fs::symlink_metadata(file.path()).unwrap();
        if metadata.is_dir() {
            state.extend(state_of(&file.path()));
        }
        state.push((file.path(), metadata.len(), metadata.permissions().mode()));
    }
    state.sort();
    state
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_good_installation_has_no_fault() {
    let site = Site::new();
    let (faults, code) = site.doctor(&[]);
    assert!(faults.is_empty() && code == 0, "{faults:?}");
    let said = site.succeeds(&["doctor"]);
    for line in ["ok       database", "ok       images", "skipped  dnsmasq", "ok       clock"] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn faults_of_the_configuration_are_found() {
    finds("configuration", "server-types.yaml", "mend the configuration", |site| {
        fs::write(site.dir.path().join("server-types.yaml"), "server_types:\n  lab:\n    boot_dsk: sda\n").unwrap();
    });
    finds("configuration", "did you mean listen", "check-config", |site| site.reconfigure("  listen:", "  listn:"));
    finds("configuration", "chmod 600", "look at", |site| {
        let token = site.dir.path().join("token");
        fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
        set_mode(&token, 0o644);
        site.reconfigure("credentials:", "auth:\n  admin_token_file: token\ncredentials:");
    });
}

#[test]
fn faults_of_the_data_directory_are_found() {
    finds("data-directory", "is open to other users", "chmod 700", |site| set_mode(&site.data(""), 0o755));
    if geteuid().is_root() {
        finds("data-directory", "vault.key belongs to another user", "chown", |site| {
            chown(site.data("vault.key"), Some(65_534), None).unwrap();
        });
    }
    finds("tokens", "tokens.json", "from a backup", |site| fs::write(site.data("tokens.json"), "{").unwrap());
    finds("tokens", "can be changed by other users", "chmod 600", |site| {
        site.succeeds(&["token", "create", "x"]);
        set_mode(&site.data("tokens.json"), 0o666);
    });
}

#[test]
fn faults_of_the_database_are_found() {
    finds("database", "can be read by other users", "chmod 600", |site| set_mode(&site.data("provisioning.db"), 0o644));
    finds("database", "version 99", "install the release that wrote it", |site| {
        site.raw().pragma_update(None, "user_version", 99).unwrap();
        site.raw().query_row("PRAGMA journal_mode = delete", [], |_| Ok(())).unwrap();
    });
    finds("database", "is damaged", "provisioning restore", |site| {
        site.raw().query_row("PRAGMA journal_mode = delete", [], |_| Ok(())).unwrap();
        let root: i64 = site
            .raw()
            .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'images'", [], |row| row.get(0))
            .unwrap();
        let mut bytes = fs::read(site.data("provisioning.db")).unwrap();
        let end = usize::try_from(root).unwrap() * 4096;
        bytes[end - 4096..end].fill(0xa5);
        fs::write(site.data("provisioning.db"), bytes).unwrap();
    });
    finds("database", "belongs to a row of operations", "provisioning restore", |site| {
        let sql = "PRAGMA foreign_keys = off; INSERT INTO artefacts VALUES (zeroblob(16), 'answer', 'x', 1)";
        site.raw().execute_batch(sql).unwrap();
    });
    finds("database", "is no database of this server", "provisioning restore", |site| {
        site.succeeds(&["backup", "b"]);
        fs::copy(site.dir.path().join("b"), site.data("provisioning.db")).unwrap();
    });
    finds("clock", "went back", "timedatectl", |site| {
        let sql = "INSERT INTO journal (at, source, what) VALUES (4102444800000, 'operator', '{}')";
        site.raw().execute_batch(sql).unwrap();
    });
}

#[test]
fn faults_of_the_sealing_key_are_found() {
    finds("sealing-key", "others can read it", "chmod 600", |site| set_mode(&site.data("vault.key"), 0o640));
    finds("sealing-key", "has 5 bytes", "put the right file", |site| {
        fs::write(site.data("vault.key"), "short").unwrap();
    });
    finds("sealing-key", "1 one-time keys are sealed with it", "put the file back", |site| {
        let sql = "INSERT INTO sealed_keys (operation, nonce, ciphertext) VALUES (zeroblob(16), zeroblob(24), x'00')";
        site.raw().execute_batch(sql).unwrap();
        fs::remove_file(site.data("vault.key")).unwrap();
    });
}

#[test]
fn faults_of_images_are_found() {
    finds("images", "No such file", "image import", |site| fs::remove_file(site.iso()).unwrap());
    finds("images", "were imported", "image import", |site| {
        fs::File::options().write(true).open(site.iso()).unwrap().set_len(1000).unwrap();
    });
    let change = |site: &Site| {
        let mut bytes = fs::read(site.iso()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(site.iso(), bytes).unwrap();
    };
    finds("images", "it was changed", "image import", change);
    let site = Site::new();
    change(&site);
    assert!(site.doctor(&["--quick"]).0.is_empty(), "checksums take reading it through");
    finds("images", "no image was imported", "image import", |site| {
        site.succeeds(&["image", "remove", "proxmox-ve_9.2-1", "--yes"]);
    });
}

#[test]
fn faults_of_the_network_are_found() {
    let mut held = None;
    finds("listen", "is taken by process", "another port", |site| {
        held = Some(TcpListener::bind(("127.0.0.1", site.port)).unwrap());
    });
    finds("boot-listen", "192.0.2.1:8081", "an address that this machine has", |site| {
        site.reconfigure("  data_dir", "  boot_listen: 192.0.2.1:8081\n  data_dir");
    });
    finds("public-url", "leads nowhere", "DNS", |site| {
        site.reconfigure("public_url: http://127.0.0.1", "public_url: http://nowhere.invalid");
    });
    finds("public-url", "this machine has no such address", "server.public_url", |site| {
        site.reconfigure("public_url: http://127.0.0.1", "public_url: http://192.0.2.7");
    });
    let site = Site::new();
    let member = "proxmox:\n  existing_node: 127.0.0.1\n  join_password: a-password\n  api_token: 'root@pam!x=0b1c2d3e-0000-4000-8000-0123456789ab'\n  \
                  join_fingerprint: ";
    let member = format!("{member}\"{}\"\ncredentials:", ["AA"; 32].join(":"));
    site.reconfigure("credentials:", &member);
    assert!(site.doctor(&[]).0.is_empty(), "nobody is asked without --online");
    is_that(&site.doctor(&["--online"]).0, "cluster-member", "127.0.0.1", "8006");
}

/// TLS with a certificate that lasts from and to these years.
fn with_certificate(site: &Site, years: std::ops::Range<i32>, other_key: bool) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    fs::write(site.dir.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let key = if other_key { other } else { key };
    fs::write(site.dir.path().join("key.pem"), key.serialize_pem()).unwrap();
    set_mode(&site.dir.path().join("key.pem"), 0o600);
    site.reconfigure("public_url: http:", "public_url: https:");
    let boot = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tls = format!("  tls: {{ cert: cert.pem, key: key.pem }}\n  boot_listen: {boot}\n  data_dir");
    site.reconfigure("  data_dir", &tls);
}

#[test]
fn faults_of_the_certificate_are_found() {
    let site = Site::new();
    with_certificate(&site, 2020..2099, false);
    assert!(site.doctor(&[]).0.is_empty(), "{:?}", site.doctor(&[]).0);
    finds("certificate", "are no pair", "server.tls.key", |site| with_certificate(site, 2020..2099, true));
    finds("certificate", "it has ended at 2021", "new certificate", |site| with_certificate(site, 2020..2021, false));
}

/// The doctor on a machine with one LAN, where our own dnsmasq is to run; `before` is done in the same namespace.
fn on_a_lan(plant: impl FnOnce(&Site), before: &str) -> Vec<Found> {
    let site = Site::new();
    let programs = site.dir.path().join("ipxe");
    fs::create_dir(&programs).unwrap();
    for name in ["undionly.kpxe", "snponly.efi", "ipxe.efi"] {
        fs::write(programs.join(name), [b"MZ".to_vec(), vec![0; 70_000]].concat()).unwrap();
    }
    let port = site.port;
    site.reconfigure(&format!("127.0.0.1:{port}"), &format!("10.78.0.2:{port}"));
    site.reconfigure(
        "credentials:",
        "pxe:\n  enabled: true\n  interface: lan0\n  mode: dhcp\n  range: 10.78.0.100-10.78.0.110\n  ipxe_dir: ipxe\ncredentials:",
    );
    plant(&site);
    let script = format!(
        "ip link set lo up && ip link add lan0 type veth peer name lan1 && ip addr add 10.78.0.2/24 dev lan0 && ip link set lan0 up && \
         ip link set lan1 up && \
         {before} {} doctor --json --quick",
        env!("CARGO_BIN_EXE_provisioning")
    );
    let output =
        Command::new("unshare").args(["-n", "sh", "-c", &script]).current_dir(site.dir.path()).output().unwrap();
    let mut faults = found(&output).0;
    faults.retain(|fault| fault.name != ROOM);
    faults
}

#[test]
fn a_disk_with_little_room_is_found() {
    if has_namespaces() {
        let site = Site::new();
        let script = format!(
            "cp -a data kept && mount -t tmpfs -o size=40m,mode=700 tmpfs data && cp -a kept/. data && exec {} doctor --json",
            env!("CARGO_BIN_EXE_provisioning")
        );
        let mut command = Command::new("unshare");
        let output = command.args(["-m", "sh", "-c", &script]).current_dir(site.dir.path()).output().unwrap();
        let (faults, code) = found(&output);
        is_that(&faults, ROOM, "MiB are left for the data", "give server.data_dir more room");
        assert_eq!(code, 2);
    }
}

#[test]
fn a_lan_without_fault_has_none() {
    if has_namespaces() {
        let faults = on_a_lan(|_| (), "");
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn a_wrong_interface_and_a_missing_dnsmasq_are_found() {
    if has_namespaces() {
        let faults = on_a_lan(|site| site.reconfigure("interface: lan0", "interface: eno7"), "");
        is_that(&faults, "interface", "there is no network interface eno7", "pxe.interface");
        let faults = on_a_lan(|site| site.reconfigure("  mode: dhcp", "  dnsmasq: /nowhere/dnsmasq\n  mode: dhcp"), "");
        is_that(&faults, "dnsmasq", "there is no program /nowhere/dnsmasq", "apt-get install dnsmasq-base");
    }
}

#[test]
fn missing_boot_programs_and_ports_that_others_hold_are_found() {
    if has_namespaces() {
        let faults = on_a_lan(|site| fs::remove_file(site.dir.path().join("ipxe/undionly.kpxe")).unwrap(), "");
        is_that(&faults, "boot-programs", "undionly.kpxe", "apt-get install ipxe");
        let other = "dnsmasq --port=0 --enable-tftp --tftp-root=/tmp --conf-file=/dev/null --pid-file= --keep-in-foreground & \
                     other=$!; trap 'kill $other' EXIT; until grep -q ':0045 ' /proc/self/net/udp; do :; done;";
        let faults = on_a_lan(|_| (), other);
        is_that(&faults, "dhcp-ports", "port 69/udp is taken by process", "stop what holds the port");
    }
}
