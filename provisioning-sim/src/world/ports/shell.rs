//! Root's shell on the simulated machines, without a socket.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::model::{Secret, SshPublicKey};
use provisioning_core::ports::{Command, KeyPair, Output, RemoteShell, Shell, ShellError, Target};
use provisioning_core::render::RemoteCommand;
use sha2::{Digest as _, Sha256};

use super::gate::Gate;
use crate::invariants::Deed;
use crate::real::local_shell::{Greeting, LocalShell};
use crate::world::fault::Fault;
use crate::world::seat::Seat;
use crate::world::site::{self, PRIVATE_KEY};
use crate::world::state::lock;

/// What a login and a command take on the wire.
const ROUND_TRIP: Duration = Duration::from_millis(120);

/// Opens shells on the machines in the world's seats.
pub(super) struct WorldShells(pub(super) Gate);

#[async_trait]
impl RemoteShell for WorldShells {
    fn key_pair(&self, seed: &Secret<[u8; 32]>) -> KeyPair {
        let [high, low] = [0, 16].map(|from| {
            let half: [u8; 16] = std::array::from_fn(|index| seed.expose()[from + index]);
            u128::from_be_bytes(half)
        });
        let private = format!("{PRIVATE_KEY}{high:032x}{low:032x}");
        KeyPair { public: public_half(&private), private: Secret::new(private) }
    }

    async fn open(&self, target: &Target, key: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        self.0.point().await;
        tokio::time::sleep(ROUND_TRIP).await;
        let greeting = self.knock(target, key);
        self.0.point().await;
        Ok(Box::new(greeting?))
    }
}

impl WorldShells {
    fn knock(&self, target: &Target, key: &Secret<String>) -> Result<WorldShell, ShellError> {
        let (world, address) = (&self.0.world, target.address);
        let silence = || ShellError::Unreachable { address, source: None };
        let (number, seat) =
            world.seats.iter().enumerate().find(|(_, seat)| seat.address == address).ok_or_else(silence)?;
        let lasts = world.draw_seconds(30, 25 * 60);
        if world.strikes(Some(seat), Fault::SshOutage, lasts) {
            seat.state().silent_until = world.clock.elapsed() + lasts;
        }
        if world.strikes(Some(seat), Fault::ForeignHostKey, lasts) {
            seat.state().foreign_until = world.clock.elapsed() + lasts;
        }
        let state = lock(&seat.state);
        let now = world.clock.elapsed();
        let system = state.system.as_ref().filter(|_| now >= state.silent_until).ok_or_else(silence)?;
        if now < state.foreign_until || !target.host_keys.contains(&system.host_key) {
            return Err(ShellError::HostKeyMismatch { address });
        }
        match system.node.log_in(&public_half(key.expose())) {
            Greeting::Silence => Err(silence()),
            Greeting::Refusal => Err(ShellError::KeyRefused { address }),
            Greeting::Welcome(login) => {
                Ok(WorldShell { gate: self.0.clone(), number, address, login, latest: Mutex::default() })
            }
        }
    }
}

/// The public half follows from the private one, so that only its owner logs in.
fn public_half(private: &str) -> SshPublicKey {
    site::public_key(Sha256::digest(private.as_bytes()).into())
}

/// A login on a machine.
struct WorldShell {
    gate: Gate,
    number: usize,
    address: IpAddr,
    login: LocalShell,
    /// The last line and what it means: a join is followed by the same one every second.
    latest: Mutex<Option<(String, RemoteCommand)>>,
}

impl WorldShell {
    fn seat(&self) -> &Seat {
        &self.gate.world.seats[self.number]
    }

    fn understand(&self, line: &str) -> Option<RemoteCommand> {
        let mut latest = lock(&self.latest);
        if let Some((_, known)) = latest.as_ref().filter(|(same, _)| same == line) {
            return Some(known.clone());
        }
        let known = RemoteCommand::from_line(line)?;
        *latest = Some((line.to_owned(), known.clone()));
        Some(known)
    }

    /// Whether the connection is gone.
    fn is_cut(&self) -> bool {
        let (state, now) = (self.seat().state(), self.gate.world.clock.elapsed());
        now < state.silent_until || state.system.is_none()
    }

    fn note_start(&self, command: &RemoteCommand, stdout: &str) {
        let (RemoteCommand::StartJoin { operation, .. }, "started\n") = (command, stdout) else { return };
        let Some(host) = self.seat().id() else { return };
        let quorate = self.gate.world.cluster.look(crate::real::cluster::ClusterState::quorate);
        self.gate.world.deed(Deed::JoinStarted { host, operation: *operation, quorate });
    }
}

#[async_trait]
impl Shell for WorldShell {
    async fn run(&self, command: &Command) -> Result<Output, ShellError> {
        self.gate.point().await;
        tokio::time::sleep(ROUND_TRIP).await;
        let lost = || ShellError::Disconnected { source: None };
        if self.is_cut() {
            return Err(lost());
        }
        let Some(known) = self.understand(&command.line) else {
            let what = format!("{} was asked to run a command that no host of ours knows", self.address);
            self.gate.world.breaks("only known commands run on hosts", what);
            return Err(lost());
        };
        let left = self.login.run(known.clone(), command.stdin.as_ref());
        if let Some((_, stdout, _)) = &left {
            self.note_start(&known, stdout);
        }
        self.gate.point().await;
        let cut = self.gate.world.strikes(Some(self.seat()), Fault::SshCut, Duration::ZERO);
        match left {
            Some((status, stdout, stderr)) if !cut => Ok(Output { status, stdout, stderr }),
            _ => Err(lost()),
        }
    }

    async fn close(self: Box<Self>) {
        self.gate.point().await;
    }
}
