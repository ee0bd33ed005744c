//! What the silence after a machine's last step means.

use std::time::Duration;

use super::attempt::Attempt;
use super::{Case, Finding, Progress, Step, is_autoexec, is_size_probe};
use crate::machine::{BootAnswer, Phase};
use crate::netboot::{ClientArch, Sighted, Trace};

/// DHCP clients repeat themselves after 4, 8 and 16 seconds; a proxy offer is followed up at once.
const DHCP_PATIENCE: Duration = Duration::from_secs(12);
/// Loading iPXE by TFTP takes seconds, starting it a few more (`reference/netboot.md` §2).
const PROGRAM_PATIENCE: Duration = Duration::from_secs(20);
/// iPXE asks for its script as soon as it has an address, and for the kernel as soon as it has the script.
const SCRIPT_PATIENCE: Duration = Duration::from_secs(20);
/// A download that moves, moves every second.
const DOWNLOAD_PATIENCE: Duration = Duration::from_secs(30);
/// The same where nobody knows when the last byte moved: a large image over a slow link.
const BLIND_PATIENCE: Duration = Duration::from_secs(600);
/// From the last byte to the installer's request: unpacking the image and finding the hardware.
const INSTALLER_PATIENCE: Duration = Duration::from_secs(240);
/// Within so long, this many netboots are a loop.
const LOOP: (Duration, usize) = (Duration::from_secs(900), 3);
/// The same for installers that never come to ask.
const RESTARTS: (Duration, usize) = (Duration::from_secs(1_800), 3);
/// What a BOOTP `file` field carries at most, in characters; what is longer is cut without a word.
const URL_MAX: usize = 127;

pub(super) fn judge(case: &Case<'_>, attempt: &Attempt<'_>) -> Finding {
    let Some(reached) = attempt.reached() else {
        let turned_away = || case.turned_away.clone().map_or(Finding::NeverSeen, Finding::TurnedAway);
        return case.other_nic.map_or_else(turned_away, Finding::OtherNic);
    };
    let quiet = attempt.last_at().map_or(Duration::MAX, |last| case.at.since(last));
    let after = |patience: Duration, finding: Finding| if quiet < patience { Finding::UnderWay } else { finding };
    match reached {
        Step::FirmwareAsked => firmware_asked(case, attempt, quiet),
        Step::Offered => offered(attempt, quiet),
        Step::ProgramAsked => program_asked(attempt, quiet),
        Step::ProgramLoaded if attempt.has_ipxe_run() => after(PROGRAM_PATIENCE, Finding::IpxeWithoutAddress),
        Step::ProgramLoaded => after(PROGRAM_PATIENCE, Finding::ProgramNotStarted(program(attempt))),
        Step::IpxeAsked => ipxe_asked(attempt, quiet),
        Step::ScriptFetched | Step::KernelFetched | Step::InitrdFetched => script_fetched(case, attempt, quiet),
        Step::AnswerFetched | Step::Installed => Finding::Done,
    }
}

fn firmware_asked(case: &Case<'_>, attempt: &Attempt<'_>, quiet: Duration) -> Finding {
    let latest = attempt.sightings().find(|what| !matches!(what, Sighted::Discovered(_)));
    match latest {
        Some(Sighted::NoAddress { why }) => Finding::NoAddress(why.clone()),
        Some(Sighted::LeftAlone(_)) => Finding::LeftAlone,
        _ => {
            // Repeats are not all written down: that it still asks shows as well as that it fell silent.
            let first = attempt.first_at(Step::FirmwareAsked);
            let asked_for = first.map_or(Duration::MAX, |first| case.at.since(first));
            if quiet.max(asked_for) < DHCP_PATIENCE { Finding::UnderWay } else { Finding::NoOffer }
        }
    }
}

fn offered(attempt: &Attempt<'_>, quiet: Duration) -> Finding {
    let denied = attempt.sightings().find_map(|what| match what {
        Sighted::Denied { why } => Some(why.clone()),
        _ => None,
    });
    if let Some(why) = denied {
        return Finding::Denied(why);
    }
    let offer = attempt.sightings().find_map(|what| match what {
        Sighted::Offered { client, address, .. } => Some((client.arch, *address)),
        _ => None,
    });
    match offer {
        Some((Some(ClientArch::UefiHttpX64 | ClientArch::UefiHttpArm64), _)) => {
            if quiet < PROGRAM_PATIENCE {
                Finding::UnderWay
            } else {
                Finding::HttpBootSilent
            }
        }
        _ if quiet < DHCP_PATIENCE => Finding::UnderWay,
        Some((_, Some(_))) => Finding::OfferNotTaken,
        _ => Finding::OfferIgnored,
    }
}

