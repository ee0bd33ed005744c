//! Foothold and revocation: whose lines come and go, and what happens to the files they stand in.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use provisioning_core::render::RemoteCommand;

use crate::host::Host;
use crate::{KEY, key, operation};

const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl root@pve1";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ== * ' \" \\ $HOME";

const CLUSTER: &str = "etc/pve/priv/authorized_keys";
const LOCAL: &str = "root/.ssh/authorized_keys";
const FOOTHOLD: &str = "root/.ssh/authorized_keys2";

fn foothold(host: &Host) {
    assert_eq!(host.succeeds(&RemoteCommand::Foothold { key: key() }, ""), "");
}

fn revoke() -> RemoteCommand {
    RemoteCommand::Revoke { operation: operation(), key: key() }
}

fn mode(host: &Host, inside: &str) -> u32 {
    fs::metadata(host.path(inside)).unwrap().mode() & 0o7777
}

pub(crate) fn a_foothold_twice_leaves_one_line(host: &Host) {
    foothold(host);
    foothold(host);
    assert_eq!(host.read(FOOTHOLD), format!("{KEY}\n"));
    assert_eq!((mode(host, "root/.ssh"), mode(host, FOOTHOLD)), (0o700, 0o600));
    assert!(!host.path(LOCAL).exists(), "the cluster-wide file is not touched");
}

pub(crate) fn a_foothold_keeps_what_stood_there_even_without_a_last_newline(host: &Host) {
    fs::create_dir(host.path("root/.ssh")).unwrap();
    for (before, after) in [("", ""), (OTHER, "\n"), ("# a remark\n", "")] {
        host.write(FOOTHOLD, before);
        foothold(host);
        assert_eq!(host.read(FOOTHOLD), format!("{before}{after}{KEY}\n"));
    }
}

pub(crate) fn members_are_printed_as_they_are(host: &Host) {
    assert_eq!(host.succeeds(&RemoteCommand::Members, ""), "{\"nodename\": \"pve-07\"}\n");
    fs::remove_file(host.path("etc/pve/.members")).unwrap();
    assert_ne!(host.run(&RemoteCommand::Members, "").status, Some(0));
}

pub(crate) fn a_revocation_removes_the_key_everywhere_and_nothing_else(host: &Host) {
    fs::create_dir(host.path("root/.ssh")).unwrap();
    symlink("/etc/pve/priv/authorized_keys", host.path(LOCAL)).unwrap();
    let blob = key().blob().to_owned();
    let texts = [
        (CLUSTER, format!("{RSA}\n{KEY}\n{OTHER}\n"), format!("{RSA}\n{OTHER}\n")),
        ("root/.ssh/authorized_keys.org", format!("{KEY} a comment"), String::new()),
        ("root/.ssh/authorized_keys2.org", format!("# r\n\n{OTHER}"), format!("# r\n\n{OTHER}")),
        (FOOTHOLD, format!("from=\"10.0.0.1\" {KEY} x\n  {KEY}\n{RSA}"), format!("{RSA}\n")),
    ];
    for (file, before, _) in &texts {
        host.write(file, before);
        fs::set_permissions(host.path(file), fs::Permissions::from_mode(0o640)).unwrap();
    }
    fs::create_dir(host.path(&format!("run/provisioning-{}", operation()))).unwrap();
    let inode = |file: &str| fs::metadata(host.path(file)).unwrap().ino();
    let inodes = texts.each_ref().map(|(file, _, _)| inode(file));
    for _ in 0..2 {
        assert_eq!(host.succeeds(&revoke(), ""), "");
        for (i, (file, _, after)) in texts.iter().enumerate() {
            assert_eq!(&host.read(file), after, "{file}");
            assert!(!host.read(file).contains(&blob));
            assert_eq!((inode(file), mode(host, file)), (inodes[i], 0o640), "{file}");
        }
        let link = fs::read_link(host.path(LOCAL)).unwrap();
        assert_eq!(link.to_str(), Some("/etc/pve/priv/authorized_keys"));
        assert!(!host.path(&format!("run/provisioning-{}", operation())).exists());
    }
}

pub(crate) fn a_revoked_foothold_leaves_no_empty_file(host: &Host) {
    foothold(host);
    host.write(CLUSTER, KEY);
    assert_eq!(host.succeeds(&revoke(), ""), "");
    assert!(!host.path(FOOTHOLD).exists());
    assert_eq!(host.read(CLUSTER), "", "the cluster's file stays, empty");
}

pub(crate) fn a_file_that_cannot_be_written_fails_the_revocation_and_keeps_the_foothold(host: &Host) {
    foothold(host);
    host.write(CLUSTER, &format!("{KEY}\n{OTHER}\n"));
    let permit = |mode| fs::set_permissions(host.path(CLUSTER), fs::Permissions::from_mode(mode)).unwrap();
    permit(0o400);
    let said = host.run_as_bound_root(&revoke());
    permit(0o600);
    assert!(!matches!(said.status, Some(0) | None), "{said:?}");
    assert!(!said.stderr.is_empty());
    assert_eq!(host.read(CLUSTER), format!("{KEY}\n{OTHER}\n"));
    assert_eq!(host.read(FOOTHOLD), format!("{KEY}\n"), "the way in for the next try");
    assert_eq!(host.succeeds(&revoke(), ""), "");
    assert_eq!(host.read(CLUSTER), format!("{OTHER}\n"));
}

pub(crate) fn a_revocation_waits_for_the_cluster_file_system(host: &Host) {
    foothold(host);
    fs::rename(host.path("etc/pve"), host.path("etc/unmounted")).unwrap();
    let said = host.run(&revoke(), "");
    assert_eq!((said.status, said.stderr.as_str()), (Some(4), "/etc/pve is not mounted\n"));
    assert_eq!(host.read(FOOTHOLD), format!("{KEY}\n"), "the way in for the next try");
}
