//! The installer of a simulated machine: asks once, writes the disk, leaves a system behind.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::model::SshPublicKey;

use super::dice::Dice;
use super::fault::{Fault, Message};
use super::machine::{End, Machine};
use super::seat::{Seat, System};
use super::site;
use super::state::World;
use super::wire::{operation_of, send};
use crate::invariants::Deed;
use crate::real::node::{NodeSpec, SimNode};
use crate::real::pvecm::{JoinFault, Pace};

/// A finished installation.
pub(super) struct Installed {
    pub(super) system: System,
    /// The body of the report that is still to be sent.
    pub(super) webhook: String,
}

/// From the downloaded installer to a written disk. Any trouble leaves the machine at a debug shell.
pub(super) async fn install(machine: &mut Machine, token: &str) -> Result<Installed, End> {
    machine.takes(60, 300).await?;
    let Some(answer) = ask(machine, token).await else { return Err(End::Stands) };
    machine.takes(5, 30).await?;
    if !first_boot_script(machine, token).await {
        return Err(End::Stands);
    }
    write_disk(machine, token);
    machine.say_something_old().await;
    machine.takes(120, 900).await?;
    let host_key = host_key(&mut machine.dice);
    let operation = operation_of(token).ok_or(End::Stands)?;
    let webhook = webhook_body(machine.seat(), &host_key);
    let world = Arc::clone(&machine.world);
    let node = system_node(&world, &world.seats[machine.number], &answer, &mut machine.dice);
    let system = System { operation, token: token.to_owned(), host_key, node, has_phoned: false };
    Ok(Installed { system, webhook })
}

/// Asks for the answer file, once.
pub(super) async fn ask(machine: &mut Machine, token: &str) -> Option<String> {
    let body = format!(
        r#"{{"product":{{"product":"pve"}},"iso":{{"release":"9.2"}},"network_interfaces":[{{"link":"eno1","mac":"{}"}}]}}"#,
        machine.seat().mac
    );
    let shown = token.to_owned();
    let fetch = |server: Arc<dyn super::plant::Server>| {
        let (token, body) = (shown.clone(), body.clone());
        async move { server.answer(&token, body.as_bytes()).await }
    };
    let patience = Duration::from_secs(60);
    send(&machine.world, machine.seat(), Message::Answer, Some(token), patience, fetch).await.ok()?.ok()
}

/// What was on the disk is gone.
pub(super) fn write_disk(machine: &Machine, token: &str) {
    let old = {
        let mut state = machine.seat().state();
        (state.silent_until, state.foreign_until) = (Duration::ZERO, Duration::ZERO);
        state.system.take()
    };
    if let Some(old) = old {
        old.node.power_off();
    }
    if let (Some(host), Some(operation)) = (machine.host(), operation_of(token)) {
        machine.world.deed(Deed::DiskWritten { host, operation });
    }
}

async fn first_boot_script(machine: &mut Machine, token: &str) -> bool {
    let Some(host) = machine.host() else { return false };
    let shown = token.to_owned();
    let fetch = |server: Arc<dyn super::plant::Server>| {
        let token = shown.clone();
        async move { server.first_boot_script(host, &token).await }
    };
    let patience = Duration::from_secs(60);
    send(&machine.world, machine.seat(), Message::FirstBootScript, Some(token), patience, fetch).await == Ok(true)
}

/// A system as the answer wants it, with the mishaps that its join will have.
fn system_node(world: &World, seat: &Seat, answer: &str, dice: &mut Dice) -> SimNode {
    let keys = answer.split('"').filter(|word| word.starts_with("ssh-")).map(ToOwned::to_owned).collect();
    let step = dice.between(Duration::from_millis(500), Duration::from_millis(1_800));
    let node = SimNode::installed(NodeSpec {
        name: seat.name.clone(),
        ip: seat.address,
        root_ssh_keys: keys,
        network: Some(world.cluster.clone()),
        pace: Pace { step, ..Pace::default() },
    });
    let mishaps = [
        (Fault::JoinRefused, JoinFault::PasswordRefused),
        (Fault::JoinUnreachable, JoinFault::Unreachable),
        (Fault::JoinDies, JoinFault::DiesAfterAddition),
        (Fault::JoinHangs, JoinFault::HangsAtQuorum),
        (Fault::JoinKilled, JoinFault::Killed),
    ];
    let struck = mishaps.into_iter().filter(|(fault, _)| world.strikes(Some(seat), *fault, Duration::ZERO));
    node.plan_join_faults(struck.map(|(_, fault)| fault).collect::<Vec<_>>());
    if world.strikes(Some(seat), Fault::KeysComeBack, Duration::ZERO) {
        node.let_keys_come_back();
    }
    node
}

/// A new system's SSH host key.
pub(super) fn host_key(dice: &mut Dice) -> SshPublicKey {
    let mut bytes = [0; 32];
    dice.fill(&mut bytes);
    site::public_key(bytes)
}

pub(super) fn webhook_body(seat: &Seat, host_key: &SshPublicKey) -> String {
    let hardware = hardware_id(seat);
    format!(r#"{{"ssh-public-host-keys":{{"ed25519":"{host_key}"}},"dmi":{{"system":{{"uuid":"{hardware}"}}}}}}"#)
}

pub(super) fn phone_home_body(seat: &Seat, host_key: &SshPublicKey) -> String {
    let (hardware, ip) = (hardware_id(seat), seat.address);
    format!(r#"{{"ip":"{ip}","hardware_id":"{hardware}","ssh_host_keys":{{"ed25519":"{host_key}"}}}}"#)
}

fn hardware_id(seat: &Seat) -> String {
    format!("7b2f1c52-93d1-{:04}", seat.number)
}
