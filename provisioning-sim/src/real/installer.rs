//! The automated installer of a simulated machine: fetches its answer, writes the disks, reports, reboots.
//!
//! Each exchange is tried once. What goes wrong ends in a debug shell, as it does on a real machine
//! (`reference/fetch-answer.md`, `reference/post-hook.md`, `reference/first-boot.md`).

mod bodies;
mod live;
mod requests;
mod target;

use provisioning_core::model::Release;

use super::answer::{self, AnswerFormat, FirstBootSource, FqdnPlan, InstallPlan, RebootMode};
use super::host::{Hardware, HostEvent, SshHostKeys};
use super::http::{Http, Reply, Request};
pub use bodies::{answer_request_body, webhook_body};
pub use live::{LiveError, LiveImage, LiveSystem, Mode};
pub use requests::{answer_request, first_boot_request, webhook_request};
pub use target::{Target, settle};

/// A first-boot script is cut to this length, silently (`reference/first-boot.md`, Source).
pub const FIRST_BOOT_MAX: usize = 1 << 20;

/// How an installation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The machine starts again.
    Reboot,
    /// The machine is switched off, as the answer wished.
    PowerOff,
    /// It failed, and `reboot-on-error` starts the machine again after half a minute.
    RebootOnError {
        /// What failed.
        why: String,
    },
    /// It failed; the machine waits at a debug shell until a person types `exit`.
    DebugShell {
        /// What failed.
        why: String,
    },
}

/// What the installer needs of the machine that it runs on.
pub trait Machine: Send {
    /// What the machine is made of.
    fn hardware(&self) -> &Hardware;
    /// Its network.
    fn http(&self) -> &Http;
    /// How long the installer waits for one exchange; really 60 s.
    fn http_timeout(&self) -> std::time::Duration;
    /// Tells those who watch.
    fn tell(&self, event: HostEvent);
    /// Lets so many of the machine's seconds pass.
    fn pass(&mut self, seconds: u32) -> impl Future<Output = ()> + Send;
    /// Wipes the disks; whatever system was there is gone.
    fn wipe(&mut self);
    /// Puts the new system on the disks and returns its SSH host keys.
    fn install(&mut self, system: NewSystem) -> SshHostKeys;
}

/// What was put on the disks.
#[derive(Clone, Debug)]
pub struct NewSystem {
    /// Name, disks, address.
    pub target: Target,
    /// Lines of root's authorized_keys.
    pub root_ssh_keys: Vec<String>,
    /// The script that runs at the first boot.
    pub first_boot: Option<Vec<u8>>,
}

/// Runs the automated installation to its end.
pub async fn run(live: &LiveSystem, machine: &mut impl Machine) -> Ending {
    // DHCP on every NIC, router solicitation, time, hardware dump.
    machine.pass(9).await;
    match prepare(live, machine).await {
        Err(why) => Ending::DebugShell { why },
        Ok(prepared) => write(live, machine, prepared).await,
    }
}

struct Prepared {
    plan: InstallPlan,
    first_boot: Option<Vec<u8>>,
}

/// All that comes before `reboot-on-error` takes effect: the answer, and the first-boot script.
async fn prepare(live: &LiveSystem, machine: &mut impl Machine) -> Result<Prepared, String> {
    let request = answer_request(live, machine.hardware(), machine.http_timeout());
    machine.tell(HostEvent::AnswerAsked { url: request.url.clone() });
    let reply = sent(machine, &request).await?;
    let format = answer_format(&reply, live.release)?;
    let plan = answer::judge(&reply.body, format, live.release).map_err(|e| format!("the answer is refused: {e}"))?;
    machine.tell(HostEvent::AnswerAccepted { fqdn: fqdn_text(&plan.fqdn) });
    let first_boot = match plan.first_boot.as_ref().map(|first_boot| &first_boot.source) {
        None => None,
        Some(FirstBootSource::Iso) => {
            Some(live.first_boot.clone().ok_or("the answer wants /proxmox-first-boot, which the ISO does not have")?)
        }
        Some(FirstBootSource::Url { url, fingerprint }) => {
            let request = first_boot_request(url, fingerprint.as_deref(), live.release, machine.http_timeout());
            let mut reply = sent(machine, &request).await?;
            if !(200..300).contains(&reply.status) {
                return Err(format!("the first-boot script: {url} said {}", reply.status));
            }
            reply.body.truncate(FIRST_BOOT_MAX);
            machine.tell(HostEvent::FirstBootScriptFetched { bytes: reply.body.len() });
            Some(reply.body)
        }
    };
    Ok(Prepared { plan, first_boot })
}

/// From the first write to the reboot.
async fn write(live: &LiveSystem, machine: &mut impl Machine, prepared: Prepared) -> Ending {
    let Prepared { plan, first_boot } = prepared;
    let target = match settle(&plan, machine.hardware()) {
        Ok(target) => target,
        Err(why) => return failed(&plan, why),
    };
    machine.wipe();
    machine.tell(HostEvent::WritingDisks { disks: target.disks.clone() });
    machine.pass(40).await;
    let new = NewSystem { target: target.clone(), root_ssh_keys: plan.root_ssh_keys.clone(), first_boot };
    let keys = machine.install(new);
    machine.tell(HostEvent::Installed { fqdn: target.fqdn.clone() });
    if let Some(webhook) = &plan.webhook {
        let body = webhook_body(live, machine.hardware(), &plan, &target, &keys);
        let request = webhook_request(webhook, body, machine.http_timeout());
        match sent(machine, &request).await {
            Ok(reply) if reports_success(reply.status, live.release) => machine.tell(HostEvent::WebhookAccepted),
            Ok(reply) => return failed(&plan, format!("the webhook: {} said {}", webhook.url, reply.status)),
            Err(why) => return failed(&plan, format!("the webhook: {why}")),
        }
    }
    // sync, kill processes, sleeps.
    machine.pass(6).await;
    if plan.reboot_mode == RebootMode::PowerOff { Ending::PowerOff } else { Ending::Reboot }
}

fn failed(plan: &InstallPlan, why: String) -> Ending {
    if plan.reboot_on_error { Ending::RebootOnError { why } } else { Ending::DebugShell { why } }
}

async fn sent(machine: &impl Machine, request: &Request) -> Result<Reply, String> {
    machine.http().send(request).await.map_err(|e| e.with_causes())
}

/// How the fetch tool of a release reads a reply (`reference/fetch-answer.md`, The response).
fn answer_format(reply: &Reply, release: Release) -> Result<AnswerFormat, String> {
    if !reports_success(reply.status, release) {
        let said: String = String::from_utf8_lossy(&reply.body).chars().take(200).collect();
        return Err(format!("the answer: the server said {} {said}", reply.status));
    }
    let is_json = reply.content_type.as_deref().is_some_and(|kind| kind.starts_with("application/json"));
    if is_json && release >= Release::new(9, 2) { Ok(AnswerFormat::Json) } else { Ok(AnswerFormat::Toml) }
}

/// From 9.2 on 200 and 201 alone; any 2xx before.
fn reports_success(status: u16, release: Release) -> bool {
    if release >= Release::new(9, 2) { matches!(status, 200 | 201) } else { (200..300).contains(&status) }
}

fn fqdn_text(fqdn: &FqdnPlan) -> String {
    match fqdn {
        FqdnPlan::Name(name) => name.clone(),
        FqdnPlan::FromDhcp { .. } => "(from DHCP)".to_owned(),
    }
}

#[cfg(test)]
mod tests;
