//! The operator of one host: registers it, presses its button, follows the advice of its failures.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::{FailureReason, HostState, Leg};
use provisioning_core::orchestrator::{NewHost, OperatorError, Orchestrator, Rebuild};
use provisioning_core::ports::StoreError;

use super::dice::Dice;
use super::fault::Fault;
use super::seat::Seat;
use super::site;
use super::state::World;
use crate::invariants::Deed;

/// How long a person waits before pressing the button again.
const IMPATIENCE: Duration = Duration::from_secs(20 * 60);

/// A person who looks after one machine.
struct Person {
    world: Arc<World>,
    number: usize,
    dice: Dice,
    /// How often the running operation was resumed.
    resumes: u32,
}

/// What the person did about a host that needs something.
enum Care {
    /// Something; look again.
    Went,
    /// Nothing is left to do.
    Content,
}

/// Looks after a machine until it is ready and nothing goes wrong any more.
pub(crate) async fn run(world: Arc<World>, number: usize) {
    let dice = world.dice(500_000 + number as u64);
    let mut person = Person { world, number, dice, resumes: 0 };
    person.register().await;
    loop {
        let seat = person.seat();
        let Some(state) = person.world.state(seat) else { return };
        match person.care(state).await {
            Care::Went => {}
            Care::Content => return,
        }
    }
}

impl Person {
    fn seat(&self) -> &Seat {
        &self.world.seats[self.number]
    }

    fn did(&self, did: &'static str) {
        if let Some(host) = self.seat().id() {
            self.world.deed(Deed::Person { host, did });
        }
    }

    /// Asks the process for something; a store that is busy is asked again by the next look.
    async fn ask<T, F>(&self, request: impl FnOnce(Arc<Orchestrator>) -> F) -> Option<Result<T, OperatorError>>
    where
        F: Future<Output = Result<T, OperatorError>>,
    {
        let life = self.world.process.life().await;
        life.call(request(Arc::clone(&life.orchestrator))).await.ok()
    }

