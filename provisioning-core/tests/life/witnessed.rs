//! Joins that an existing member of the cluster is asked about: before they begin, and before they count.

use provisioning_core::machine::{FailureReason, HostState, Phase};
use provisioning_core::model::{HostId, JoinSecret};
use provisioning_core::orchestrator::{JoinQueue, JoinWait, OperatorError, Rebuild};
use provisioning_core::ports::{ClusterMemberError, ClusterNode, ClusterStatus, Happening};

use crate::lab::Lab;

fn cluster(nodes: &[(&str, bool)]) -> ClusterStatus {
    let node = |(name, online): &(&str, bool)| ClusterNode { name: (*name).to_owned(), online: *online, ip: None };
    ClusterStatus { name: Some("lab".to_owned()), quorate: true, nodes: nodes.iter().map(node).collect() }
}

async fn lab_of(nodes: &[(&str, bool)]) -> Lab {
    let lab = Lab::new(true).await;
    lab.world.lock().expect("a world").witness = Some(cluster(nodes));
    lab
}

async fn why(lab: &Lab, host: HostId) -> FailureReason {
    lab.until(host, Phase::Failed).await;
    match lab.state(host).await {
        HostState::Failed { why, .. } => why,
        other => panic!("not failed: {other:?}"),
    }
}

