//! Findings in words: what is the matter, and how much it matters. What to do about it stands in `remedy`.

use super::attempt::Attempt;
use super::{Case, Finding, Severity, Step};
use crate::machine::Phase;

/// A finding's stable name.
pub(super) fn name(finding: &Finding) -> &'static str {
    match finding {
        Finding::NeverSeen => "never_seen",
        Finding::TurnedAway(_) => "turned_away",
        Finding::OtherNic(_) => "other_nic",
        Finding::UnderWay => "under_way",
        Finding::Downloading(_) => "downloading",
        Finding::LeftAlone => "left_alone",
        Finding::NoAddress(_) => "no_address",
        Finding::NoOffer => "no_offer",
        Finding::Denied(_) => "denied",
        Finding::OfferIgnored => "offer_ignored",
        Finding::OfferNotTaken => "offer_not_taken",
        Finding::HttpBootSilent => "http_boot_silent",
        Finding::ProgramNeverFetched => "program_never_fetched",
        Finding::ProgramMissing(_) => "program_missing",
        Finding::ProgramBroken(_) => "program_broken",
        Finding::ProgramNotStarted(_) => "program_not_started",
        Finding::IpxeWithoutAddress => "ipxe_without_address",
        Finding::ScriptNotFetched => "script_not_fetched",
        Finding::UrlTooLong(_) => "url_too_long",
        Finding::NotRegistered => "not_registered",
        Finding::NotArmed(_) => "not_armed",
        Finding::BootsDisk => "boots_disk",
        Finding::NetbootLoop(_) => "netboot_loop",
        Finding::KernelNotFetched => "kernel_not_fetched",
        Finding::DownloadStalled(_) => "download_stalled",
        Finding::AnswerNotAsked => "answer_not_asked",
        Finding::InstallerRestarts(_) => "installer_restarts",
        Finding::AnswerRefused(_) => "answer_refused",
        Finding::Done => "done",
    }
}

/// How much a finding matters for a host in this phase.
pub(super) fn severity(finding: &Finding, phase: Option<Phase>) -> Severity {
    let is_awaited = matches!(phase, Some(Phase::PxeReady | Phase::PxeBooted));
    match finding {
        Finding::UnderWay | Finding::NotArmed(Phase::PxeReady) => Severity::Waiting,
        Finding::NeverSeen | Finding::TurnedAway(_) if is_awaited || phase.is_none() => Severity::Attention,
        // Any NIC of a host will do.
        Finding::NeverSeen
        | Finding::TurnedAway(_)
        | Finding::OtherNic(_)
        | Finding::Done
        | Finding::BootsDisk
        | Finding::Downloading(_) => Severity::Fine,
        Finding::NotRegistered | Finding::NotArmed(_) | Finding::NetbootLoop(_) => Severity::Attention,
        Finding::LeftAlone if phase.is_none() => Severity::Attention,
        // A machine that nobody waits for may stop netbooting where it likes.
        _ if phase.is_none() || is_awaited => Severity::Trouble,
        _ => Severity::Attention,
    }
}

/// The step whose absence is the finding.
pub(super) fn missing(finding: &Finding, attempt: &Attempt<'_>) -> Option<Step> {
    match finding {
        Finding::NeverSeen | Finding::TurnedAway(_) | Finding::OtherNic(_) => Some(Step::FirmwareAsked),
        Finding::UnderWay | Finding::Downloading(_) | Finding::Done | Finding::BootsDisk | Finding::NetbootLoop(_) => {
            None
        }
        Finding::LeftAlone | Finding::NoAddress(_) | Finding::NoOffer => Some(Step::Offered),
        Finding::Denied(_) | Finding::OfferIgnored | Finding::OfferNotTaken => Some(Step::ProgramAsked),
        Finding::ProgramNeverFetched | Finding::ProgramMissing(_) | Finding::ProgramBroken(_) => {
            Some(Step::ProgramLoaded)
        }
        Finding::HttpBootSilent | Finding::ProgramNotStarted(_) => Some(Step::IpxeAsked),
        Finding::IpxeWithoutAddress if attempt.first_at(Step::IpxeAsked).is_none() => Some(Step::IpxeAsked),
        Finding::IpxeWithoutAddress | Finding::ScriptNotFetched | Finding::UrlTooLong(_) => Some(Step::ScriptFetched),
        Finding::NotRegistered | Finding::NotArmed(_) | Finding::KernelNotFetched => Some(Step::KernelFetched),
        Finding::DownloadStalled(_) => Some(match attempt.progress() {
            Some(progress) if !progress.kernel.is_done() => Step::KernelFetched,
            _ => Step::InitrdFetched,
        }),
        Finding::AnswerNotAsked | Finding::AnswerRefused(_) | Finding::InstallerRestarts(_) => {
            Some(Step::AnswerFetched)
        }
    }
}

