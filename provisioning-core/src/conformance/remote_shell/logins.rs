//! What the `RemoteShell` contract says: who is let in, and where.

use std::time::Duration;

use super::super::rule::Checked;
use super::{RemoteShellFixture, login, run};
use crate::model::{Secret, SshPublicKey};
use crate::ports::{RemoteShell, ShellError, Target};

/// Whichever of the target's keys it is.
pub async fn a_pinned_host_key_is_accepted(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let all = fixture.target();
    let mut pinned: Vec<Vec<SshPublicKey>> = all.host_keys.iter().map(|key| vec![key.clone()]).collect();
    pinned.push(all.host_keys.clone());
    let other = other_key(&shell).0;
    if let Some(of_its_type) = all.host_keys.iter().find(|key| key.algorithm() == other.algorithm()) {
        pinned.push(vec![other, of_its_type.clone()]);
    }
    for host_keys in pinned {
        let target = Target { host_keys, ..all.clone() };
        let opened = shell.open(&target, &fixture.key()).await;
        assert!(opened.is_ok(), "{:?}: {:?}", target.host_keys, opened.err());
        let login = opened?;
        if fixture.capabilities().any_command {
            assert_eq!(run(&*login, "id -u").await.stdout, "0\n");
        }
        login.close().await;
    }
    Ok(())
}

/// With `HostKeyMismatch`, before a signature is made.
pub async fn any_other_host_key_is_refused(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    for host_keys in [vec![other_key(&shell).0], vec![]] {
        let target = Target { host_keys, ..fixture.target() };
        let opened = shell.open(&target, &fixture.key()).await;
        assert!(matches!(opened, Err(ShellError::HostKeyMismatch { address }) if address == target.address));
    }
    Ok(())
}

/// With `KeyRefused`, and only then.
pub async fn a_key_that_does_not_open_is_refused(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let opened = shell.open(&fixture.target(), &other_key(&shell).1).await;
    assert!(matches!(opened, Err(ShellError::KeyRefused { address }) if address == fixture.target().address));
    login(fixture, &shell).await.close().await;
    Ok(())
}

/// Within 15 s, with `Unreachable`.
pub async fn a_host_that_is_not_there_is_unreachable(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let nowhere = fixture.nowhere();
    let opened = tokio::time::timeout(Duration::from_secs(15), shell.open(&nowhere, &fixture.key())).await?;
    assert!(matches!(opened, Err(ShellError::Unreachable { address, .. }) if address == nowhere.address));
    Ok(())
}

/// And another seed another.
pub async fn the_same_seed_gives_the_same_key_pair(fixture: &impl RemoteShellFixture) -> Checked {
    let shell = fixture.fresh().await;
    let [a, again, b] = [[1; 32], [1; 32], [2; 32]].map(|seed| shell.key_pair(&Secret::new(seed)));
    assert_eq!(a.public, again.public);
    assert_eq!(a.private, again.private);
    assert_ne!(a.public, b.public);
    assert_ne!(a.private, b.private);
    assert_eq!(a.public.algorithm(), "ssh-ed25519");
    Ok(())
}

fn other_key(shell: &impl RemoteShell) -> (SshPublicKey, Secret<String>) {
    let pair = shell.key_pair(&Secret::new([0xee; 32]));
    (pair.public, pair.private)
}
