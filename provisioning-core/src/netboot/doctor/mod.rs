//! The PXE doctor: from a machine's trail, how far it came, what is missing, why that is likely, and what to do.
//!
//! Pure: [`diagnose`] is a function of a [`Case`]. What firmware does, and which silence means what, is drawn from
//! `reference/netboot.md` and `reference/user-pain.md`.

mod attempt;
mod judge;
mod remedy;
mod words;

use serde::Serialize;

use super::sighting::Sighted;
use super::trail::Footprint;
use crate::machine::Phase;
use crate::model::{BaseUrl, MacAddr, Timestamp};

/// What the doctor looks at.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The NIC.
    pub mac: MacAddr,
    /// Now.
    pub at: Timestamp,
    /// The phase of the host that the NIC belongs to; `None` when it belongs to none.
    pub phase: Option<Phase>,
    /// Another NIC of the same host that was seen netbooting, when this one was not.
    pub other_nic: Option<MacAddr>,
    /// Why the boot server lately turned away a request, when its log does not tell whose: that is how it meets
    /// machines of a network that it does not serve.
    pub turned_away: Option<String>,
    /// What was seen of the NIC, in order of time.
    pub trail: &'a [Footprint],
    /// How far the running operation's download has come.
    pub progress: Option<Progress>,
    /// The URL under which machines reach us.
    pub public_url: &'a BaseUrl,
}

/// How much of kernel and initrd was handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The kernel.
    pub kernel: PartProgress,
    /// The initrd with the ISO in it.
    pub initrd: PartProgress,
    /// When the last byte was handed out, as far as that is known.
    pub moved_at: Option<Timestamp>,
}

/// How much of one file was handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartProgress {
    /// Bytes handed out.
    pub bytes: u64,
    /// Bytes that there are; 0 before anybody asked for it.
    pub total: u64,
}

impl PartProgress {
    fn is_begun(self) -> bool {
        self.total > 0
    }

    fn is_done(self) -> bool {
        self.is_begun() && self.bytes >= self.total
    }
}

/// A step on the way from power-on to the installed system. Not every machine takes all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The firmware asked for an address and what to boot (DHCPDISCOVER, port 67).
    FirmwareAsked,
    /// It was offered what to boot.
    Offered,
    /// It asked for the boot program (DHCPREQUEST on port 4011 or 67, or by TFTP).
    ProgramAsked,
    /// It loaded the boot program, iPXE.
    ProgramLoaded,
    /// iPXE runs and asked for an address.
    IpxeAsked,
    /// It asked us for its boot script over HTTP.
    ScriptFetched,
    /// It loaded the installer's kernel.
    KernelFetched,
    /// It loaded the initrd with the ISO in it.
    InitrdFetched,
    /// The installer fetched its answer file.
    AnswerFetched,
    /// It is installed.
    Installed,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 10] = [
        Self::FirmwareAsked,
        Self::Offered,
        Self::ProgramAsked,
        Self::ProgramLoaded,
        Self::IpxeAsked,
        Self::ScriptFetched,
        Self::KernelFetched,
        Self::InitrdFetched,
        Self::AnswerFetched,
        Self::Installed,
    ];

    /// In words, as a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::FirmwareAsked => "Firmware asked what to boot",
            Self::Offered => "Was offered a boot program",
            Self::ProgramAsked => "Asked for the boot program",
            Self::ProgramLoaded => "Loaded the boot program",
            Self::IpxeAsked => "iPXE started",
            Self::ScriptFetched => "Fetched its boot script",
            Self::KernelFetched => "Loaded the installer's kernel",
            Self::InitrdFetched => "Loaded the installer's image",
            Self::AnswerFetched => "Installer fetched its answer file",
            Self::Installed => "Installed",
        }
    }
}

/// Whether a step was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It was.
    Done,
    /// It was not, and later ones were: this machine does without it, or nobody saw it.
    Skipped,
    /// It is the next one, and it is awaited or missing.
    Next,
    /// It comes later.
    Ahead,
}

/// A step, and whether this machine took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepSeen {
    /// Which.
    pub step: Step,
    /// Its title.
    pub title: &'static str,
    /// Whether it was taken.
    pub mark: Mark,
    /// When it was taken first in this netboot.
    pub done_at: Option<Timestamp>,
    /// What else was seen of it.
    pub detail: Option<String>,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// All is as it should be.
    Fine,
    /// Something is under way; look again in a moment.
    Waiting,
    /// Worth a look.
    Attention,
    /// The machine will not be installed until somebody does something.
    Trouble,
}

