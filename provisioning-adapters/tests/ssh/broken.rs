//! Shells that are broken on purpose, one fault each, around the one that is not and a real sshd.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_adapters::ssh::SshShell;
use provisioning_core::conformance::{RemoteShellFixture, remote_shell};
use provisioning_core::model::{Secret, SshPublicKey};
use provisioning_core::ports::{Command, KeyPair, Output, RemoteShell, Shell, ShellError, Target};

use crate::sshd::Sshd;

/// What is wrong with a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AcceptsAnyHostKey,
    KnowsOnlyTheFirstHostKey,
    TakesSilenceForARefusal,
    TakesARefusalForSilence,
    ForgetsTheSeed,
    LosesTheTailOfStdout,
    HidesSignals,
    LosesTheInput,
    IgnoresTheTimeLimit,
    CutsLongOutput,
    MixesCommands,
    SucceedsOnALostConnection,
}

/// Makes a test of each: the shell with this fault breaks these rules and no other.
macro_rules! breaks {
    ($($name:ident: $fault:ident breaks $rules:expr;)+) => {
        $(
            #[test]
            fn $name() {
                let broken = remote_shell::broken_rules(async || Host { sshd: Sshd::start(""), fault: Fault::$fault });
                let rules: Vec<&str> = broken.iter().map(|broken| broken.rule).collect();
                assert_eq!(rules, $rules, "{broken:#?}");
            }
        )+

        #[test]
        fn each_rule_of_the_shell_bites() {
            let broken: Vec<&str> = [$(&$rules[..]),+].concat();
            let toothless: Vec<_> = remote_shell::RULES.iter().filter(|rule| !broken.contains(rule)).collect();
            assert!(toothless.is_empty(), "no broken shell shows that these bite: {toothless:?}");
        }
    };
}

breaks! {
    one_that_accepts_any_host_key: AcceptsAnyHostKey breaks ["any_other_host_key_is_refused"];
    one_that_knows_only_the_first_host_key: KnowsOnlyTheFirstHostKey breaks ["a_pinned_host_key_is_accepted"];
    one_that_takes_silence_for_a_refusal: TakesSilenceForARefusal breaks ["a_host_that_is_not_there_is_unreachable"];
    one_that_takes_a_refusal_for_silence: TakesARefusalForSilence breaks ["a_key_that_does_not_open_is_refused"];
    one_that_forgets_the_seed: ForgetsTheSeed breaks ["the_same_seed_gives_the_same_key_pair"];
    one_that_loses_the_tail_of_stdout: LosesTheTailOfStdout breaks
        ["both_outputs_arrive_whole", "stdin_is_fed_and_closed"];
    one_that_hides_signals: HidesSignals breaks ["the_exit_status_arrives"];
    one_that_loses_the_input: LosesTheInput breaks ["stdin_is_fed_and_closed"];
    one_that_ignores_the_time_limit: IgnoresTheTimeLimit breaks ["a_command_over_its_time_is_given_up"];
    one_that_cuts_long_output: CutsLongOutput breaks ["output_over_the_limit_is_an_error"];
    one_that_mixes_commands: MixesCommands breaks ["commands_follow_one_another"];
    one_that_succeeds_on_a_lost_connection: SucceedsOnALostConnection breaks ["a_lost_connection_is_an_error"];
}

/// A good host, and the fault of the adapter that logs in to it.
struct Host {
    sshd: Sshd,
    fault: Fault,
}

impl RemoteShellFixture for Host {
    type Shell = BrokenShell;

    async fn fresh(&self) -> BrokenShell {
        let every_key = self.sshd.target().host_keys;
        BrokenShell { inner: self.sshd.shell(), fault: self.fault, every_key, pairs_made: AtomicU8::new(0) }
    }

    fn target(&self) -> Target {
        self.sshd.target()
    }

    fn key(&self) -> Secret<String> {
        self.sshd.key()
    }

    fn nowhere(&self) -> Target {
        self.sshd.nowhere()
    }

    fn break_connections(&self) {
        self.sshd.break_connections();
    }
}

struct BrokenShell {
    inner: SshShell,
    fault: Fault,
    every_key: Vec<SshPublicKey>,
    pairs_made: AtomicU8,
}

#[async_trait]
impl RemoteShell for BrokenShell {
    fn key_pair(&self, seed: &Secret<[u8; 32]>) -> KeyPair {
        if self.fault != Fault::ForgetsTheSeed {
            return self.inner.key_pair(seed);
        }
        self.inner.key_pair(&Secret::new([self.pairs_made.fetch_add(1, Ordering::Relaxed); 32]))
    }

    async fn open(&self, target: &Target, key: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        let mut target = target.clone();
        match self.fault {
            Fault::AcceptsAnyHostKey => target.host_keys.clone_from(&self.every_key),
            Fault::KnowsOnlyTheFirstHostKey => target.host_keys.truncate(1),
            _ => {}
        }
        match self.inner.open(&target, key).await {
            Ok(inner) => Ok(Box::new(BrokenLogin { inner, fault: self.fault, said: Mutex::default() })),
            Err(ShellError::Unreachable { address, .. }) if self.fault == Fault::TakesSilenceForARefusal => {
                Err(ShellError::KeyRefused { address })
            }
            Err(ShellError::KeyRefused { address }) if self.fault == Fault::TakesARefusalForSilence => {
                Err(ShellError::Unreachable { address, source: None })
            }
            Err(error) => Err(error),
        }
    }
}

struct BrokenLogin {
    inner: Box<dyn Shell>,
    fault: Fault,
    /// What earlier commands wrote to standard error.
    said: Mutex<String>,
}

#[async_trait]
impl Shell for BrokenLogin {
    async fn run(&self, command: &Command) -> Result<Output, ShellError> {
        let mut command = command.clone();
        match self.fault {
            Fault::LosesTheInput => command.stdin = None,
            Fault::IgnoresTheTimeLimit => command.time_limit = Duration::from_secs(3600),
            _ => {}
        }
        let nothing = Output { status: 0, stdout: String::new(), stderr: String::new() };
        let mut output = match self.inner.run(&command).await {
            Err(ShellError::TooMuchOutput { .. }) if self.fault == Fault::CutsLongOutput => nothing,
            Err(ShellError::Disconnected { .. }) if self.fault == Fault::SucceedsOnALostConnection => nothing,
            outcome => outcome?,
        };
        match self.fault {
            Fault::HidesSignals if output.status > 128 => output.status = 1,
            Fault::LosesTheTailOfStdout => {
                let last_line = output.stdout.trim_end().rfind('\n').map_or(output.stdout.len(), |end| end + 1);
                output.stdout.truncate(last_line);
            }
            Fault::MixesCommands => {
                let mut said = self.said.lock().unwrap();
                said.push_str(&output.stderr);
                output.stderr.clone_from(&said);
            }
            _ => {}
        }
        Ok(output)
    }

    async fn close(self: Box<Self>) {
        self.inner.close().await;
    }
}
