//! Joins that fail, hang, half succeed, overlap or leak, and what cures them.

use std::time::Duration;

use provisioning_core::model::CertFingerprint;
use provisioning_core::render::RemoteCommand;
use provisioning_sim::real::node::KeyFile;
use provisioning_sim::real::pvecm::{JoinFault, Pace};

use crate::lab::{Host, Output, PASSWORD, cluster, name, quick};

/// A join that fails says so only in its last line of standard error.
#[track_caller]
fn check_failed(end: &Output, status: u32, last_line: &str) {
    assert_eq!(end.stdout.lines().next(), Some(format!("ended {status}").as_str()), "{end:?}");
    assert_eq!(end.stderr.lines().last(), Some(last_line));
    assert!(!end.stdout.contains("successfully"));
}

#[tokio::test]
async fn a_wrong_password_fails_with_exit_status_0() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    let (login, end) = host.join_with("a guess").await;
    check_failed(&end, 0, "401 authentication failure");
    assert_eq!(cluster.now().members().len(), 1);
    assert!(login.run(&RemoteCommand::Members).await.stdout.contains("node9"), "still standalone");
}

#[tokio::test]
async fn a_wrong_fingerprint_fails_before_the_password_is_shown() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    let login = host.log_in().await.unwrap();
    let RemoteCommand::StartJoin { operation, member, .. } = host.start_join() else { unreachable!() };
    let other = RemoteCommand::StartJoin { operation, member, fingerprint: CertFingerprint::new([8; 32]) };
    login.run_with(&other, "a guess\n").await;
    let end = host.follow_to_the_end(&login).await;
    let shown = CertFingerprint::new([1; 32]);
    check_failed(&end, 0, &format!("fingerprint '{shown}' not verified, abort!"));
}

#[tokio::test]
async fn each_run_takes_the_next_fault_and_a_cleared_join_can_be_started_again() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    host.node.plan_join_faults([JoinFault::Unreachable, JoinFault::OwnNameUnresolvable, JoinFault::Killed]);
    let (login, end) = host.join().await;
    check_failed(&end, 0, "500 Can't connect to 10.0.0.1:8006 (No route to host)");

    login.run(&host.clear()).await;
    let (_, end) = host.join().await;
    check_failed(&end, 255, "hostname lookup 'node9' failed - failed to get address info");

    login.run(&host.clear()).await;
    let (_, end) = host.join().await;
    assert!(end.stdout.starts_with("lost\n"));

    host.node.reboot(Duration::from_millis(1)).await;
    host.log_in_when_up().await;
    let (_, end) = host.join().await;
    assert!(end.stdout.ends_with("successfully added node 'node9' to cluster.\n"));
    assert_eq!(cluster.records().max_overlap, 1);
}

#[tokio::test]
async fn guests_and_an_old_configuration_are_named() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    host.node.make_guest();
    host.node.leave_cluster_config();
    let (_, end) = host.join().await;
    check_failed(&end, 0, "Check if node may join a cluster failed!");
    for what in ["virtual guests", "/etc/corosync/authkey", "/etc/pve/corosync.conf"] {
        assert!(end.stderr.contains(what), "{what}");
    }
}

#[tokio::test]
async fn a_half_joined_node_stays_in_the_nodelist_until_delnode() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    host.node.plan_join_faults([JoinFault::DiesAfterAddition]);
    let (login, end) = host.join().await;
    assert!(end.stdout.starts_with("ended 0\n") && end.stderr.contains("No space left"));
    assert!(!host.node.is_member() && cluster.now().members().contains_key(&name("node9")));
    assert!(!cluster.now().quorate());

    login.run(&host.clear()).await;
    let (_, end) = host.join().await;
    assert!(end.stderr.contains("cluster not ready - no quorum?"));
    check_failed(&end, 0, "Cluster join aborted!");

    cluster.expect_one_vote();
    login.run(&host.clear()).await;
    let (_, end) = host.join().await;
    assert!(end.stderr.contains("can't add existing node 'node9'"));

    cluster.delnode(&name("node9")).unwrap();
    login.run(&host.clear()).await;
    let (_, end) = host.join().await;
    assert!(end.stdout.ends_with("successfully added node 'node9' to cluster.\n"), "{end:?}");
    assert!(host.node.is_member());
}