/// What the doctor found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing was ever seen of it.
    NeverSeen,
    /// Nothing was seen of it, and the boot server turns requests away without saying whose.
    TurnedAway(String),
    /// Nothing was seen of this NIC, but of another one of the host.
    OtherNic(MacAddr),
    /// The last step was taken a moment ago.
    UnderWay,
    /// It is loading the installer: percent of kernel and initrd.
    Downloading(u64),
    /// It asked and was left alone, since it is not registered.
    LeftAlone,
    /// There is no subnet or no address for it.
    NoAddress(String),
    /// It asked, and got no offer.
    NoOffer,
    /// It was denied the address it asked for.
    Denied(String),
    /// It was offered a boot program by proxy-DHCP and did not come for it.
    OfferIgnored,
    /// It was offered an address with a boot program and took neither.
    OfferNotTaken,
    /// UEFI HTTP Boot was offered, and iPXE never started.
    HttpBootSilent,
    /// It was told which program to load and never fetched it by TFTP.
    ProgramNeverFetched,
    /// The program it asked for by TFTP is not there.
    ProgramMissing(String),
    /// A TFTP transfer broke off.
    ProgramBroken(String),
    /// It loaded the program, and the program never spoke.
    ProgramNotStarted(Option<String>),
    /// iPXE runs, but got no answer to its DHCP request.
    IpxeWithoutAddress,
    /// iPXE was told the script's URL and never fetched it.
    ScriptNotFetched,
    /// The script's URL is longer than DHCP can carry.
    UrlTooLong(usize),
    /// It is nobody's, and was sent on to its next boot device.
    NotRegistered,
    /// It is a host's, which is not armed.
    NotArmed(Phase),
    /// It was sent to its own disk, as it should be.
    BootsDisk,
    /// It netboots again and again, so many times within a quarter of an hour.
    NetbootLoop(usize),
    /// It has the script for the installer and never asked for the kernel.
    KernelNotFetched,
    /// Its download stands still.
    DownloadStalled(PartProgress),
    /// It has kernel and initrd, and the installer never asked for its answer.
    AnswerNotAsked,
    /// It was started with the installer so many times within half an hour, which never asked for its answer.
    InstallerRestarts(usize),
    /// Its installer asked for the answer and was refused.
    AnswerRefused(String),
    /// Its installer has its answer: netbooting is over.
    Done,
}

/// Lines for the site's own DHCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// For which DHCP server they are written.
    pub server: &'static str,
    /// The lines.
    pub lines: Vec<String>,
    /// The command that prints them for other DHCP servers.
    pub command: &'static str,
}

/// What the doctor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The NIC.
    pub mac: MacAddr,
    /// The finding's stable name.
    pub finding: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// In one sentence: how far it came and what is the matter.
    pub summary: String,
    /// The last step of its latest netboot.
    pub reached: Option<Step>,
    /// The step that is missing.
    pub missing: Option<Step>,
    /// Why that is likely.
    pub likely_cause: Option<String>,
    /// What to do, the likeliest remedy first.
    pub advice: Vec<String>,
    /// What to put into the site's own DHCP server, where that is the remedy.
    pub snippet: Option<Snippet>,
    /// What else is worth knowing, such as an outdated iPXE.
    pub notes: Vec<String>,
    /// When it was seen last.
    pub last_seen_at: Option<Timestamp>,
    /// The steps of its latest netboot.
    pub steps: Vec<StepSeen>,
}

/// Looks at a case.
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    let attempt = attempt::Attempt::latest(case);
    let finding = judge::judge(case, &attempt);
    let missing = words::missing(&finding, &attempt);
    let remedy = remedy::remedy_of(&finding, case);
    Diagnosis {
        mac: case.mac,
        finding: words::name(&finding),
        severity: words::severity(&finding, case.phase),
        summary: words::summary(&finding, case),
        reached: attempt.reached(),
        missing,
        likely_cause: remedy.cause,
        advice: remedy.advice,
        snippet: remedy::snippet(&finding, case.public_url),
        notes: words::notes(&attempt),
        last_seen_at: case.trail.last().map(|print| print.at),
        steps: attempt.steps(missing),
    }
}

/// The last step of a trail's latest netboot, for lists of machines.
pub fn reached(trail: &[Footprint]) -> Option<Step> {
    attempt::last_step(trail)
}

/// Whether firmware ended a transfer on purpose: it asks for the file's size first (`reference/netboot.md` §2).
fn is_size_probe(what: &Sighted) -> bool {
    matches!(what, Sighted::FileBroken { why, .. } if why.to_ascii_lowercase().contains("abort"))
}

/// Whether a file is what new iPXE for EFI always asks for; that it is not there is normal.
fn is_autoexec(file: &str) -> bool {
    file.ends_with("autoexec.ipxe")
}

#[cfg(test)]
mod tests;
