//! Joins as they happen: the production orchestrator and the real SSH client against a real OpenSSH server, whose
//! `pvecm` says and does what the real one does, status 0 after every failure included. Needs root (for a mount
//! namespace) and Debian's package openssh-server.
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod life;
mod node;

use provisioning_core::machine::{FailureReason, Phase};

use life::{Belief, Life};
use node::{CLUSTER_KEY, Node, PASSWORD};

async fn with_double(name: &str, text: &str) -> Life {
    let node = Node::start();
    node.tell_double(name, text);
    Life::begin(node, Belief::default()).await
}

async fn join_failed(life: &Life, said: &str) {
    assert_eq!(life.fails().await, FailureReason::JoinFailed { said: said.to_owned() });
    assert!(life.keeps_key().await, "it can be resumed");
    assert_eq!(life.node.calls().len(), 1, "it was tried once");
}

#[tokio::test]
async fn a_join_that_succeeds_makes_the_host_ready_and_leaves_no_key() {
    let life = Life::begin(Node::start(), Belief::default()).await;
    life.becomes_ready().await;
    let fingerprint = ["AB"; 32].join(":");
    assert_eq!(life.node.calls(), [format!("add pve1.lab.example --fingerprint {fingerprint}")]);
    assert_eq!(life.node.read("etc/pve/priv/authorized_keys"), format!("{CLUSTER_KEY}\n"), "the cluster's keys stay");
    let link = std::fs::read_link(life.node.path("root/.ssh/authorized_keys")).unwrap();
    assert_eq!(link.to_str(), Some("/etc/pve/priv/authorized_keys"));
    let left = std::fs::read_dir(life.node.path("run")).unwrap().map(|entry| entry.unwrap().file_name());
    let runs: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("provisioning-")).collect();
    assert!(runs.is_empty(), "the run directory is gone: {runs:?}");
    let written = life.everything_written().await;
    assert!(written.contains("successfully added node 'pve-07' to cluster."), "{written}");
    assert!(!written.contains(PASSWORD) && !written.contains("quiet otter"), "{written}");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_join_resumed_once_it_is_right() {
    let life = with_double("password", "another one").await;
    join_failed(&life, "401 authentication failure").await;
    life.node.tell_double("password", PASSWORD);
    life.orchestrator.resume(life.host).await.unwrap();
    life.becomes_ready().await;
}

#[tokio::test]
async fn a_member_with_another_certificate_is_never_given_the_password() {
    let belief = Belief { fingerprint: [0xcd; 32], ..Belief::default() };
    let life = Life::begin(Node::start(), belief).await;
    let said = format!("fingerprint '{}' not verified, abort!", ["AB"; 32].join(":"));
    join_failed(&life, &said).await;
}

#[tokio::test]
async fn guests_on_the_host_are_named() {
    join_failed(&with_double("guests", "").await, "this host already contains virtual guests").await;
}

#[tokio::test]
async fn the_configuration_of_an_earlier_cluster_is_named() {
    let node = Node::start();
    std::fs::create_dir_all(node.path("etc/corosync")).unwrap();
    std::fs::write(node.path("etc/corosync/authkey"), "").unwrap();
    std::fs::write(node.path("etc/pve/corosync.conf"), "").unwrap();
    let life = Life::begin(node, Belief::default()).await;
    let said = "authentication key '/etc/corosync/authkey' already exists; cluster config '/etc/pve/corosync.conf' \
                already exists";
    join_failed(&life, said).await;
}

#[tokio::test]
async fn a_member_that_is_away_and_a_name_without_address_are_told() {
    let away = with_double("unreachable", "").await;
    join_failed(&away, "500 Can't connect to pve1.lab.example:8006 (No route to host)").await;
    let nameless = with_double("unresolvable", "").await;
    join_failed(&nameless, "hostname lookup 'pve-07' failed - failed to get address info").await;
}

#[tokio::test]
async fn a_cluster_without_quorum_is_waited_for() {
    let life = with_double("refusal", "cluster not ready - no quorum?").await;
    let said = life.postponed().await;
    assert!(said.contains("An error occurred on the cluster node: cluster not ready - no quorum?"), "{said}");
    assert_eq!(life.state().await.phase(), Phase::Joining);
    life.node.forget("refusal");
    life.becomes_ready().await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_with_what_to_do() {
    let life = with_double("refusal", "can't add existing node 'pve-07'").await;
    let why = life.fails().await;
    assert_eq!(why, FailureReason::NameTaken { node: "pve-07".to_owned() });
    assert!(why.advice().contains("pvecm delnode pve-07"));
}

#[tokio::test]
async fn any_other_refusal_of_the_cluster_is_told_as_it_was_said() {
    let life = with_double("refusal", "address '10.0.0.7' already used on link0 by node 'pve3'").await;
    let said = "An error occurred on the cluster node: address '10.0.0.7' already used on link0 by node 'pve3'";
    join_failed(&life, said).await;
}

#[tokio::test]
async fn a_host_that_stands_half_in_the_cluster_is_reported_with_the_clean_up_and_not_joined_again() {
    let life = with_double("dies", "unable to write '/etc/corosync/authkey.tmp.4711' - No space left on device").await;
    let why = life.fails().await;
    assert!(
        matches!(&why, FailureReason::HalfJoined { node, said }
        if node == "pve-07" && said.ends_with("No space left on device")),
        "{why:?}"
    );
    assert!(why.advice().contains("`pvecm delnode pve-07`") && why.advice().contains("`pvecm expected 1`"));
    assert_eq!(life.node.calls().len(), 1);
}

#[tokio::test]
async fn a_join_that_ends_early_inside_the_cluster_is_resumed_without_a_second_one() {
    let life = with_double("ends_early", "unable to generate pve certificate").await;
    let why = life.fails().await;
    assert_eq!(why, FailureReason::JoinUnfinished { said: "unable to generate pve certificate".to_owned() });
    life.orchestrator.resume(life.host).await.unwrap();
    life.becomes_ready().await;
    assert_eq!(life.node.calls().len(), 1, "a member is not joined again");
}

#[tokio::test]
async fn a_key_that_still_opens_the_host_fails_loudly_and_is_kept_out_of_the_inventory() {
    let node = Node::start();
    let life = Life::begin(node, Belief::default()).await;
    // A file that no revocation knows of: only the login shows it.
    life.node.tell_double("another_file", life.operation.public_key.as_str());
    let why = life.fails().await;
    assert_eq!(why, FailureReason::KeyStillOpens);
    assert!(why.advice().contains("remove the one-time key"));
    life.node.forget("another_file");
    life.orchestrator.resume(life.host).await.unwrap();
    life.becomes_ready().await;
}
