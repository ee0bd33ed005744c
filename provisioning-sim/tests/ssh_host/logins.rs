//! Who is let in, what can be run, and what a power cut takes away.

use provisioning_core::render::RemoteCommand;

use crate::lab::{Host, Login, Refused, private_key, public, quick};

#[tokio::test]
async fn the_installers_key_opens_the_host_and_no_other_does() {
    let host = Host::start(9, None, quick()).await;
    assert!(host.log_in().await.is_ok());
    let other = private_key([77; 32]);
    let address = host.sshd.address();
    assert_eq!(Login::open(address, &host.sshd_key, "root", &other).await.err(), Some(Refused::Key));
    assert_eq!(Login::open(address, &host.sshd_key, "admin", &host.key).await.err(), Some(Refused::Key));
    let log = host.node.log();
    assert_eq!(log.logins, [host.public_key()]);
    assert_eq!(log.refused, [("root".to_owned(), public(&other)), ("admin".to_owned(), host.public_key())]);
}

#[tokio::test]
async fn a_standalone_host_shows_no_cluster_and_gives_up_its_key() {
    let host = Host::start(9, None, quick()).await;
    let login = host.log_in().await.unwrap();
    let members = login.run(&RemoteCommand::Members).await;
    let view: serde_json::Value = serde_json::from_str(&members.stdout).unwrap();
    assert_eq!((view["nodename"].as_str(), view.get("cluster")), (Some("node9"), None));
    assert_eq!(login.run(&host.follow()).await.stdout, "absent\n");
    login.run(&host.foothold()).await;
    assert_eq!(host.node.files_with(&host.public_key()).len(), 3, "imported file, symlink to it, foothold");
    assert_eq!(login.run(&host.revoke()).await.status, 0);
    assert_eq!(host.node.files_with(&host.public_key()), []);
    assert_eq!(host.log_in().await.err(), Some(Refused::Key));
    assert_eq!(login.run(&RemoteCommand::Members).await.status, 0, "an open login goes on");
}

#[tokio::test]
async fn a_second_foothold_adds_nothing() {
    let host = Host::start(9, None, quick()).await;
    let login = host.log_in().await.unwrap();
    assert_eq!(login.run(&host.foothold()).await, login.run(&host.foothold()).await);
    assert_eq!(host.node.log().commands, [host.foothold(), host.foothold()]);
}

#[tokio::test]
async fn a_command_that_is_not_ours_is_refused_and_remembered() {
    let host = Host::start(9, None, quick()).await;
    let login = host.log_in().await.unwrap();
    let output = login.run_line("reboot now", "").await.unwrap();
    assert_eq!((output.status, output.stderr.as_str()), (127, "sh: 1: reboot: not found\n"));
    assert!(!login.is_given_a_shell().await);
    assert_eq!(host.node.log().unknown, ["reboot now", "(a shell)"]);
}

#[tokio::test]
async fn a_power_cut_ends_the_connection_and_a_boot_brings_sshd_back() {
    let host = Host::start(9, None, quick()).await;
    let login = host.log_in().await.unwrap();
    host.node.power_off();
    assert_eq!(login.run_line(&RemoteCommand::Members.line(), "").await, None);
    assert_eq!(host.log_in().await.err(), Some(Refused::NotThere));
    host.node.power_on();
    let login = host.log_in_when_up().await;
    assert_eq!(login.run(&RemoteCommand::Members).await.status, 0);
}

#[tokio::test]
async fn a_stopped_sshd_frees_its_port() {
    let host = Host::start(9, None, quick()).await;
    let address = host.sshd.address();
    host.sshd.stop().await;
    assert!(tokio::net::TcpListener::bind(address).await.is_ok());
}

#[tokio::test]
async fn sshd_keys_follow_their_seed() {
    use provisioning_sim::real::ssh::HostKey;
    assert_eq!(HostKey::from_seed([1; 32]).public(), HostKey::from_seed([1; 32]).public());
    assert_ne!(HostKey::from_seed([1; 32]).public(), HostKey::from_seed([2; 32]).public());
    let host = Host::start(9, None, quick()).await;
    let other = HostKey::from_seed([2; 32]);
    let opened = Login::open(host.sshd.address(), &other, "root", &host.key).await;
    assert_eq!(opened.err(), Some(Refused::NotThere), "a client that pins another key goes away");
}
