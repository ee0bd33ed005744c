//! The suite of [`ClusterMember`].

use std::future::Future;

use super::rule::{Broken, Checked, refusal};
use crate::model::Secret;
use crate::ports::{ClusterMember, ClusterMemberError, ClusterNode, ClusterStatus, Retry};

/// Makes the adapter that is checked, and plays the member it talks to. Each rule has a fixture of its own.
pub trait ClusterMemberFixture {
    /// The adapter.
    type Member: ClusterMember;
    /// The adapter, with the member's certificate pinned and a token that the member takes; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Member>;
    /// From now on the member sees this cluster.
    fn shows(&self, status: &ClusterStatus);
    /// Root's password on the member.
    fn password(&self) -> Secret<String>;
    /// The ticket that the member gives for it.
    fn ticket(&self) -> String;
    /// From now on whoever answers shows another certificate.
    fn change_certificate(&self);
    /// How many requests have come to whoever answers: what was sent in them is no longer ours alone.
    fn requests(&self) -> usize;
    /// From now on the member takes neither the token nor the password.
    fn refuse_credentials(&self);
    /// From now on the member takes requests and never answers. The adapter shall have lost patience within a
    /// minute.
    fn fall_silent(&self);
}

/// Makes each rule of [`ClusterMember`](crate::ports::ClusterMember) a test; takes an expression that makes a
/// [`ClusterMemberFixture`](crate::conformance::ClusterMemberFixture).
#[macro_export]
macro_rules! cluster_member_conformance {
    ($fixture:expr) => {
        $crate::__cluster_member_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cluster_member_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { cluster_member [
            the_cluster_is_told_as_the_member_sees_it,
            a_lone_member_has_no_cluster,
            whoever_shows_another_certificate_learns_nothing,
            refused_credentials_are_never_tried_again,
            a_ticket_is_what_the_member_gave,
            a_silent_member_is_tried_later,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__cluster_member_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the adapter breaks. Call it outside of a runtime.
pub fn broken_rules<F: ClusterMemberFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__cluster_member_rules! { __rules_broken (make().await) }
}

/// In any order of nodes, and as it is at the time of the question.
pub async fn the_cluster_is_told_as_the_member_sees_it(fixture: &impl ClusterMemberFixture) -> Checked {
    let member = fixture.fresh().await;
    for (quorate, online) in [(true, true), (false, false), (true, false)] {
        let wanted = cluster(quorate, online)?;
        fixture.shows(&wanted);
        let mut told = member.status().await?.ok_or("a configured member is asked")?;
        told.nodes.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(told, wanted);
    }
    Ok(())
}

/// It knows itself, and nobody else.
pub async fn a_lone_member_has_no_cluster(fixture: &impl ClusterMemberFixture) -> Checked {
    let member = fixture.fresh().await;
    fixture.shows(&ClusterStatus { name: None, quorate: false, nodes: vec![node("pve1", "10.0.0.5", true)?] });
    let told = member.status().await?.ok_or("a configured member is asked")?;
    assert_eq!((told.name, told.quorate), (None, false));
    Ok(())
}

/// Neither by the status nor by the ticket.
pub async fn whoever_shows_another_certificate_learns_nothing(fixture: &impl ClusterMemberFixture) -> Checked {
    let member = fixture.fresh().await;
    fixture.change_certificate();
    let errors =
        [refusal(member.status().await), refusal(member.ticket(&fixture.password()).await.map(|_| "a ticket"))];
    for error in errors {
        assert!(matches!(error, ClusterMemberError::Untrusted { .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::Never);
    }
    assert_eq!(fixture.requests(), 0, "nothing was sent");
    Ok(())
}

/// And the password stands in no error.
pub async fn refused_credentials_are_never_tried_again(fixture: &impl ClusterMemberFixture) -> Checked {
    let member = fixture.fresh().await;
    fixture.refuse_credentials();
    let password = fixture.password();
    let errors = [refusal(member.status().await), refusal(member.ticket(&password).await.map(|_| "a ticket"))];
    for error in errors {
        assert!(matches!(error, ClusterMemberError::Refused { .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::Never);
        assert!(!format!("{error:?} {error}").contains(password.expose().as_str()));
    }
    Ok(())
}

/// Without a blank or a line end more, and not for a wrong password.
pub async fn a_ticket_is_what_the_member_gave(fixture: &impl ClusterMemberFixture) -> Checked {
    let member = fixture.fresh().await;
    let ticket = member.ticket(&fixture.password()).await?;
    assert!(*ticket.expose() == fixture.ticket(), "another ticket than the one that was given");
    let wrong = Secret::new("not the password & no=form".to_owned());
    let error = refusal(member.ticket(&wrong).await.map(|_| "a ticket"));
    assert!(matches!(error, ClusterMemberError::Refused { .. }), "{error:?}");
    Ok(())
}

/// When the adapter's own patience has ended.
pub async fn a_silent_member_is_tried_later(fixture: &impl ClusterMemberFixture) -> Checked {
    let member = fixture.fresh().await;
    fixture.fall_silent();
    assert_eq!(refusal(member.status().await).retry(), Retry::Later);
    let error = refusal(member.ticket(&fixture.password()).await.map(|_| "a ticket"));
    assert_eq!(error.retry(), Retry::Later);
    Ok(())
}

fn cluster(quorate: bool, online: bool) -> Result<ClusterStatus, crate::ports::BoxError> {
    let nodes = vec![node("pve1", "10.0.0.5", true)?, node("pve3", "10.0.0.7", online)?];
    Ok(ClusterStatus { name: Some("lab".to_owned()), quorate, nodes })
}

fn node(name: &str, ip: &str, online: bool) -> Result<ClusterNode, crate::ports::BoxError> {
    Ok(ClusterNode { name: name.to_owned(), online, ip: Some(ip.parse()?) })
}
