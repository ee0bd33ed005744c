//! A machine: firmware, installer, installed system. It does what a real one does, and knows nothing of phases.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::BootAnswer;
use provisioning_core::model::HostId;
use provisioning_core::orchestrator::{BootReply, Report};

use super::dice::Dice;
use super::fault::{Fault, Message};
use super::installer::{self, Installed};
use super::seat::{Seat, System};
use super::state::World;
use super::wire::{NoReply, send};
use crate::invariants::Deed;

/// How a boot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The machine starts again at once.
    Reboots,
    /// The power is gone for a moment.
    PowerCut,
    /// It stands: at a debug shell, without a system, or as a running host.
    Stands,
}

/// A machine in its seat.
pub(super) struct Machine {
    pub(super) world: Arc<World>,
    pub(super) number: usize,
    pub(super) dice: Dice,
    /// Messages of earlier operations that may still arrive.
    past: Vec<(Message, String)>,
}

/// Runs a machine for ever: off until somebody presses its button.
pub(crate) async fn run(world: Arc<World>, number: usize) {
    let dice = world.dice(100 + number as u64);
    let mut machine = Machine { world: Arc::clone(&world), number, dice, past: vec![] };
    let seat = &world.seats[number];
    seat.button.notified().await;
    loop {
        machine.power_off();
        let end = tokio::select! {
            biased;
            () = seat.button.notified() => continue,
            end = machine.boot() => end,
        };
        let pause = match end {
            End::Reboots => Duration::ZERO,
            End::PowerCut => machine.dice.seconds(5, 90),
            End::Stands => {
                seat.button.notified().await;
                continue;
            }
        };
        machine.power_off();
        tokio::time::sleep(pause).await;
    }
}

impl Machine {
    pub(super) fn seat(&self) -> &Seat {
        &self.world.seats[self.number]
    }

    pub(super) fn host(&self) -> Option<HostId> {
        self.seat().id()
    }

    fn power_off(&self) {
        let system = self.seat().state().system.clone();
        if let Some(system) = system
            && system.node.power().borrow().on
        {
            system.node.power_off();
        }
    }

    /// Something takes its time; in that time the power may go.
    pub(super) async fn takes(&mut self, from: u64, to: u64) -> Result<(), End> {
        let time = self.dice.seconds(from, to);
        if self.world.strikes(Some(self.seat()), Fault::PowerCut, Duration::ZERO) {
            tokio::time::sleep(time / 2).await;
            return Err(End::PowerCut);
        }
        tokio::time::sleep(time).await;
        Ok(())
    }

    async fn boot(&mut self) -> End {
        match self.netboot().await {
            Ok(end) | Err(end) => end,
        }
    }

    /// Network first, as every provisioned machine is set up.
    async fn netboot(&mut self) -> Result<End, End> {
        self.takes(10, 60).await?;
        let Some((text, answer)) = self.ask_for_script().await? else { return self.boot_from_disk().await };
        if answer != BootAnswer::Installer {
            return self.boot_from_disk().await;
        }
        if self.world.strikes(Some(self.seat()), Fault::BootLoop, Duration::ZERO) {
            for _ in 0..self.dice.below(4) {
                self.takes(5, 30).await?;
                self.ask_for_script().await?;
            }
            return Err(End::Reboots);
        }
        let Some(token) = token_in(&text) else { return Err(End::Stands) };
        self.install(&token).await
    }

    /// `None` when nobody answered and firmware goes on to the disk.
    async fn ask_for_script(&mut self) -> Result<Option<(String, BootAnswer)>, End> {
        let (mac, world) = (self.seat().mac, Arc::clone(&self.world));
        loop {
            let asked_after = world.record().last_seq();
            let ask = |server: Arc<dyn super::plant::Server>| async move { server.boot_script(mac).await };
            let reply = send(&world, self.seat(), Message::BootScript, None, Duration::from_secs(120), ask).await;
            let (text, answer) = match reply {
                Ok(BootReply::Wait(pause)) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                // iPXE tries again what was reset.
                Err(NoReply::Reset) => {
                    self.takes(2, 10).await?;
                    continue;
                }
                // Firmware that reaches nobody tries its disk; without a system it begins again.
                Err(NoReply::Silence) if self.seat().state().system.is_none() => {
                    self.takes(20, 60).await?;
                    continue;
                }
                Err(NoReply::Silence) => return Ok(None),
                Ok(BootReply::NextDevice) => (String::new(), BootAnswer::NextDevice),
                Ok(BootReply::Script(script)) => {
                    let text = script.expose().clone();
                    let answer = if text.contains("/vmlinuz") { BootAnswer::Installer } else { BootAnswer::LocalDisk };
                    (text, answer)
                }
            };
            if let Some(host) = self.host() {
                world.deed(Deed::BootAnswered { host, asked_after, answer });
            }
            return Ok(Some((text, answer)));
        }
    }

