//! The contract of `RemoteShell` and `Shell`, a check for each bullet, over any adapter and any host.

use std::time::{Duration, Instant};

use provisioning_core::model::{Secret, SshPublicKey};
use provisioning_core::ports::{Command, Output, RemoteShell, Shell, ShellError, Target};

/// A host to be checked against: it has a POSIX shell and the usual tools.
pub(crate) trait Fixture: Sync {
    /// The host, with all of its keys.
    fn target(&self) -> Target;
    /// The key that opens it.
    fn key(&self) -> &Secret<String>;
    /// An address where nobody answers.
    fn nowhere(&self) -> Target;
    /// Ends every connection to the host, as a power cut does.
    fn break_connections(&self);
    /// A directory on the host, its own for each fixture, that the test sees too.
    fn directory(&self) -> &std::path::Path;
}

/// Waits, for at most 20 s, until `condition` holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let holds = async {
        while !condition() {
            look.tick().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), holds).await;
    assert!(waited.is_ok(), "not so after 20 s: {what}");
}

async fn login(shell: &dyn RemoteShell, host: &dyn Fixture) -> Box<dyn Shell> {
    shell.open(&host.target(), host.key()).await.expect("the host lets us in")
}

async fn run(shell: &dyn Shell, line: &str) -> Output {
    shell.run(&Command::new(line)).await.expect("the command runs")
}

fn other_key(shell: &dyn RemoteShell) -> (SshPublicKey, Secret<String>) {
    let pair = shell.key_pair(&Secret::new([0xee; 32]));
    (pair.public, pair.private)
}

pub(crate) async fn a_pinned_host_key_is_accepted(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let all = host.target();
    assert!(all.host_keys.len() > 1, "the fixture has keys of several types");
    let mut pinned: Vec<Vec<SshPublicKey>> = all.host_keys.iter().map(|key| vec![key.clone()]).collect();
    let other = other_key(shell).0;
    let of_its_type = all.host_keys.iter().find(|key| key.algorithm() == other.algorithm()).expect("an ed25519 key");
    pinned.push(vec![other, of_its_type.clone()]);
    pinned.push(all.host_keys.clone());
    for host_keys in pinned {
        let target = Target { host_keys, ..all.clone() };
        let login = shell.open(&target, host.key()).await.unwrap_or_else(|e| panic!("{:?}: {e}", target.host_keys));
        assert_eq!(run(&*login, "id -u").await.stdout, "0\n");
        login.close().await;
    }
}

pub(crate) async fn any_other_host_key_is_refused(shell: &dyn RemoteShell, host: &dyn Fixture) {
    for host_keys in [vec![other_key(shell).0], vec![]] {
        let target = Target { host_keys, ..host.target() };
        let opened = shell.open(&target, host.key()).await;
        assert!(matches!(opened, Err(ShellError::HostKeyMismatch { address }) if address == target.address));
    }
}

pub(crate) async fn a_key_that_does_not_open_is_refused(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let opened = shell.open(&host.target(), &other_key(shell).1).await;
    assert!(matches!(opened, Err(ShellError::KeyRefused { address }) if address == host.target().address));
    login(shell, host).await.close().await;
}

pub(crate) async fn a_host_that_is_not_there_is_unreachable(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let began = Instant::now();
    let opened = shell.open(&host.nowhere(), host.key()).await;
    assert!(matches!(opened, Err(ShellError::Unreachable { address, .. }) if address == host.nowhere().address));
    assert!(began.elapsed() < Duration::from_secs(15));
}

pub(crate) async fn the_same_seed_gives_the_same_key_pair(shell: &dyn RemoteShell, _: &dyn Fixture) {
    let [a, again, b] = [[1; 32], [1; 32], [2; 32]].map(|seed| shell.key_pair(&Secret::new(seed)));
    assert_eq!(a.public, again.public);
    assert_eq!(a.private, again.private);
    assert_ne!(a.public, b.public);
    assert_ne!(a.private, b.private);
    assert_eq!(a.public.algorithm(), "ssh-ed25519");
}