    async fn register(&mut self) {
        loop {
            let seat = self.seat();
            let (name, macs) = (seat.name.clone(), vec![seat.mac]);
            let new = NewHost { name, macs, server_type: site::server_type(), address: None };
            let id = match self.ask(|o| async move { o.register(new).await }).await {
                Some(Ok(record)) => Some(record.host.id),
                // A request whose answer was lost had worked all the same.
                Some(Err(OperatorError::NameTaken { by, .. } | OperatorError::MacTaken { by, .. })) => Some(by),
                Some(Err(_)) | None => None,
            };
            if let Some(id) = id {
                self.seat().state().id = Some(id);
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn care(&mut self, state: HostState) -> Care {
        let heals = self.world.healing.is_thrown();
        match state {
            HostState::Ready { .. } if heals && self.seat().is_member() => return Care::Content,
            // A member that missed a change while it was without power does not come back by itself.
            HostState::Ready { .. } if heals => {
                let back = tokio::time::timeout(IMPATIENCE / 4, self.seat().row_bell.notified()).await;
                if back.is_err() && !self.seat().is_member() {
                    self.rebuild().await;
                }
            }
            HostState::Ready { .. } => {
                let while_ready = self.dice.seconds(90 * 60, 360 * 60);
                tokio::select! {
                    biased;
                    () = self.world.healing.thrown() => {}
                    () = tokio::time::sleep(while_ready) => self.rebuild().await,
                }
            }
            HostState::Registered => self.rebuild().await,
            HostState::Failed { during, why, resumable_until, .. } => {
                tokio::time::sleep(self.dice.seconds(20, 300)).await;
                self.mend(during, &why, resumable_until.is_some()).await;
            }
            HostState::Provisioning { leg, .. } => self.watch(leg).await,
        }
        Care::Went
    }

    /// Waits for news; loses patience with a machine that does nothing, and sometimes with all of it.
    async fn watch(&mut self, leg: Leg) {
        let cancels = !self.world.healing.is_thrown()
            && self.world.options.faults != super::fault::Level::None
            && self.dice.strikes(40);
        if cancels {
            tokio::time::sleep(self.dice.seconds(1, 120)).await;
            self.cancel().await;
            return;
        }
        let news = tokio::time::timeout(IMPATIENCE, self.seat().row_bell.notified()).await;
        if news.is_err() && leg == Leg::PxeReady {
            self.press();
        }
    }

    async fn cancel(&self) {
        let Some(host) = self.seat().id() else { return };
        self.world.deed(Deed::CancelAsked { host });
        self.ask(|o| async move { o.cancel(host).await }).await;
    }

    /// Whoever stands before a machine sees whether it is already at it, and then leaves it alone.
    fn press(&self) {
        let state = self.world.state(self.seat());
        if matches!(state, Some(HostState::Provisioning { leg: Leg::PxeReady, .. })) {
            self.did("pressed the power button");
            self.seat().button.notify_one();
        }
    }

    async fn mend(&mut self, during: Leg, why: &FailureReason, is_resumable: bool) {
        let first_try = self.resumes == 0;
        match why {
            FailureReason::NameTaken { .. } if is_resumable && first_try => {
                self.delete_node().await;
                self.resume().await;
            }
            FailureReason::JoinFailed { .. }
            | FailureReason::InventoryRefused { .. }
            | FailureReason::DeadlinePassed { .. }
                if is_resumable && first_try && matches!(during, Leg::Joining(_)) =>
            {
                self.resume().await;
            }
            _ => self.rebuild().await,
        }
    }

    async fn resume(&mut self) {
        let Some(host) = self.seat().id() else { return };
        self.resumes += 1;
        self.ask(|o| async move { o.resume(host).await }).await;
    }

    /// Removes an old life of the host from the cluster, then installs it anew.
    async fn rebuild(&mut self) {
        let is_listed = self.world.cluster.look(|state| state.members().contains_key(&self.seat().name));
        // Who was told what to do once does not forget it again.
        let forgets = is_listed
            && self.resumes == 0
            && self.world.strikes(Some(self.seat()), Fault::OldMembership, Duration::ZERO);
        if is_listed && !forgets {
            self.delete_node().await;
        }
        while !self.start().await {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        if forgets {
            // The operation is another since the dice fell.
            self.world.did(Some(self.seat()), Fault::OldMembership, Duration::ZERO);
        }
        self.resumes = 0;
        tokio::time::sleep(self.dice.seconds(5, 120)).await;
        self.press();
    }

    /// Asks for the rebuild; whether it runs now, whatever the answer was.
    async fn start(&self) -> bool {
        let Some(host) = self.seat().id() else { return true };
        let rebuild = Rebuild { confirm: Some(self.seat().name.to_string()), ..Rebuild::default() };
        let answer = self.ask(|o| async move { o.start(host, rebuild).await }).await;
        if self.world.state(self.seat()).is_some_and(|state| state.running().is_some()) {
            return true;
        }
        let passes = |error: &OperatorError| {
            matches!(
                error,
                OperatorError::Store(StoreError::Unavailable { .. })
                    | OperatorError::Vault(_)
                    | OperatorError::JoinMayRun { .. }
            )
        };
        if let Some(Err(error)) = answer.as_ref().filter(|answer| answer.as_ref().is_err_and(|error| !passes(error))) {
            self.world.breaks("an idle host can be rebuilt", error.to_string());
        }
        false
    }

    /// `pvecm delnode` on a member, when nobody joins: a change of the nodelist would shut that node out.
    async fn delete_node(&self) {
        let name = &self.seat().name;
        loop {
            let (is_listed, may) = self
                .world
                .cluster
                .look(|state| (state.members().contains_key(name), state.quorate() && state.joins_at_work() == 0));
            if !is_listed {
                return;
            }
            if may {
                self.did("ran pvecm delnode");
                self.world.cluster.delnode(name).ok();
                return;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}
