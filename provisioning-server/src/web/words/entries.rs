//! Journal entries as sentences.

use provisioning_core::machine::{BootAnswer, EventKind, Ignored, JoinStep, Phase, WorkKind};
use provisioning_core::ports::{AuditRecord, Happening, JournalEntry, MachineRequest, Source};

use super::phases::phase_title;
use super::sightings::{is_trouble, sighting_words};

/// How an entry is marked in a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Tone {
    /// Progress.
    Good,
    /// For the record.
    Plain,
    /// Something to think about.
    Warning,
    /// The end of an operation that did not reach ready.
    Bad,
}

impl Tone {
    /// Its name in the style sheet.
    pub(in crate::web) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// How an entry is marked.
pub(in crate::web) fn tone(entry: &JournalEntry) -> Tone {
    match &entry.what {
        Happening::Moved { to: Phase::Failed, .. } => Tone::Bad,
        Happening::Moved { .. } => Tone::Good,
        Happening::EventRefused { .. }
        | Happening::AnswerDenied { .. }
        | Happening::ReportUnusable { .. }
        | Happening::Warning { .. }
        | Happening::WorkPostponed { .. } => Tone::Warning,
        Happening::Sighted { what, .. } if is_trouble(what) => Tone::Warning,
        Happening::Audited(record) if !record.is_success() => Tone::Warning,
        Happening::HostRegistered { .. }
        | Happening::Sighted { .. }
        | Happening::MachineDiscovered { .. }
        | Happening::MachineAdopted { .. }
        | Happening::MachineDismissed { .. }
        | Happening::HostEdited { .. }
        | Happening::HostRemoved { .. }
        | Happening::EventIgnored { .. }
        | Happening::Booted { .. }
        | Happening::RequestFrom { .. }
        | Happening::HardwareAccepted { .. }
        | Happening::KeyErased
        | Happening::Audited(_)
        | Happening::ImageImported { .. }
        | Happening::DefaultImageChosen { .. }
        | Happening::ImageRemoved { .. } => Tone::Plain,
    }
}

/// Who brought it about, as a column of the timeline names it.
pub(in crate::web) fn source_name(source: Source) -> &'static str {
    match source {
        Source::Operator => "operator",
        Source::Firmware => "firmware",
        Source::BootServer => "boot server",
        Source::Installer => "installer",
        Source::Host => "host",
        Source::Ssh => "SSH",
        Source::Inventory => "inventory",
        Source::Provisioning => "provisioning",
    }
}

/// An entry as a sentence without full stop.
pub fn sentence(entry: &JournalEntry) -> String {
    match &entry.what {
        Happening::HostRegistered { name } => format!("{name} was registered"),
        Happening::HostEdited { name } => format!("{name} was edited"),
        Happening::HostRemoved { name } => format!("{name} was removed"),
        Happening::Moved { event, to, .. } => moved(event, *to),
        Happening::EventIgnored { event, why, phase } => {
            format!("Ignored: {}, {}, while {}", event_words(event), ignored_because(*why), phase_words(*phase))
        }
        Happening::EventRefused { event, phase } => {
            format!("Refused: {} cannot happen while {}", event_words(event), phase_words(*phase))
        }
        Happening::Booted { mac, answer, agent, .. } => {
            let by = agent.as_ref().map(|agent| format!(" ({agent})")).unwrap_or_default();
            format!("Netbooted with {mac}{by} and was sent to {}", answer_words(*answer))
        }
        Happening::Sighted { mac, what, .. } => format!("{mac} {}", sighting_words(what)),
        Happening::MachineDiscovered { mac, address, arch } => {
            let arch = arch.map(|arch| format!(" ({arch})")).unwrap_or_default();
            let address = address.map(|address| format!(" at {address}")).unwrap_or_default();
            format!("A machine was discovered: {mac}{arch}{address}")
        }
        Happening::MachineAdopted { mac, name } => format!("The discovered machine {mac} became {name}"),
        Happening::MachineDismissed { mac } => format!("The discovered machine {mac} was dismissed"),
        Happening::AnswerDenied { from: Some(from), why } => format!("No answer file for {from}: {why}"),
        Happening::AnswerDenied { from: None, why } => format!("No answer file: {why}"),
        Happening::ReportUnusable { from: Some(from), why } => format!("A report from {from} is of no use: {why}"),
        Happening::ReportUnusable { from: None, why } => format!("A report is of no use: {why}"),
        Happening::RequestFrom { request, from } => {
            let what = match request {
                MachineRequest::Answer => "The installer asked for its answer file",
                MachineRequest::InstallReport => "The installer's report came",
                MachineRequest::PhoneHome => "The host's phone-home came",
            };
            format!("{what} from {from}")
        }
        Happening::HardwareAccepted { hardware_id: Some(id) } => format!("Machine {id} was accepted for this host"),
        Happening::HardwareAccepted { hardware_id: None } => {
            "Another machine than before was accepted for this host".to_owned()
        }
        Happening::Warning { text } => format!("Warning: {text}"),
        Happening::WorkPostponed { work, attempts, error, .. } => {
            format!("Could not {} (try {attempts}): {error}; it will be tried again", work_words(*work))
        }
        Happening::Audited(record) => audited(record),
        Happening::KeyErased => "The one-time key was erased from the vault".to_owned(),
        Happening::ImageImported { name, release, .. } => format!("Image {name} (Proxmox VE {release}) was imported"),
        Happening::DefaultImageChosen { name, .. } => format!("Image {name} is the default from now on"),
        Happening::ImageRemoved { name, .. } => format!("Image {name} was removed"),
    }
}

