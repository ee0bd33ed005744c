//! The SSH adapter against a real OpenSSH server: each bullet of the port's contract, then what only a real server
//! can show. Needs root and Debian's package openssh-server.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod broken;
mod refusing;
mod sshd;

use std::net::TcpListener;
use std::time::Duration;

use provisioning_adapters::ssh::SshShell;
use provisioning_core::conformance::RemoteShellFixture;
use provisioning_core::model::Secret;
use provisioning_core::ports::{RemoteShell, ShellError, Target};

use sshd::Sshd;

provisioning_core::remote_shell_conformance!(Sshd::start(""));

#[tokio::test]
async fn a_connection_that_breaks_while_the_key_is_looked_at_is_no_refusal() {
    let sshd = Sshd::start("AuthorizedKeysCommand /bin/sh -c \"kill -9 $PPID\"\nAuthorizedKeysCommandUser root\n");
    let unknown = sshd.shell().key_pair(&Secret::new([99; 32])).private;
    let opened = sshd.shell().open(&sshd.target(), &unknown).await;
    assert!(matches!(opened, Err(ShellError::Disconnected { .. })), "{:?}", opened.err());
}

#[tokio::test]
async fn a_refusal_that_leaves_no_other_way_in_is_a_refusal() {
    let host_key = SshShell::new().key_pair(&Secret::new([3; 32]));
    let address = refusing::serve_one(&host_key).await;
    let target = Target { address: address.ip(), host_keys: vec![host_key.public] };
    let ours = SshShell::new().key_pair(&Secret::new([4; 32])).private;
    let opened = SshShell::new().with_port(address.port()).open(&target, &ours).await;
    assert!(matches!(opened, Err(ShellError::KeyRefused { .. })), "{:?}", opened.err());
}

#[tokio::test]
async fn a_server_that_wants_more_than_the_key_has_not_refused_it() {
    let sshd = Sshd::start("AuthenticationMethods publickey,password\nPasswordAuthentication yes\n");
    let opened = sshd.shell().open(&sshd.target(), &sshd.key()).await;
    assert!(matches!(opened, Err(ShellError::Disconnected { .. })), "{:?}", opened.err());
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_the_connection_and_says_nothing_is_unreachable_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let shell = SshShell::new().with_port(address.port());
    let pair = shell.key_pair(&Secret::new([1; 32]));
    let target = Target { address: address.ip(), host_keys: vec![pair.public] };
    let began = tokio::time::Instant::now();
    let opened = shell.open(&target, &pair.private).await;
    assert!(matches!(opened, Err(ShellError::Unreachable { source: Some(_), .. })));
    assert!(began.elapsed() <= Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_target_with_rsa_keys_only_is_trusted_by_none_of_them() {
    let sshd = Sshd::start("");
    let target = Target { host_keys: vec![sshd.rsa_host_key()], ..sshd.target() };
    let opened = sshd.shell().open(&target, &sshd.key()).await;
    assert!(matches!(opened, Err(ShellError::HostKeyMismatch { .. })));
}

#[tokio::test]
async fn a_private_key_that_is_none_is_bad() {
    let sshd = Sshd::start("");
    let opened = sshd.shell().open(&sshd.target(), &Secret::new("hunter2".to_owned())).await;
    let error = opened.err().expect("this is no key");
    assert!(matches!(error, ShellError::BadKey { .. }));
    assert!(!format!("{error:?}").contains("hunter2"));
}
