//! A member of a cluster that exists in memory passes; broken on purpose, with one fault each, it does not.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use provisioning_core::conformance::{ClusterMemberFixture, cluster_member};
use provisioning_core::model::{CertFingerprint, Secret};
use provisioning_core::ports::{ClusterMember, ClusterMemberError, ClusterStatus};

use super::{assert_each_bites, names};

/// What is wrong with the way a member is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    RemembersTheFirstAnswer,
    TakesEveryNodeForOnline,
    InventsACluster,
    LooksAtNoCertificate,
    AsksBeforeItLooks,
    TriesRefusedCredentialsAgain,
    RepeatsThePassword,
    AddsALineEnd,
    TakesAnyPassword,
    GivesUpOnSilence,
}

/// Each fault, and all rules that it breaks.
const FAULTS: &[(Fault, &[&str])] = &[
    (Fault::RemembersTheFirstAnswer, &["the_cluster_is_told_as_the_member_sees_it"]),
    (Fault::TakesEveryNodeForOnline, &["the_cluster_is_told_as_the_member_sees_it"]),
    (Fault::InventsACluster, &["a_lone_member_has_no_cluster"]),
    (Fault::LooksAtNoCertificate, &["whoever_shows_another_certificate_learns_nothing"]),
    (Fault::AsksBeforeItLooks, &["whoever_shows_another_certificate_learns_nothing"]),
    (Fault::TriesRefusedCredentialsAgain, &["refused_credentials_are_never_tried_again"]),
    (Fault::RepeatsThePassword, &["refused_credentials_are_never_tried_again"]),
    (Fault::AddsALineEnd, &["a_ticket_is_what_the_member_gave"]),
    (Fault::TakesAnyPassword, &["a_ticket_is_what_the_member_gave"]),
    (Fault::GivesUpOnSilence, &["a_silent_member_is_tried_later"]),
];

provisioning_core::cluster_member_conformance!(Cluster::with(Fault::None));

#[test]
fn each_broken_member_fails_the_rules_that_it_breaks_and_no_other() {
    for (fault, expected) in FAULTS {
        let broken = cluster_member::broken_rules(async || Cluster::with(*fault));
        assert_eq!(names(&broken), *expected, "{fault:?}: {broken:#?}");
    }
}

#[test]
fn each_rule_of_the_cluster_member_bites() {
    assert_each_bites(cluster_member::RULES, &FAULTS.iter().map(|(_, rules)| *rules).collect::<Vec<_>>());
}

/// The member and, since nothing lies between, the adapter for it.
#[derive(Clone)]
struct Cluster {
    fault: Fault,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    status: ClusterStatus,
    first: Option<ClusterStatus>,
    requests: usize,
    is_foreign: bool,
    refuses: bool,
    is_silent: bool,
}

impl Cluster {
    fn with(fault: Fault) -> Self {
        Self { fault, state: Arc::default() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// Connects, and shows what it was given.
    fn ask(&self, password: Option<&str>) -> Result<MutexGuard<'_, State>, ClusterMemberError> {
        let mut state = self.state();
        let unavailable = || ClusterMemberError::Unavailable { said: "no answer in time".to_owned(), source: None };
        let refused = |said: &str| ClusterMemberError::Refused { said: said.to_owned() };
        if state.is_foreign && !self.is(Fault::LooksAtNoCertificate) {
            state.requests += usize::from(self.is(Fault::AsksBeforeItLooks));
            return Err(ClusterMemberError::Untrusted { shown: CertFingerprint::new([9; 32]) });
        }
        state.requests += 1;
        if state.is_silent {
            return Err(if self.is(Fault::GivesUpOnSilence) { refused("silence") } else { unavailable() });
        }
        if state.refuses {
            return Err(match password {
                _ if self.is(Fault::TriesRefusedCredentialsAgain) => unavailable(),
                Some(password) if self.is(Fault::RepeatsThePassword) => refused(password),
                _ => refused("401 authentication failure"),
            });
        }
        Ok(state)
    }
}

impl ClusterMemberFixture for Cluster {
    type Member = Self;

    async fn fresh(&self) -> Self {
        self.clone()
    }

    fn shows(&self, status: &ClusterStatus) {
        self.state().status = status.clone();
    }

    fn password(&self) -> Secret<String> {
        Secret::new("quiet otter".to_owned())
    }

    fn ticket(&self) -> String {
        "PVE:root@pam:6562::signature".to_owned()
    }

    fn change_certificate(&self) {
        self.state().is_foreign = true;
    }

    fn requests(&self) -> usize {
        self.state().requests
    }

    fn refuse_credentials(&self) {
        self.state().refuses = true;
    }

    fn fall_silent(&self) {
        self.state().is_silent = true;
    }
}

#[async_trait]
impl ClusterMember for Cluster {
    async fn status(&self) -> Result<Option<ClusterStatus>, ClusterMemberError> {
        let mut state = self.ask(None)?;
        let mut status = state.status.clone();
        if self.is(Fault::RemembersTheFirstAnswer) {
            status = state.first.get_or_insert(status).clone();
        }
        if self.is(Fault::TakesEveryNodeForOnline) {
            status.nodes.iter_mut().for_each(|node| node.online = true);
        }
        if self.is(Fault::InventsACluster) {
            status.name.get_or_insert("lab".to_owned());
        }
        Ok(Some(status))
    }

    async fn ticket(&self, password: &Secret<String>) -> Result<Secret<String>, ClusterMemberError> {
        let state = self.ask(Some(password.expose()))?;
        if *password != self.password() && !self.is(Fault::TakesAnyPassword) {
            return Err(ClusterMemberError::Refused { said: "401 authentication failure".to_owned() });
        }
        drop(state);
        let end = if self.is(Fault::AddsALineEnd) { "\n" } else { "" };
        Ok(Secret::new(format!("{}{end}", ClusterMemberFixture::ticket(self))))
    }
}