#[tokio::test]
async fn the_first_of_two_overlapping_joins_waits_for_quorum_until_it_is_ended() {
    let cluster = cluster(3);
    // Slow enough that the second addition falls between the first one's and its corosync's start.
    let slow = Pace { step: Duration::from_millis(200), time_limit: Duration::from_millis(1700) };
    let first = Host::start(11, Some(&cluster), slow).await;
    let second = Host::start(12, Some(&cluster), quick()).await;
    let login = first.log_in().await.unwrap();
    login.run(&first.foothold()).await;
    login.run_with(&first.start_join(), &format!("{PASSWORD}\n")).await;
    cluster.until(|state| state.members().contains_key(first.node.name())).await;
    second.join().await;
    assert!(second.node.is_member());

    let end = first.follow_to_the_end(&login).await;
    assert!(end.stdout.starts_with("ended 124\n") && end.stdout.ends_with("waiting for quorum..."), "{end:?}");
    assert!(!first.node.is_member());
    assert!(first.log_in().await.is_ok(), "by the foothold; the cluster's keys never came");
    let records = cluster.records();
    assert_eq!((records.max_overlap, records.shut_out), (2, vec![name("node11")]));
    assert_eq!(records.joins.keys().collect::<Vec<_>>(), [&name("node12")]);
}

#[tokio::test]
async fn a_join_that_hangs_shows_no_quorum_and_is_ended_by_its_limit() {
    let cluster = cluster(3);
    let pace = Pace { time_limit: Duration::from_millis(200), ..quick() };
    let host = Host::start(9, Some(&cluster), pace).await;
    host.node.plan_join_faults([JoinFault::HangsAtQuorum]);
    let (login, end) = host.join().await;
    assert!(end.stdout.starts_with("ended 124\n"));
    let view: serde_json::Value = serde_json::from_str(&login.run(&RemoteCommand::Members).await.stdout).unwrap();
    assert_eq!((&view["cluster"]["quorate"], &view["nodelist"]["node9"]["online"]), (&0.into(), &0.into()));
}

#[tokio::test]
async fn a_power_cut_during_the_join_leaves_a_dead_member() {
    let cluster = cluster(3);
    let host = Host::start(9, Some(&cluster), Pace { step: Duration::from_millis(100), ..Pace::default() }).await;
    let login = host.log_in().await.unwrap();
    login.run_with(&host.start_join(), &format!("{PASSWORD}\n")).await;
    cluster.until(|state| state.members().contains_key(host.node.name())).await;
    host.node.reboot(Duration::from_millis(1)).await;
    let login = host.log_in_when_up().await;
    assert_eq!(login.run(&host.follow()).await.stdout, "absent\n");
    assert!(!host.node.is_member() && cluster.now().members().contains_key(&name("node9")));
    assert_eq!(cluster.records().joins.len(), 0);
}

#[tokio::test]
async fn a_key_in_the_symlinks_place_leaks_to_the_cluster_and_is_revoked_everywhere() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    host.node.replace_keys_symlink();
    let (login, end) = host.join().await;
    assert!(end.stdout.contains("successfully"));
    assert!(cluster.holds_key(&host.public_key()), "the leak");
    assert_eq!(login.run(&host.revoke()).await.status, 0);
    assert!(!cluster.holds_key(&host.public_key()));
    assert_eq!(host.node.files_with(&host.public_key()), []);
}

#[tokio::test]
async fn a_key_that_cannot_be_removed_is_reported() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    host.node.replace_keys_symlink();
    let (login, _) = host.join().await;
    cluster.power_off(&name("pve1"));
    let read_only = login.run(&host.revoke()).await;
    assert_eq!(read_only.status, 2, "without quorum /etc/pve is read-only");
    assert!(read_only.stderr.contains(KeyFile::ClusterWide.path()));

    assert!(cluster.power_on(&name("pve1")));
    host.node.let_keys_come_back();
    let stubborn = login.run(&host.revoke()).await;
    assert_eq!(stubborn.status, 3);
    assert_eq!(stubborn.stderr, "/etc/pve/priv/authorized_keys still holds the key\n");
}