    async fn install(&mut self, token: &str) -> Result<End, End> {
        self.say_something_old().await;
        let (world, shown) = (Arc::clone(&self.world), token.to_owned());
        let fetch = |server: Arc<dyn super::plant::Server>| {
            let token = shown.clone();
            async move { server.download(&token).await }
        };
        let patience = Duration::from_secs(60);
        let got = send(&world, self.seat(), Message::Download, Some(token), patience, fetch).await;
        if got != Ok(true) {
            // The boot loader shows an error for a while and starts again.
            self.takes(30, 90).await?;
            return Err(End::Reboots);
        }
        let Installed { system, webhook } = installer::install(self, token).await?;
        self.seat().state().system = Some(system);
        let token = token.to_owned();
        self.past.push((Message::Webhook, token.clone()));
        self.past.push((Message::Answer, token.clone()));
        self.report(Report::Installed, &token, &webhook).await;
        self.takes(5, 20).await?;
        Ok(End::Reboots)
    }

    /// What an older operation said arrives only now.
    pub(super) async fn say_something_old(&mut self) {
        if self.past.is_empty() {
            return;
        }
        let pick = usize::try_from(self.dice.below(self.past.len() as u64)).unwrap_or(0);
        let (message, token) = self.past[pick].clone();
        if !self.world.strikes(Some(self.seat()), Fault::Late(message), Duration::ZERO) {
            return;
        }
        match message {
            Message::Webhook => {
                let key = installer::host_key(&mut self.dice);
                let body = installer::webhook_body(self.seat(), &key);
                self.report(Report::Installed, &token, &body).await;
            }
            Message::PhoneHome => {
                let key = installer::host_key(&mut self.dice);
                let body = installer::phone_home_body(self.seat(), &key);
                self.report(Report::PhoneHome, &token, &body).await;
            }
            // An installer that was left at its debug shell asks again, and would write the disk.
            _ => {
                if installer::ask(self, &token).await.is_some() {
                    installer::write_disk(self, &token);
                }
            }
        }
    }

    /// Whether the report was accepted.
    async fn report(&mut self, report: Report, token: &str, body: &str) -> Option<bool> {
        let host = self.host()?;
        let (shown, text) = (token.to_owned(), body.to_owned());
        let tell = |server: Arc<dyn super::plant::Server>| {
            let (token, body) = (shown.clone(), text.clone());
            async move { server.report(report, host, &token, body.as_bytes()).await }
        };
        let message = match report {
            Report::Installed => Message::Webhook,
            Report::PhoneHome => Message::PhoneHome,
        };
        send(&self.world, self.seat(), message, Some(token), Duration::from_secs(60), tell).await.ok()
    }

    async fn boot_from_disk(&mut self) -> Result<End, End> {
        let Some(system) = self.seat().state().system.clone() else { return Ok(End::Stands) };
        self.takes(20, 80).await?;
        system.node.power_on();
        if !system.has_phoned {
            self.phone_home(&system).await?;
        }
        // Long enough for a join; later the host just runs.
        for _ in 0..4 {
            self.takes(20, 60).await?;
        }
        Ok(End::Stands)
    }

    /// The first-boot script tries until it is heard, then deletes itself.
    async fn phone_home(&mut self, system: &System) -> Result<(), End> {
        let body = installer::phone_home_body(self.seat(), &system.host_key);
        for _ in 0..100 {
            self.takes(2, 10).await?;
            if let Some(accepted) = self.report(Report::PhoneHome, &system.token, &body).await {
                if accepted && let Some(system) = &mut self.seat().state().system {
                    system.has_phoned = true;
                }
                self.past.push((Message::PhoneHome, system.token.clone()));
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The token in a boot script's URLs.
fn token_in(script: &str) -> Option<String> {
    let (_, rest) = script.split_once("/boot/")?;
    Some(rest.split_once('/')?.0.to_owned())
}
