//! A trail's latest netboot, and the steps that were taken in it.

use std::time::Duration;

use super::{Case, Mark, Progress, Step, StepSeen, is_autoexec, is_size_probe};
use crate::machine::BootAnswer;
use crate::model::Timestamp;
use crate::netboot::{DhcpClient, Footprint, Sighted, Trace};

/// After so long a silence in the firmware's part of a netboot, what follows is another one.
const SILENCE: Duration = Duration::from_secs(180);

/// The latest netboot of a case.
pub(super) struct Attempt<'a> {
    pub(super) prints: &'a [Footprint],
    progress: Option<Progress>,
}

impl<'a> Attempt<'a> {
    pub(super) fn latest(case: &Case<'a>) -> Self {
        let prints = &case.trail[latest_start(case.trail)..];
        let attempt = Self { prints, progress: None };
        // The operation's download belongs to it only if it was sent to the installer.
        let progress = case.progress.filter(|_| attempt.told() == Some(BootAnswer::Installer));
        Self { progress, ..attempt }
    }

    /// The last step that was taken.
    pub(super) fn reached(&self) -> Option<Step> {
        let downloaded = self.progress.and_then(|progress| match progress {
            Progress { initrd, .. } if initrd.is_done() => Some(Step::InitrdFetched),
            Progress { kernel, .. } if kernel.is_done() => Some(Step::KernelFetched),
            _ => None,
        });
        last_step(self.prints).max(downloaded)
    }

    /// What the machine was told to boot, the last time it asked.
    pub(super) fn told(&self) -> Option<BootAnswer> {
        self.prints.iter().rev().find_map(|print| match &print.trace {
            Trace::ScriptAsked { told, .. } => Some(*told),
            _ => None,
        })
    }

    /// What it calls itself.
    pub(super) fn agent(&self) -> Option<&'a str> {
        self.prints.iter().rev().find_map(|print| match &print.trace {
            Trace::ScriptAsked { agent, .. } => agent.as_deref(),
            _ => None,
        })
    }

    pub(super) fn progress(&self) -> Option<Progress> {
        self.progress
    }

    /// What the boot server saw, the latest first.
    pub(super) fn sightings(&self) -> impl Iterator<Item = &'a Sighted> {
        self.prints.iter().rev().filter_map(|print| match &print.trace {
            Trace::BootServer { what } => Some(what),
            _ => None,
        })
    }

    /// When something was seen last, by the boot server or by us.
    pub(super) fn last_at(&self) -> Option<Timestamp> {
        self.prints.last().map(|print| print.at).max(self.progress.and_then(|progress| progress.moved_at))
    }

    /// When a step was taken first.
    pub(super) fn first_at(&self, step: Step) -> Option<Timestamp> {
        steps_of(self.prints).find(|(taken, _)| *taken == step).map(|(_, print)| print.at)
    }

    /// Whether iPXE was seen running.
    pub(super) fn has_ipxe_run(&self) -> bool {
        self.first_at(Step::IpxeAsked).is_some()
            || self.sightings().any(|what| match what {
                Sighted::FileMissing { file } | Sighted::FileSent { file } => is_autoexec(file),
                _ => false,
            })
    }

    /// All steps, as a page shows them. A machine that was not sent to the installer has none behind its script.
    pub(super) fn steps(&self, missing: Option<Step>) -> Vec<StepSeen> {
        let reached = self.reached();
        let is_elsewhere = self.told().is_some_and(|told| told != BootAnswer::Installer);
        let end =
            if is_elsewhere && reached <= Some(Step::ScriptFetched) { Step::ScriptFetched } else { Step::Installed };
        let next = missing.or_else(|| Step::ALL.into_iter().find(|step| Some(*step) > reached));
        let shown = Step::ALL.into_iter().filter(|step| *step <= end);
        shown.map(|step| self.step(step, reached, next)).collect()
    }

    fn step(&self, step: Step, reached: Option<Step>, next: Option<Step>) -> StepSeen {
        let done_at = self.first_at(step);
        // No installer asks for its answer before it was loaded.
        let is_implied = Step::KernelFetched <= step && step <= Step::InitrdFetched && Some(step) < reached;
        let is_done = done_at.is_some() || is_implied || self.is_downloaded(step);
        let mark = match () {
            () if is_done => Mark::Done,
            () if Some(step) == next => Mark::Next,
            () if Some(step) < reached => Mark::Skipped,
            () => Mark::Ahead,
        };
        StepSeen { step, title: step.title(), mark, done_at, detail: self.detail(step) }
    }

    fn is_downloaded(&self, step: Step) -> bool {
        self.progress.is_some_and(|progress| match step {
            Step::KernelFetched => progress.kernel.is_done(),
            Step::InitrdFetched => progress.initrd.is_done(),
            _ => false,
        })
    }

    fn detail(&self, step: Step) -> Option<String> {
        let of = |part: super::PartProgress| {
            (part.is_begun() && !part.is_done()).then(|| format!("{} of {} bytes", part.bytes, part.total))
        };
        match (step, self.progress) {
            (Step::KernelFetched, Some(progress)) => of(progress.kernel),
            (Step::InitrdFetched, Some(progress)) => of(progress.initrd),
            _ => {
                let print = steps_of(self.prints).filter(|(taken, _)| *taken == step).last()?.1;
                detail_of(&print.trace)
            }
        }
    }
}

