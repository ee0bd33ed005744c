//! What can go wrong in the world, and how often.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a machine sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Firmware asks what to boot.
    BootScript,
    /// The boot loader fetches kernel and initrd.
    Download,
    /// The installer asks for its answer file.
    Answer,
    /// The installer fetches the first-boot script.
    FirstBootScript,
    /// The installer reports its success, once.
    Webhook,
    /// The installed host phones home.
    PhoneHome,
}

/// Something that goes wrong once, or begins to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A message never arrives.
    LostRequest(Message),
    /// A message arrives, its reply does not.
    LostReply(Message),
    /// A message arrives twice.
    Doubled(Message),
    /// A message takes its time.
    Slow(Message),
    /// Our process died while it served the message.
    Reset(Message),
    /// A message of an older operation arrives now.
    Late(Message),
    /// The machine restarts again and again, right after its boot script.
    BootLoop,
    /// The machine loses its power.
    PowerCut,
    /// Nobody answers at the host's SSH port for minutes.
    SshOutage,
    /// A connection breaks after its command was done.
    SshCut,
    /// Another machine answers at the host's address for minutes.
    ForeignHostKey,
    /// The member refuses the password, once.
    JoinRefused,
    /// The member does not answer, once.
    JoinUnreachable,
    /// The join fails after the cluster has added the node, and exits with 0.
    JoinDies,
    /// The join waits for quorum until it is ended.
    JoinHangs,
    /// The join is killed.
    JoinKilled,
    /// Some tool on the host restores key files.
    KeysComeBack,
    /// A rebuild without `pvecm delnode` before: an old life of the host is a member still.
    OldMembership,
    /// Several members lose their power, and with them the cluster its quorum.
    QuorumLost,
    /// The store fails once: before or after it did what it was asked.
    StoreFailed,
    /// The store takes its time.
    StoreSlow,
    /// The vault fails once.
    VaultFailed,
    /// The boot server fails once.
    BootServerFailed,
    /// The inventory fails once.
    InventoryFailed,
    /// The inventory refuses the host, once.
    InventoryRefused,
    /// The inventory is gone for minutes.
    InventoryOutage,
    /// Our process is killed.
    Crash,
    /// The wall clock leaps forward by minutes.
    ClockForward,
    /// The wall clock goes back by seconds.
    ClockBack,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let debug = format!("{self:?}");
        let mut words = String::new();
        for char in debug.chars().filter(|char| *char != ')') {
            match char {
                '(' => words.push_str(" of"),
                upper if upper.is_ascii_uppercase() && words.is_empty() => words.push(upper.to_ascii_lowercase()),
                upper if upper.is_ascii_uppercase() => {
                    words.push(' ');
                    words.push(upper.to_ascii_lowercase());
                }
                lower => words.push(lower),
            }
        }
        f.write_str(&words)
    }
}

/// How much goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing, unless it was asked for.
    None,
    /// A bad week.
    Light,
    /// More than any site sees.
    #[default]
    Heavy,
}

impl Level {
    /// How many times in 10,000 occasions a fault happens.
    pub fn rate(self, fault: Fault) -> u32 {
        let heavy = heavy(fault);
        match self {
            Self::None => 0,
            Self::Light => heavy.div_ceil(5),
            Self::Heavy => heavy,
        }
    }
}

/// The occasions are: a message, a boot, a wait of the machine, a login, a command, an installation, an operation,
/// a call of a port, an hour.
fn heavy(fault: Fault) -> u32 {
    match fault {
        Fault::LostRequest(_) | Fault::LostReply(_) => 120,
        Fault::Doubled(_) | Fault::Slow(_) | Fault::JoinRefused | Fault::JoinUnreachable | Fault::KeysComeBack => 200,
        Fault::BootLoop | Fault::PowerCut | Fault::SshOutage | Fault::InventoryRefused => 150,
        Fault::SshCut | Fault::ForeignHostKey => 50,
        Fault::OldMembership => 1_000,
        Fault::QuorumLost | Fault::InventoryOutage => 700,
        Fault::StoreFailed | Fault::StoreSlow => 25,
        Fault::JoinDies | Fault::JoinHangs | Fault::JoinKilled | Fault::VaultFailed | Fault::BootServerFailed => 300,
        Fault::InventoryFailed => 800,
        Fault::Crash => 4,
        Fault::Late(_) | Fault::ClockForward | Fault::ClockBack => 1_500,
        // A consequence, not a draw.
        Fault::Reset(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_as_words() {
        assert_eq!(Fault::LostRequest(Message::FirstBootScript).to_string(), "lost request of first boot script");
        assert_eq!(Fault::Crash.to_string(), "crash");
    }

    #[test]
    fn light_is_less_and_none_is_nothing() {
        assert!(Level::Light.rate(Fault::PowerCut) < Level::Heavy.rate(Fault::PowerCut));
        assert_eq!(Level::None.rate(Fault::Crash), 0);
    }
}
