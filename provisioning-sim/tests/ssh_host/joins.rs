//! Joins that end well: output, membership, keys, and a run that needs nobody to watch it.

use std::time::Duration;

use provisioning_core::render::RemoteCommand;
use provisioning_sim::real::node::KeyFile;
use provisioning_sim::real::pvecm::Pace;

use crate::lab::{Host, PASSWORD, Refused, cluster, name, quick};

#[tokio::test]
async fn a_host_joins_is_a_member_and_forgets_the_key() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    let certificate = host.node.certificate();
    let (login, end) = host.join().await;
    assert_eq!(end.stdout.lines().next(), Some("ended 0"));
    assert_eq!(end.stdout.lines().last(), Some("successfully added node 'node9' to cluster."));
    assert_eq!(end.stderr, "");

    let view: serde_json::Value = serde_json::from_str(&login.run(&RemoteCommand::Members).await.stdout).unwrap();
    assert_eq!(view["cluster"], serde_json::json!({ "name": "lab", "version": 2, "nodes": 2, "quorate": 1 }));
    assert_eq!(view["nodelist"]["node9"], serde_json::json!({ "id": 2, "online": 1, "ip": "10.0.0.9" }));
    assert!(host.node.is_member());
    assert_ne!(host.node.certificate(), certificate);

    assert_eq!(host.node.files_with(&host.public_key()), [KeyFile::Root2], "the cluster's file replaced its own");
    assert!(host.log_in().await.is_ok(), "the foothold opens");
    assert_eq!(login.run(&host.revoke()).await.status, 0);
    assert_eq!(host.log_in().await.err(), Some(Refused::Key));
    assert!(!cluster.holds_key(&host.public_key()));
    assert!(cluster.now().authorized_keys().contains("root@node9"));
    assert_eq!(cluster.records().joins[&name("node9")], 1);
}

#[tokio::test]
async fn the_output_comes_in_the_order_of_the_real_one() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    let (_, end) = host.join().await;
    let expected = "ended 0
Establishing API connection with host '10.0.0.1'
Login succeeded.
check cluster join API version
No cluster network links passed explicitly, fallback to local node IP '10.0.0.9'
Request addition of this node
Join request OK, finishing setup locally
stopping pve-cluster service
backup old database to '/var/lib/pve-cluster/backup/config-1767225600.sql.gz'
waiting for quorum...OK
(re)generate node files
generate new node certificate
merge authorized SSH keys
generated new node certificate, restart pveproxy and pvedaemon services
successfully added node 'node9' to cluster.
";
    assert_eq!(end.stdout, expected);
}

#[tokio::test]
async fn without_a_foothold_the_key_no_longer_opens_after_the_join() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    let login = host.log_in().await.unwrap();
    login.run_with(&host.start_join(), &format!("{PASSWORD}\n")).await;
    host.follow_to_the_end(&login).await;
    assert!(host.node.is_member());
    assert_eq!(host.log_in().await.err(), Some(Refused::Key));
    assert_eq!(login.run(&RemoteCommand::Members).await.status, 0, "the login that was open goes on");
}

#[tokio::test]
async fn a_join_goes_on_when_the_connection_is_gone_and_is_not_started_twice() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), Pace { step: Duration::from_millis(20), ..Pace::default() }).await;
    let login = host.log_in().await.unwrap();
    login.run(&host.foothold()).await;
    login.run_with(&host.start_join(), &format!("{PASSWORD}\n")).await;
    drop(login);
    let login = host.log_in().await.unwrap();
    let again = login.run_with(&host.start_join(), &format!("{PASSWORD}\n")).await;
    assert_eq!((again.status, again.stdout.as_str()), (0, "already\n"));
    let end = host.follow_to_the_end(&login).await;
    assert!(end.stdout.starts_with("ended 0\n"));
    let records = cluster.records();
    assert_eq!((records.additions[&name("node9")], records.joins[&name("node9")]), (1, 1));
}

#[tokio::test]
async fn a_join_command_whose_input_ends_early_starts_nothing() {
    let cluster = cluster(1);
    let host = Host::start(9, Some(&cluster), quick()).await;
    let login = host.log_in().await.unwrap();
    let output = login.run_with(&host.start_join(), "a line without its end").await;
    assert_eq!((output.status, output.stdout.as_str()), (1, ""));
    assert_eq!(login.run(&host.follow()).await.stdout, "absent\n");
}

#[tokio::test]
async fn joins_one_after_another_never_overlap() {
    let cluster = cluster(1);
    for n in [11, 12, 13] {
        let host = Host::start(n, Some(&cluster), quick()).await;
        host.join().await;
        assert!(host.node.is_member());
    }
    let records = cluster.records();
    assert_eq!((records.max_overlap, records.shut_out.len()), (1, 0));
    assert_eq!(records.quorum_losses, 1, "only the lone founder's, for a moment");
    assert_eq!(cluster.now().members().len(), 4);
}

#[tokio::test]
async fn a_member_that_reboots_comes_back_as_a_member() {
    let cluster = cluster(3);
    let host = Host::start(9, Some(&cluster), quick()).await;
    host.join().await;
    host.node.reboot(Duration::from_millis(1)).await;
    let login = host.log_in_when_up().await;
    assert!(host.node.is_member());
    assert_eq!(login.run(&host.follow()).await.stdout, "absent\n", "/run is new");
}
