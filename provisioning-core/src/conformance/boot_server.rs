//! The suite of [`BootServer`].

use std::future::Future;

use super::rule::{Broken, Checked, refusal};
use super::sample::mac;
use crate::machine::BootAnswer;
use crate::ports::{BootEntry, BootPlan, BootServer};

/// What a boot server may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootServerCapabilities {
    /// It can fail to take a plan, and [`BootServerFixture::obstruct`] brings that about.
    pub can_fail: bool,
}

/// Makes the boot server that is checked, and sees what it says. Each rule has a fixture of its own.
pub trait BootServerFixture {
    /// The adapter.
    type Server: BootServer;
    /// A boot server that was never given a plan; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Server>;
    /// What firmware would be told now, in any order. Before the first plan: nothing.
    fn in_force(&self, server: &Self::Server) -> impl Future<Output = BootPlan>;
    /// From now on the server cannot take a plan: its disk is full, its daemon gone.
    fn obstruct(&self, server: &Self::Server) -> impl Future<Output = ()>;
    /// What the boot server can do.
    fn capabilities(&self) -> BootServerCapabilities {
        BootServerCapabilities { can_fail: true }
    }
}

/// Makes each rule of [`BootServer`](crate::ports::BootServer) a test; takes an expression that makes a
/// [`BootServerFixture`](crate::conformance::BootServerFixture).
#[macro_export]
macro_rules! boot_server_conformance {
    ($fixture:expr) => {
        $crate::__boot_server_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __boot_server_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { boot_server [
            applying_twice_is_the_same_as_once,
            a_plan_takes_the_whole_place_of_the_one_before,
            on_an_error_the_old_plan_stays,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__boot_server_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the boot server breaks. Call it outside of a
/// runtime.
pub fn broken_rules<F: BootServerFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__boot_server_rules! { __rules_broken (make().await) }
}

/// Also when the plan is empty.
pub async fn applying_twice_is_the_same_as_once(fixture: &impl BootServerFixture) -> Checked {
    let server = fixture.fresh().await;
    assert_eq!(in_force(fixture, &server).await, []);
    for plan in [plan(&[(1, BootAnswer::Installer), (2, BootAnswer::LocalDisk)])?, BootPlan::default()] {
        for _ in 0..2 {
            server.apply(&plan).await?;
            assert_eq!(in_force(fixture, &server).await, plan.entries);
        }
    }
    Ok(())
}

/// What the new plan does not name is unknown, and what it names is answered in its words.
pub async fn a_plan_takes_the_whole_place_of_the_one_before(fixture: &impl BootServerFixture) -> Checked {
    let server = fixture.fresh().await;
    let plans = [
        plan(&[(1, BootAnswer::Installer), (2, BootAnswer::LocalDisk)])?,
        plan(&[(2, BootAnswer::Installer), (3, BootAnswer::NextDevice)])?,
        plan(&[(2, BootAnswer::LocalDisk)])?,
        plan(&[])?,
        plan(&[(1, BootAnswer::NextDevice)])?,
    ];
    for plan in plans {
        server.apply(&plan).await?;
        assert_eq!(in_force(fixture, &server).await, plan.entries);
    }
    Ok(())
}

/// Whole, and not mixed with the new one. A boot server that cannot fail has nothing to show.
pub async fn on_an_error_the_old_plan_stays(fixture: &impl BootServerFixture) -> Checked {
    if !fixture.capabilities().can_fail {
        return Ok(());
    }
    let server = fixture.fresh().await;
    let old = plan(&[(1, BootAnswer::Installer), (2, BootAnswer::LocalDisk)])?;
    server.apply(&old).await?;
    fixture.obstruct(&server).await;
    for new in [plan(&[(1, BootAnswer::LocalDisk), (3, BootAnswer::Installer)])?, BootPlan::default()] {
        refusal(server.apply(&new).await);
        assert_eq!(in_force(fixture, &server).await, old.entries);
    }
    Ok(())
}

/// A plan for hosts by number, in the order of their addresses.
fn plan(answers: &[(u8, BootAnswer)]) -> Result<BootPlan, crate::ports::BoxError> {
    let mut entries = Vec::new();
    for (n, answer) in answers {
        let host = format!("pve-{n:03}").parse()?;
        entries.push(BootEntry { mac: mac(*n, 1)?, host, answer: *answer, address: None });
    }
    Ok(BootPlan { entries })
}

async fn in_force<F: BootServerFixture>(fixture: &F, server: &F::Server) -> Vec<BootEntry> {
    let mut entries = fixture.in_force(server).await.entries;
    entries.sort_by_key(|entry| entry.mac);
    entries
}
