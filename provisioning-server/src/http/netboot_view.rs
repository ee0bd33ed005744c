//! Netbooting machines as JSON: discovered ones, and what the PXE doctor says. Field names are part of the API.

use provisioning_core::model::Timestamp;
use provisioning_core::netboot::DiscoveredMachine;
use provisioning_core::netboot::doctor::{Diagnosis, Step, reached};
use provisioning_core::ports::HostRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::schema::{PhaseName, Time};

/// A machine that was seen on the network and belongs to no host.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Machine)]
pub struct MachineView {
    /// Its address.
    pub mac: String,
    /// When it was seen first.
    #[schema(value_type = Time)]
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    #[schema(value_type = Time)]
    pub last_seen_at: Timestamp,
    /// How often, about.
    pub times_seen: u64,
    /// Its last known IP address.
    pub address: Option<String>,
    /// What it can boot, in words.
    pub arch: Option<String>,
    /// Whether iPXE was seen running on it.
    pub ipxe: bool,
    /// What its boot program calls itself.
    pub agent: Option<String>,
    /// The vendor's name for it.
    pub product: Option<String>,
    /// Its DMI UUID.
    pub uuid: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// The last step of its latest netboot.
    #[schema(value_type = Option<String>)]
    pub last_step: Option<Step>,
    /// The same in words.
    pub last_step_title: Option<&'static str>,
    /// Until when it is hidden.
    #[schema(value_type = Option<Time>)]
    pub dismissed_until: Option<Timestamp>,
}

impl MachineView {
    /// A discovered machine.
    pub fn new(machine: &DiscoveredMachine) -> Self {
        let last_step = reached(&machine.trail);
        Self {
            mac: machine.mac.to_string(),
            first_seen_at: machine.first_seen_at,
            last_seen_at: machine.last_seen_at,
            times_seen: machine.times_seen,
            address: machine.address.map(|address| address.to_string()),
            arch: machine.arch.map(|arch| arch.to_string()),
            ipxe: machine.ipxe,
            agent: machine.agent.clone(),
            product: machine.product.clone(),
            uuid: machine.uuid.clone(),
            serial: machine.serial.clone(),
            last_step,
            last_step_title: last_step.map(Step::title),
            dismissed_until: machine.dismissed_until,
        }
    }
}

/// What the PXE doctor says of a NIC, and whose it is.
#[derive(Clone, Debug, Serialize)]
pub struct DiagnosisView {
    /// The name of the host that the NIC belongs to.
    pub host: Option<String>,
    /// Its phase.
    pub phase: Option<&'static str>,
    /// What the doctor says.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
}

impl DiagnosisView {
    /// A diagnosis of a NIC of `host`, or of nobody's.
    pub fn new(diagnosis: Diagnosis, host: Option<&HostRecord>) -> Self {
        Self {
            host: host.map(|record| record.host.name.to_string()),
            phase: host.map(|record| record.state.phase().as_str()),
            diagnosis,
        }
    }
}

/// What the PXE doctor says of a NIC, and whose it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(super) struct DiagnosisSchema {
    /// The name of the host that the NIC belongs to.
    host: Option<String>,
    /// Its phase.
    #[schema(value_type = Option<PhaseName>)]
    phase: Option<String>,
    /// The NIC.
    mac: String,
    /// The finding's stable name.
    finding: String,
    /// How much it matters: `fine`, `waiting`, `attention` or `trouble`.
    severity: String,
    /// In one sentence: how far it came and what is the matter.
    summary: String,
    /// The last step of its latest netboot.
    reached: Option<String>,
    /// The step that is missing.
    missing: Option<String>,
    /// Why that is likely.
    likely_cause: Option<String>,
    /// What to do, the likeliest remedy first.
    advice: Vec<String>,
    /// What to put into the site's own DHCP server, where that is the remedy.
    snippet: Option<SnippetSchema>,
    /// What else is worth knowing, such as an outdated iPXE.
    notes: Vec<String>,
    /// When it was seen last.
    #[schema(value_type = Option<Time>)]
    last_seen_at: Option<String>,
    /// The steps of its latest netboot.
    steps: Vec<StepSeenSchema>,
}

/// Lines for the site's own DHCP server.
#[derive(Serialize, ToSchema)]
#[schema(as = Snippet)]
struct SnippetSchema {
    /// For which DHCP server they are written.
    server: String,
    /// The lines.
    lines: Vec<String>,
    /// The command that prints them for other DHCP servers.
    command: String,
}

/// A step of a netboot, and whether this machine took it.
#[derive(Serialize, ToSchema)]
#[schema(as = StepSeen)]
struct StepSeenSchema {
    /// Which.
    step: String,
    /// Its title.
    title: String,
    /// Whether it was taken: `done`, `skipped`, `next` or `ahead`.
    mark: String,
    /// When it was taken first in this netboot.
    #[schema(value_type = Option<Time>)]
    done_at: Option<String>,
    /// What else was seen of it.
    detail: Option<String>,
}