/// `anna@laptop asked to rebuild a host (pve-07), from 10.0.0.5`
fn audited(record: &AuditRecord) -> String {
    let who = record.by.as_deref().unwrap_or("Somebody without a valid token");
    let what = if record.subject.is_empty() { String::new() } else { format!(" ({})", record.subject) };
    let from = record.from.map(|from| format!(", from {from}")).unwrap_or_default();
    let outcome = if record.is_success() { String::new() } else { format!(", and was refused with {}", record.status) };
    format!("{who} asked to {}{what}{from}{outcome}", record.action)
}

fn moved(event: &EventKind, to: Phase) -> String {
    match event {
        EventKind::Started => "Rebuild started: the host is armed for its next netboot".to_owned(),
        EventKind::BootScriptFetched if to == Phase::PxeBooted => "Fetched its boot script".to_owned(),
        EventKind::BootScriptFetched => {
            "Netbooted again without its webhook: it boots its disk and has less time to phone home".to_owned()
        }
        EventKind::AnswerFetched => "The installer fetched its answer file".to_owned(),
        EventKind::InstallerBegan => "The installer begins to write the disks".to_owned(),
        EventKind::InstallReported(_) => "The installer reported that it is done".to_owned(),
        EventKind::FirstBootReported(contact) => match contact.address {
            Some(address) => format!("Phoned home from {address}"),
            None => "Phoned home".to_owned(),
        },
        EventKind::ShellOpened => "Let us in over SSH with the one-time key".to_owned(),
        EventKind::JoinSlotGranted => "It is its turn to join the cluster".to_owned(),
        EventKind::StepDone { step: JoinStep::Join } => "Is a proven member of its cluster".to_owned(),
        EventKind::StepDone { step: JoinStep::RevokeKey } => {
            "The one-time key was removed and opens nothing any more".to_owned()
        }
        EventKind::StepDone { step: JoinStep::Register } => "The inventory knows it: it is ready".to_owned(),
        EventKind::StepFailed { why, .. } => format!("Failed: {why}"),
        EventKind::Expired { last_error: Some(last) } => format!("Failed: its time ran out; the last try said: {last}"),
        EventKind::Expired { last_error: None } => "Failed: its time ran out".to_owned(),
        EventKind::Cancelled => "Cancelled by an operator".to_owned(),
        EventKind::Resumed => "The join was resumed".to_owned(),
        EventKind::ClockLeapt { by_millis } => {
            let direction = if *by_millis > 0 { "forward" } else { "back" };
            let seconds = by_millis.unsigned_abs() / 1_000;
            format!("The server's clock was set {direction} by {seconds} s; its deadline was moved along")
        }
    }
}