/// The last step of the latest netboot in a trail.
pub(super) fn last_step(trail: &[Footprint]) -> Option<Step> {
    steps_of(&trail[latest_start(trail)..]).map(|(step, _)| step).max()
}

/// Where the latest netboot begins: at the last request that firmware makes when it starts, behind a step that it
/// cannot have come back from without starting anew.
fn latest_start(trail: &[Footprint]) -> usize {
    let mut start = 0;
    let mut reached = None::<Step>;
    let mut before = None::<Timestamp>;
    for (place, print) in trail.iter().enumerate() {
        let quiet = before.map_or(Duration::ZERO, |before| print.at.since(before));
        let is_new = match asks_at_first(&print.trace) {
            Some(client) if reached >= Some(Step::ScriptFetched) => client.arch.is_some() || client.ipxe,
            Some(client) if !client.ipxe => reached >= Some(Step::ProgramLoaded) || quiet > SILENCE,
            Some(_) => quiet > SILENCE,
            // Firmware that is left alone by our DHCP may still have been told our script's URL by its own.
            None => {
                matches!(print.trace, Trace::ScriptAsked { .. })
                    && reached >= Some(Step::ScriptFetched)
                    && quiet > SILENCE
            }
        };
        if is_new {
            (start, reached) = (place, None);
        }
        reached = reached.max(step_of(&print.trace, reached));
        before = Some(print.at);
    }
    start
}

fn asks_at_first(trace: &Trace) -> Option<DhcpClient> {
    match trace {
        Trace::BootServer { what: Sighted::Discovered(client) | Sighted::LeftAlone(client) } => Some(*client),
        _ => None,
    }
}

/// The steps of one netboot, each with the footprint that shows it.
fn steps_of(prints: &[Footprint]) -> impl Iterator<Item = (Step, &Footprint)> {
    prints
        .iter()
        .scan(None, |reached, print| {
            let step = step_of(&print.trace, *reached);
            *reached = (*reached).max(step);
            Some(step.map(|step| (step, print)))
        })
        .flatten()
}

/// The step that a footprint shows, behind those that were taken before.
fn step_of(trace: &Trace, before: Option<Step>) -> Option<Step> {
    let either = |client: &DhcpClient, firmware: Step| if client.ipxe { Step::IpxeAsked } else { firmware };
    let step = match trace {
        Trace::BootServer { what } => match what {
            Sighted::Discovered(client) | Sighted::LeftAlone(client) => either(client, Step::FirmwareAsked),
            Sighted::Offered { client, .. } => either(client, Step::Offered),
            Sighted::BootServerAsked { client, .. } => either(client, Step::ProgramAsked),
            Sighted::NoAddress { .. } => Step::FirmwareAsked,
            Sighted::Denied { .. } => Step::Offered,
            // Full DHCP: the log does not say whose request it is; before iPXE runs it is the firmware's.
            Sighted::Requested { .. } | Sighted::Acknowledged { .. } => {
                before.filter(|step| *step >= Step::ProgramLoaded).map_or(Step::ProgramAsked, |_| Step::IpxeAsked)
            }
            Sighted::FileSent { file } | Sighted::FileMissing { file } if is_autoexec(file) => return None,
            Sighted::FileSent { .. } => Step::ProgramLoaded,
            Sighted::FileMissing { .. } | Sighted::FileBroken { .. } => Step::ProgramAsked,
        },
        Trace::ScriptAsked { .. } => Step::ScriptFetched,
        Trace::AnswerFetched => Step::AnswerFetched,
        Trace::AnswerRefused { .. } => Step::InitrdFetched,
        Trace::Installed => Step::Installed,
    };
    // What an installer or an installed system asks of DHCP is no step back.
    (before < Some(Step::ScriptFetched) || step >= Step::ScriptFetched).then_some(step)
}

fn detail_of(trace: &Trace) -> Option<String> {
    let program = |client: &DhcpClient| {
        let arch = client.arch.map(|arch| arch.to_string());
        if client.ipxe { Some(arch.map_or("iPXE".to_owned(), |arch| format!("iPXE, {arch}"))) } else { arch }
    };
    match trace {
        Trace::BootServer { what } => match what {
            Sighted::Discovered(client) => program(client),
            Sighted::LeftAlone(_) => Some("left alone: not registered".to_owned()),
            Sighted::Offered { file, .. } => file.clone(),
            Sighted::BootServerAsked { file, .. } => {
                Some(file.as_ref().map_or("port 4011".to_owned(), |file| format!("port 4011, {file}")))
            }
            Sighted::Requested { address } | Sighted::Acknowledged { address } => Some(address.to_string()),
            Sighted::FileSent { file } => Some(file.clone()),
            Sighted::FileMissing { file } => Some(format!("{file} is not there")),
            Sighted::FileBroken { .. } if is_size_probe(what) => Some("asked for its size first".to_owned()),
            Sighted::NoAddress { why } | Sighted::Denied { why } | Sighted::FileBroken { why, .. } => Some(why.clone()),
        },
        Trace::ScriptAsked { told, agent } => {
            let told = match told {
                BootAnswer::Installer => "sent to the installer",
                BootAnswer::LocalDisk => "sent to its own disk",
                BootAnswer::NextDevice => "sent on to its next boot device",
            };
            Some(agent.as_ref().map_or(told.to_owned(), |agent| format!("{told} ({agent})")))
        }
        Trace::AnswerRefused { .. } | Trace::AnswerFetched | Trace::Installed => None,
    }
}