/// The finding in one sentence, without full stop.
pub(super) fn summary(finding: &Finding, case: &Case<'_>) -> String {
    let plain = match finding {
        Finding::NeverSeen => "Nothing has been seen of this NIC",
        Finding::TurnedAway(_) => {
            "Nothing has been seen of this NIC, and the boot server turns away requests of a network it does not serve"
        }
        Finding::OtherNic(mac) => return format!("Nothing has been seen of this NIC; the host netboots by {mac}"),
        Finding::UnderWay => "It is on its way: its last step was a moment ago",
        Finding::Downloading(percent) => return format!("It is loading the installer: {percent} %"),
        Finding::LeftAlone => "It asked what to boot and was left alone, since it was not registered",
        Finding::NoAddress(_) => "It asked what to boot, and our boot server has no subnet or address for it",
        Finding::NoOffer => "It asks what to boot, and our boot server makes it no offer",
        Finding::Denied(_) => "It was denied the address it asked for",
        Finding::OfferIgnored => "It was offered iPXE by proxy-DHCP and never came for it",
        Finding::OfferNotTaken => "It was offered an address and iPXE, and took neither",
        Finding::HttpBootSilent => "It was offered iPXE by UEFI HTTP Boot, and iPXE never started",
        Finding::ProgramNeverFetched => "It was told which program to load and never fetched it by TFTP",
        Finding::ProgramMissing(file) => return format!("It asked by TFTP for {file}, which is not there"),
        Finding::ProgramBroken(_) => "Loading the boot program by TFTP broke off",
        Finding::ProgramNotStarted(Some(file)) => return format!("It loaded {file}, and iPXE never spoke"),
        Finding::ProgramNotStarted(None) => "It loaded the boot program, and iPXE never spoke",
        Finding::IpxeWithoutAddress => "iPXE runs on it and gets no answer from DHCP",
        Finding::ScriptNotFetched => "iPXE was told where its script is and never fetched it",
        Finding::UrlTooLong(length) => {
            return format!("iPXE was told a URL of {length} characters or more; DHCP carries 127 and cuts the rest");
        }
        Finding::NotRegistered => "It asked for a boot script and was sent on, since no host has this address",
        Finding::NotArmed(Phase::PxeReady) => "It netbooted before the host was armed, and was sent on",
        Finding::NotArmed(_) => "It netbooted and was not installed, since its host is not armed",
        Finding::BootsDisk => "It netbooted and was sent to its own disk, as it should be",
        Finding::NetbootLoop(times) => {
            return format!(
                "It netbooted {times} times within a quarter of an hour, and was sent to its disk each time"
            );
        }
        Finding::KernelNotFetched => "It has the installer's boot script and never asked for the kernel",
        Finding::DownloadStalled(part) => {
            return format!("Its download stands still at {} of {} bytes", part.bytes, part.total);
        }
        Finding::AnswerNotAsked => "It has loaded the installer, which has not asked for its answer file",
        Finding::InstallerRestarts(times) => {
            return format!(
                "The installer was started {times} times within half an hour and never asked for its answer"
            );
        }
        Finding::AnswerRefused(why) => return format!("Its installer was refused its answer file: {why}"),
        Finding::Done if matches!(case.phase, Some(Phase::Ready)) => "Netbooting is over: the host is ready",
        Finding::Done => "Netbooting is over: the installer has its answer file",
    };
    plain.to_owned()
}

/// What is worth knowing beside the finding.
pub(super) fn notes(attempt: &Attempt<'_>) -> Vec<String> {
    let old = attempt.agent().filter(|agent| is_outdated(agent));
    let old = old.map(|agent| {
        format!(
            "{agent} is older than 2021: on UEFI it cannot boot the local disk reliably and may hang; use the iPXE of \
             Debian 13 or newer"
        )
    });
    old.into_iter().collect()
}

/// Whether an iPXE is from before 2021, by what it calls itself: 1.21.1 is the release of the last day of 2020, and
/// Debian writes the commit's date into its own.
fn is_outdated(agent: &str) -> bool {
    let Some(version) = agent.strip_prefix("iPXE/") else { return false };
    if let Some((_, commit)) = version.split_once("git-") {
        let year = commit.get(..4).and_then(|year| year.parse::<u16>().ok());
        if let Some(year) = year.filter(|year| (2005..2100).contains(year)) {
            return year < 2021;
        }
    }
    let mut numbers = version.split(['.', '+', ' ', '-']).map_while(|part| part.parse::<u16>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < (1, 21),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipxe_of_before_2021_is_outdated() {
        for old in ["iPXE/1.0.0+git-20190125.36a4c85-5.1", "iPXE/1.20.1", "iPXE/1.0.0"] {
            assert!(is_outdated(old), "{old}");
        }
        for new in [
            "iPXE/1.21.1+git20250501",
            "iPXE/1.0.0+git-20220211.e5e5b3e",
            "iPXE/2.0",
            "UefiHttpBoot/1.0",
            "curl/8",
            "iPXE/",
        ] {
            assert!(!is_outdated(new), "{new}");
        }
    }
}
