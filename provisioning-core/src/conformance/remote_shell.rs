//! The suite of [`RemoteShell`] and [`Shell`].

mod commands;
mod logins;

use std::future::Future;

use super::rule::Broken;
use crate::model::Secret;
use crate::ports::{Command, Output, RemoteShell, Shell, Target};

pub use commands::{
    a_command_over_its_time_is_given_up, a_lost_connection_is_an_error, both_outputs_arrive_whole,
    commands_follow_one_another, output_over_the_limit_is_an_error, stdin_is_fed_and_closed, the_exit_status_arrives,
};
pub use logins::{
    a_host_that_is_not_there_is_unreachable, a_key_that_does_not_open_is_refused, a_pinned_host_key_is_accepted,
    any_other_host_key_is_refused, the_same_seed_gives_the_same_key_pair,
};

/// What a host that an adapter is checked against may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShellCapabilities {
    /// It runs any line, by a POSIX shell and with the usual tools. A simulated host knows a few commands only: it is
    /// asked [`RemoteShellFixture::known_commands`], and what needs more is not checked.
    pub any_command: bool,
}

/// Makes the adapter that is checked, and the host it logs in to. Each rule has a fixture of its own.
pub trait RemoteShellFixture {
    /// The adapter.
    type Shell: RemoteShell;
    /// The adapter, set to log in to the host; asked for once.
    fn fresh(&self) -> impl Future<Output = Self::Shell>;
    /// The host, with all of its keys.
    fn target(&self) -> Target;
    /// The private key that opens it.
    fn key(&self) -> Secret<String>;
    /// An address where nobody answers.
    fn nowhere(&self) -> Target;
    /// Ends every connection to the host, as a power cut does.
    fn break_connections(&self);
    /// What the host can do.
    fn capabilities(&self) -> ShellCapabilities {
        ShellCapabilities { any_command: true }
    }
    /// For a host that does not run any command: some that it runs, and what each leaves when they are run in this
    /// order. Among them shall be one that fails and one that reads its input.
    fn known_commands(&self) -> Vec<(Command, Output)> {
        vec![]
    }
}

/// Makes each rule of [`RemoteShell`](crate::ports::RemoteShell) and [`Shell`](crate::ports::Shell) a test; takes an
/// expression that makes a [`RemoteShellFixture`](crate::conformance::RemoteShellFixture).
#[macro_export]
macro_rules! remote_shell_conformance {
    ($fixture:expr) => {
        $crate::__remote_shell_rules! { __rule_tests ($fixture) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __remote_shell_rules {
    ($with:ident $arguments:tt) => {
        $crate::$with! { remote_shell [
            a_pinned_host_key_is_accepted,
            any_other_host_key_is_refused,
            a_key_that_does_not_open_is_refused,
            a_host_that_is_not_there_is_unreachable,
            the_same_seed_gives_the_same_key_pair,
            both_outputs_arrive_whole,
            the_exit_status_arrives,
            stdin_is_fed_and_closed,
            a_command_over_its_time_is_given_up,
            output_over_the_limit_is_an_error,
            commands_follow_one_another,
            a_lost_connection_is_an_error,
        ] $arguments }
    };
}

/// The rules' names.
pub const RULES: &[&str] = crate::__remote_shell_rules! { __rule_names () };

/// Tries all rules, each on what `make` makes, and gives those that the adapter breaks. Call it outside of a runtime.
pub fn broken_rules<F: RemoteShellFixture>(make: impl AsyncFn() -> F) -> Vec<Broken> {
    crate::__remote_shell_rules! { __rules_broken (make().await) }
}

async fn login<F: RemoteShellFixture>(fixture: &F, shell: &F::Shell) -> Box<dyn Shell> {
    shell.open(&fixture.target(), &fixture.key()).await.expect("the host lets us in")
}

async fn run(shell: &dyn Shell, line: &str) -> Output {
    shell.run(&Command::new(line)).await.expect("the command runs")
}

/// Runs what the host knows, one after the other on one login, and compares what each left.
async fn run_known_commands(fixture: &impl RemoteShellFixture, login: &dyn Shell) {
    let known = fixture.known_commands();
    assert!(known.iter().any(|(_, output)| output.status != 0), "the fixture knows a command that fails");
    assert!(known.iter().any(|(command, _)| command.stdin.is_some()), "the fixture knows a command that reads");
    for (command, output) in known {
        let left = login.run(&command).await.expect("the command runs");
        assert_eq!(left, output, "{}", command.line);
    }
}