fn event_words(event: &EventKind) -> &'static str {
    match event {
        EventKind::Started => "a start",
        EventKind::BootScriptFetched => "a request for the boot script",
        EventKind::AnswerFetched => "a request for the answer file",
        EventKind::InstallerBegan => "a request for the first-boot script",
        EventKind::InstallReported(_) => "the installer's report",
        EventKind::FirstBootReported(_) => "the host's phone-home",
        EventKind::ShellOpened => "a login",
        EventKind::JoinSlotGranted => "a turn to join",
        EventKind::StepDone { .. } => "a step's success",
        EventKind::StepFailed { .. } => "a step's failure",
        EventKind::Expired { .. } => "a deadline",
        EventKind::Cancelled => "a cancellation",
        EventKind::Resumed => "a resume",
        EventKind::ClockLeapt { .. } => "a clock that was set",
    }
}

fn ignored_because(why: Ignored) -> &'static str {
    match why {
        Ignored::Duplicate => "known already",
        Ignored::OtherOperation => "of another operation",
        Ignored::NotYetDue => "before its time",
        Ignored::Ended => "after the operation's end",
    }
}

fn answer_words(answer: BootAnswer) -> &'static str {
    match answer {
        BootAnswer::Installer => "the installer",
        BootAnswer::LocalDisk => "its own disk",
        BootAnswer::NextDevice => "its next boot device",
    }
}

/// What work is done for, as a verb.
pub(in crate::web) fn work_words(work: WorkKind) -> &'static str {
    match work {
        WorkKind::OpenShell => "log in",
        WorkKind::Join => "join the cluster",
        WorkKind::RevokeKey => "remove the one-time key",
        WorkKind::Register => "tell the inventory",
        WorkKind::EraseKey => "erase the one-time key",
    }
}

fn phase_words(phase: Phase) -> String {
    phase_title(phase).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning_core::machine::{Contact, FailureReason};
    use provisioning_core::model::Timestamp;

    fn entry(what: Happening) -> JournalEntry {
        let at = Timestamp::from_millis(0);
        JournalEntry { seq: 1, at, host: None, operation: None, source: Source::Host, what }
    }

    fn moved_to(event: EventKind, to: Phase) -> JournalEntry {
        entry(Happening::Moved { event, from: Phase::Registered, to })
    }

    #[test]
    fn a_phone_home_names_the_address_when_it_brought_one() {
        let contact = Contact { address: Some([10, 0, 0, 5].into()), ..Contact::default() };
        let known = moved_to(EventKind::FirstBootReported(contact), Phase::FirstBoot);
        assert_eq!(sentence(&known), "Phoned home from 10.0.0.5");
        let unknown = moved_to(EventKind::FirstBootReported(Contact::default()), Phase::FirstBoot);
        assert_eq!(sentence(&unknown), "Phoned home");
    }

    #[test]
    fn a_second_netboot_while_installing_reads_otherwise_than_the_first() {
        let first = sentence(&moved_to(EventKind::BootScriptFetched, Phase::PxeBooted));
        let second = sentence(&moved_to(EventKind::BootScriptFetched, Phase::Installing));
        assert_eq!(first, "Fetched its boot script");
        assert!(second.contains("without its webhook"), "{second}");
    }

    #[test]
    fn a_failure_is_told_with_its_reason_and_marked_bad() {
        let why = FailureReason::NameTaken { node: "pve-07".to_owned() };
        let failed = moved_to(EventKind::StepFailed { step: JoinStep::Join, why }, Phase::Failed);
        assert_eq!(sentence(&failed), "Failed: the cluster has another member named pve-07");
        assert_eq!(tone(&failed), Tone::Bad);
    }

    #[test]
    fn what_changed_nothing_says_why() {
        let event = EventKind::AnswerFetched;
        let ignored =
            Happening::EventIgnored { event: event.clone(), why: Ignored::Duplicate, phase: Phase::Installing };
        let said = sentence(&entry(ignored));
        assert_eq!(said, "Ignored: a request for the answer file, known already, while installing");
        let refused = entry(Happening::EventRefused { event, phase: Phase::Registered });
        assert_eq!(sentence(&refused), "Refused: a request for the answer file cannot happen while registered");
        assert_eq!(tone(&refused), Tone::Warning);
    }

    #[test]
    fn postponed_work_says_what_how_often_and_why() {
        let due = Timestamp::from_millis(0);
        let (work, error) = (WorkKind::Register, "the service is silent".to_owned());
        let said = sentence(&entry(Happening::WorkPostponed { work, attempts: 3, error, due }));
        assert_eq!(said, "Could not tell the inventory (try 3): the service is silent; it will be tried again");
    }
}