pub(crate) async fn both_outputs_arrive_whole(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let login = login(shell, host).await;
    let line = "seq 200000; seq 200000 -1 1 >&2; (while kill -0 $$ 2>/dev/null; do :; done; echo late) & exit 7";
    let command = Command { output_limit_bytes: 8 << 20, ..Command::new(line) };
    let output = login.run(&command).await.unwrap();
    let numbers: Vec<String> = (1..=200_000).map(|n| n.to_string()).collect();
    assert_eq!(output.status, 7);
    assert!(output.stdout == numbers.join("\n") + "\nlate\n");
    let backwards: Vec<String> = numbers.into_iter().rev().collect();
    assert!(output.stderr == backwards.join("\n") + "\n");
}

pub(crate) async fn the_exit_status_arrives(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let login = login(shell, host).await;
    for (line, status) in [("true", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill -TERM $$", 143)] {
        let output = run(&*login, line).await;
        assert_eq!(output, Output { status, stdout: String::new(), stderr: String::new() }, "{line}");
    }
}

pub(crate) async fn stdin_is_fed_and_closed(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let login = login(shell, host).await;
    let odd = "first 'line'\r\n\0\u{1}\u{7f}$(reboot) `x` \\ \u{fffd}\u{1f5a5} without an end".repeat(20_000);
    let command = Command { output_limit_bytes: odd.len(), ..Command::new("cat") };
    let output = login.run(&command.with_stdin(Secret::new(odd.clone()))).await.unwrap();
    assert_eq!(output.status, 0);
    assert!(output.stdout == odd, "{} of {} bytes came back", output.stdout.len(), odd.len());
    assert_eq!(run(&*login, "cat; echo end").await.stdout, "end\n");
    let unread = Command::new("echo deaf").with_stdin(Secret::new(odd.repeat(4)));
    assert_eq!(login.run(&unread).await.unwrap().stdout, "deaf\n");
}

pub(crate) async fn a_command_over_its_time_is_given_up(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let login = login(shell, host).await;
    let limit = Duration::from_millis(300);
    for line in ["exec sleep 40", "exec yes >&2", "exec 0<&- 1>&- 2>&-; exec sleep 40"] {
        let began = Instant::now();
        let command = Command { time_limit: limit, output_limit_bytes: usize::MAX, ..Command::new(line) };
        let result = login.run(&command).await;
        assert!(matches!(result, Err(ShellError::TimedOut { limit: told }) if told == limit), "{line}: {result:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{line}");
    }
    assert_eq!(run(&*login, "echo alive").await.stdout, "alive\n");
}

pub(crate) async fn output_over_the_limit_is_an_error(shell: &dyn RemoteShell, host: &dyn Fixture) {
    const MANY: usize = 20_000_000;
    let login = login(shell, host).await;
    for to in ["", " >&2"] {
        let line = format!("head -c {MANY} /dev/zero{to}");
        let command = Command { output_limit_bytes: MANY, ..Command::new(line) };
        let output = login.run(&command).await.unwrap();
        assert_eq!(output.stdout.len() + output.stderr.len(), MANY);
        let result = login.run(&Command { output_limit_bytes: MANY - 1, ..command }).await;
        assert!(matches!(result, Err(ShellError::TooMuchOutput { limit_bytes }) if limit_bytes == MANY - 1));
    }
    let endless = login.run(&Command { output_limit_bytes: 1000, ..Command::new("yes") }).await;
    assert!(matches!(endless, Err(ShellError::TooMuchOutput { limit_bytes: 1000 })));
    assert_eq!(run(&*login, "echo alive").await.stdout, "alive\n");
}

pub(crate) async fn commands_follow_one_another(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let login = login(shell, host).await;
    for n in 0..5 {
        assert_eq!(run(&*login, &format!("echo {n}; echo {n}{n} >&2")).await.stderr, format!("{n}{n}\n"));
    }
    login.close().await;
}

pub(crate) async fn a_lost_connection_is_an_error(shell: &dyn RemoteShell, host: &dyn Fixture) {
    let login = login(shell, host).await;
    let begun = host.directory().join("begun");
    let command = Command::new(format!("echo whole; : >'{}'; exec sleep 40", begun.display()));
    let breaking = async {
        eventually("the command has begun", || begun.exists()).await;
        host.break_connections();
    };
    let (result, ()) = tokio::join!(login.run(&command), breaking);
    assert!(matches!(result, Err(ShellError::Disconnected { .. })), "{result:?}");
    let after = login.run(&Command::new("true")).await;
    assert!(matches!(after, Err(ShellError::Disconnected { .. })), "{after:?}");
}