fn program_asked(attempt: &Attempt<'_>, quiet: Duration) -> Finding {
    let trouble = attempt.sightings().find_map(|what| match what {
        Sighted::FileMissing { file } if !is_autoexec(file) => Some(Finding::ProgramMissing(file.clone())),
        Sighted::FileBroken { why, .. } if !is_size_probe(what) => Some(Finding::ProgramBroken(why.clone())),
        _ => None,
    });
    match trouble {
        Some(Finding::ProgramBroken(_)) | None if quiet < PROGRAM_PATIENCE => Finding::UnderWay,
        Some(trouble) => trouble,
        None => Finding::ProgramNeverFetched,
    }
}

fn ipxe_asked(attempt: &Attempt<'_>, quiet: Duration) -> Finding {
    let offer = attempt.sightings().find_map(|what| match what {
        Sighted::Offered { client, file, .. } | Sighted::BootServerAsked { client, file } if client.ipxe => {
            Some(file.as_deref())
        }
        // Full DHCP: whoever was given an address was told the rest as well.
        Sighted::Acknowledged { .. } => Some(None),
        _ => None,
    });
    let left_alone = attempt.sightings().any(|what| matches!(what, Sighted::LeftAlone(client) if client.ipxe));
    match offer {
        Some(Some(url)) if url.chars().count() >= URL_MAX => Finding::UrlTooLong(url.chars().count()),
        _ if quiet < SCRIPT_PATIENCE => Finding::UnderWay,
        Some(_) => Finding::ScriptNotFetched,
        None if left_alone => Finding::LeftAlone,
        None => Finding::IpxeWithoutAddress,
    }
}

fn script_fetched(case: &Case<'_>, attempt: &Attempt<'_>, quiet: Duration) -> Finding {
    let refused = attempt.prints.iter().rev().find_map(|print| match &print.trace {
        Trace::AnswerRefused { why } => Some(why.clone()),
        _ => None,
    });
    if let Some(why) = refused {
        return Finding::AnswerRefused(why);
    }
    match (attempt.told(), case.phase) {
        (Some(BootAnswer::Installer), phase) if is_beyond_netboot(phase) => Finding::Done,
        (Some(BootAnswer::Installer), _) => installer_told(case, attempt, quiet),
        (_, None) => Finding::NotRegistered,
        // It was armed since: what it was told before no longer counts.
        (_, Some(phase @ (Phase::Registered | Phase::Failed | Phase::PxeReady))) => Finding::NotArmed(phase),
        (_, Some(_)) => match times(case, LOOP.0, |told| told != BootAnswer::Installer) {
            times if times >= LOOP.1 => Finding::NetbootLoop(times),
            _ => Finding::BootsDisk,
        },
    }
}

/// Whether the host's phase tells that its installer has its answer.
fn is_beyond_netboot(phase: Option<Phase>) -> bool {
    matches!(phase, Some(Phase::Installing | Phase::Installed | Phase::FirstBoot | Phase::Joining | Phase::Ready))
}

fn installer_told(case: &Case<'_>, attempt: &Attempt<'_>, quiet: Duration) -> Finding {
    let restarts = times(case, RESTARTS.0, |told| told == BootAnswer::Installer);
    if restarts >= RESTARTS.1 {
        return Finding::InstallerRestarts(restarts);
    }
    let Progress { kernel, initrd, moved_at } = attempt.progress().unwrap_or_default();
    let patience = if moved_at.is_some() { DOWNLOAD_PATIENCE } else { BLIND_PATIENCE };
    match () {
        () if initrd.is_done() && quiet < INSTALLER_PATIENCE => Finding::UnderWay,
        () if initrd.is_done() => Finding::AnswerNotAsked,
        () if kernel.is_begun() || initrd.is_begun() => {
            let (bytes, total) = (kernel.bytes + initrd.bytes, kernel.total + initrd.total);
            let slow = if kernel.is_done() && !initrd.is_begun() { kernel } else { initrd };
            if quiet < patience {
                Finding::Downloading(bytes.saturating_mul(100).checked_div(total).unwrap_or(0).min(100))
            } else {
                Finding::DownloadStalled(slow)
            }
        }
        () if quiet < SCRIPT_PATIENCE => Finding::UnderWay,
        () => Finding::KernelNotFetched,
    }
}

/// How often it was told such an answer within a time.
fn times(case: &Case<'_>, within: Duration, which: impl Fn(BootAnswer) -> bool) -> usize {
    let told = |trace: &Trace| matches!(trace, Trace::ScriptAsked { told, .. } if which(*told));
    case.trail.iter().filter(|print| case.at.since(print.at) < within && told(&print.trace)).count()
}

/// The boot program that it loaded.
fn program(attempt: &Attempt<'_>) -> Option<String> {
    attempt.sightings().find_map(|what| match what {
        Sighted::FileSent { file } if !is_autoexec(file) => Some(file.clone()),
        _ => None,
    })
}