/// Waits until the journal tells that work was put off, and why.
async fn postponed(lab: &Lab, host: HostId) -> String {
    let mut feed = lab.orchestrator.feed(0);
    loop {
        for what in lab.journal(host).await {
            if let Happening::WorkPostponed { error, .. } = what {
                return error;
            }
        }
        feed.next().await.expect("memory");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_sees_the_node_makes_it_ready() {
    let lab = lab_of(&[("pve1", true)]).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn the_nodes_own_word_is_not_enough() {
    let lab = lab_of(&[("pve1", true)]).await;
    lab.world.lock().expect("a world").witness_is_blind = true;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    let said = postponed(&lab, host).await;
    assert!(said.contains("but pve1.lab.example does not know it"), "{said}");
    assert_eq!(lab.phase(host).await, Phase::Joining);
    assert_eq!(lab.world.lock().expect("a world").started_joins.len(), 1, "it is not joined twice");
    lab.world.lock().expect("a world").witness = Some(cluster(&[("pve1", true), ("pve-07", true)]));
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_cluster_has_is_refused_before_any_machine_boots() {
    let lab = lab_of(&[("pve1", true), ("PVE-07", false)]).await;
    let host = lab.register(7).await;
    let refused = lab.orchestrator.start(host, Rebuild::default()).await;
    let Err(OperatorError::NotInstallable { faults }) = refused else { panic!("{refused:?}") };
    assert!(faults[0].contains("pvecm delnode pve-07") && faults[0].contains("offline"), "{faults:?}");
    assert_eq!(lab.phase(host).await, Phase::Registered);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_taken_meanwhile_is_refused_before_the_join_begins() {
    let lab = lab_of(&[("pve1", true)]).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.world.lock().expect("a world").witness = Some(cluster(&[("pve1", true), ("pve-07", true)]));
    lab.installs(host, 7, &token).await;
    assert_eq!(why(&lab, host).await, FailureReason::NameTaken { node: "pve-07".into() });
    assert!(lab.world.lock().expect("a world").started_joins.is_empty(), "nothing was touched");
    lab.world.lock().expect("a world").witness = Some(cluster(&[("pve1", true)]));
    lab.orchestrator.resume(host).await.expect("after pvecm delnode");
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_in_the_cluster_before_is_warned_of_and_can_be_rebuilt() {
    let lab = lab_of(&[("pve1", true)]).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    let preflight = lab.orchestrator.preflight(host, None).await.expect("a look");
    assert!(preflight.faults.is_empty(), "{:?}", preflight.faults);
    assert!(preflight.warnings.iter().any(|warning| warning.contains("pvecm delnode pve-07")));
}

#[tokio::test(start_paused = true)]
async fn nobody_joins_a_cluster_without_quorum_or_before_the_last_one_is_online() {
    let lab = lab_of(&[("pve1", true)]).await;
    let first = lab.register(6).await;
    let token = lab.rebuild(first).await;
    lab.installs(first, 6, &token).await;
    lab.until(first, Phase::Ready).await;

    lab.world.lock().expect("a world").witness = Some(cluster(&[("pve1", true), ("pve-06", false)]));
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    let said = postponed(&lab, host).await;
    assert!(said.contains("pve-06, which joined before, is not online"), "{said}");
    let queue = lab.orchestrator.join_queue().await.expect("memory");
    assert_eq!(queue.holder.and_then(|turn| turn.trouble), Some(said));
    assert_eq!(lab.world.lock().expect("a world").started_joins, ["pve-06"]);

    let no_quorum = ClusterStatus { quorate: false, ..cluster(&[("pve1", true), ("pve-06", true)]) };
    lab.world.lock().expect("a world").witness = Some(no_quorum);
    let third = lab.register(8).await;
    let warned = lab.orchestrator.preflight(third, None).await.expect("a look").warnings;
    assert!(warned.iter().any(|warning| warning.contains("no quorum")), "{warned:?}");
    tokio::time::advance(std::time::Duration::from_secs(120)).await;
    assert_eq!(lab.world.lock().expect("a world").started_joins, ["pve-06"]);
    lab.world.lock().expect("a world").witness = Some(cluster(&[("pve1", true), ("pve-06", true)]));
    lab.until(host, Phase::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_cannot_be_trusted_ends_the_join_before_it_begins() {
    let lab = lab_of(&[("pve1", true)]).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.world.lock().expect("a world").witness_fails =
        Some(|| ClusterMemberError::Refused { said: "401 invalid token".into() });
    lab.installs(host, 7, &token).await;
    let why = why(&lab, host).await;
    assert!(matches!(&why, FailureReason::NoWitness { said } if said.contains("401 invalid token")), "{why:?}");
    assert!(lab.world.lock().expect("a world").started_joins.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_with_another_certificate_is_a_fault_and_a_silent_one_a_warning() {
    let lab = lab_of(&[]).await;
    let host = lab.register(7).await;
    let look = async || lab.orchestrator.preflight(host, None).await.expect("a look");
    lab.world.lock().expect("a world").witness_fails =
        Some(|| ClusterMemberError::Untrusted { shown: provisioning_core::model::CertFingerprint::new([9; 32]) });
    assert!(look().await.faults[0].contains("09:09:09"), "{:?}", look().await.faults);
    lab.world.lock().expect("a world").witness_fails =
        Some(|| ClusterMemberError::Unavailable { said: "no answer in time".into(), source: None });
    let preflight = look().await;
    assert!(preflight.faults.is_empty());
    assert!(preflight.warnings.iter().any(|warning| warning.contains("no answer in time")));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_goes_to_the_host_in_place_of_the_password() {
    let lab = Lab::handing_over(true, JoinSecret::Ticket).await;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    lab.until(host, Phase::Ready).await;
    assert_eq!(lab.world.lock().expect("a world").secrets_seen, ["a ticket for 22 bytes\n"]);
    let journal = format!("{:?}", lab.journal(host).await);
    assert!(!journal.contains("a ticket for"));
}

#[tokio::test(start_paused = true)]
async fn a_join_that_ends_early_in_the_cluster_is_looked_at_by_a_person_and_then_resumed() {
    let lab = lab_of(&[("pve1", true)]).await;
    lab.world.lock().expect("a world").join_ends_early = true;
    let host = lab.register(7).await;
    let token = lab.rebuild(host).await;
    lab.installs(host, 7, &token).await;
    let why = why(&lab, host).await;
    assert!(matches!(why, FailureReason::JoinUnfinished { .. }), "{why:?}");
    assert!(why.advice().contains("pvecm updatecerts"));
    lab.orchestrator.resume(host).await.expect("it can be resumed");
    lab.until(host, Phase::Ready).await;
    assert_eq!(lab.world.lock().expect("a world").started_joins.len(), 1, "a member is not joined again");
}

#[tokio::test(start_paused = true)]
async fn the_queue_tells_who_waits_for_whom() {
    let lab = lab_of(&[("pve1", true)]).await;
    let mut hosts = vec![];
    for n in 1..=3 {
        let host = lab.register(n).await;
        let token = lab.rebuild(host).await;
        lab.installs(host, n, &token).await;
        hosts.push(host);
    }
    let mut feed = lab.orchestrator.feed(0);
    let queue = loop {
        let queue = lab.orchestrator.join_queue().await.expect("memory");
        if queue.waiting.len() == 2 {
            break queue;
        }
        feed.next().await.expect("memory");
    };
    let holder = queue.holder.clone().expect("one joins");
    let waiting: Vec<_> = queue.waiting.iter().map(|place| (place.position, place.why.clone())).collect();
    let behind = |name| JoinWait::Behind { name };
    assert_eq!(waiting, [(1, behind(holder.name)), (2, behind(queue.waiting[0].name.clone()))]);
    assert_eq!(queue.place_of(queue.waiting[1].host), Some(&queue.waiting[1]));
    assert_eq!(queue.place_of(holder.host), None);
    for host in hosts {
        lab.until(host, Phase::Ready).await;
    }
    assert_eq!(lab.orchestrator.join_queue().await.expect("memory"), JoinQueue::default());
}
