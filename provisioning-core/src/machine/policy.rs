//! How long each stage may take.

use std::time::Duration;

use super::state::Leg;

/// Time limits; see `timeouts` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From the boot script to the request for the answer: download and start of the installer. Default 20 min.
    pub pxe_booted: Duration,
    /// From the answer to the webhook. Default 60 min: slow disks and many packages.
    pub installing: Duration,
    /// From a netboot of a host that should be installing, but whose installer never began to write, to giving up.
    /// Default 2 min: an installer that has its answer begins within seconds.
    pub came_back: Duration,
    /// From the webhook to the phone-home. Default 20 min: servers with much memory take long to reboot.
    pub installed: Duration,
    /// From the phone-home to the first login. Default 5 min.
    pub first_boot: Duration,
    /// From the join slot to ready. Default 15 min.
    pub joining: Duration,
    /// How long a failed join can be resumed. Default 1 h.
    pub resume_window: Duration,
    /// How long after the first answer the same installer may still ask again. Default 60 s, the installer's
    /// own time-out (`reference/fetch-answer.md`): whoever asks later is a second installer, and would write the
    /// disks a second time.
    pub answer_repeat: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            pxe_booted: minutes(20),
            installing: minutes(60),
            came_back: minutes(2),
            installed: minutes(20),
            first_boot: minutes(5),
            joining: minutes(15),
            resume_window: minutes(60),
            answer_repeat: minutes(1),
        }
    }
}

impl Policy {
    /// What a leg is given when it is entered; `None` waits without limit. Joining gets its time with the slot.
    pub fn time_allowed(&self, leg: Leg) -> Option<Duration> {
        match leg {
            Leg::PxeReady | Leg::Joining(_) => None,
            Leg::PxeBooted => Some(self.pxe_booted),
            Leg::Installing => Some(self.installing),
            Leg::Installed => Some(self.installed),
            Leg::FirstBoot => Some(self.first_boot),
        }
    }
}
