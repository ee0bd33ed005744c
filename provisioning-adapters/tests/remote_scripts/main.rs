//! The commands that core runs on hosts, run by real shells with real tools: busybox' and Debian's. Needs root (for
//! `chroot`) and Debian's package busybox-static.
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod host;
mod join;
mod keys;

use std::process::Command;

use provisioning_core::model::{CertFingerprint, OperationId, SshPublicKey, Timestamp};
use provisioning_core::render::RemoteCommand;

use host::{Host, Tools};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";

fn key() -> SshPublicKey {
    KEY.parse().unwrap()
}

fn operation() -> OperationId {
    OperationId::new(Timestamp::from_millis(1_700_000_000_000), [7; 10])
}

fn start_join() -> RemoteCommand {
    RemoteCommand::StartJoin {
        operation: operation(),
        member: "pve1.lab.example".parse().unwrap(),
        fingerprint: CertFingerprint::new([0xab; 32]),
    }
}

/// Each check as two tests, one for each set of tools.
macro_rules! on_both {
    ($($module:ident :: $check:ident),+ $(,)?) => {
        mod busybox {
            $(#[test] fn $check() { super::$module::$check(&super::Host::new(super::Tools::Busybox)); })+
        }
        mod debian {
            $(#[test] fn $check() { super::$module::$check(&super::Host::new(super::Tools::Debian)); })+
        }
    };
}

on_both!(
    keys::a_foothold_twice_leaves_one_line,
    keys::a_foothold_keeps_what_stood_there_even_without_a_last_newline,
    keys::members_are_printed_as_they_are,
    keys::a_revocation_removes_the_key_everywhere_and_nothing_else,
    keys::a_revoked_foothold_leaves_no_empty_file,
    keys::a_file_that_cannot_be_written_fails_the_revocation_and_keeps_the_foothold,
    keys::a_revocation_waits_for_the_cluster_file_system,
    join::a_second_start_finds_the_first,
    join::the_secret_reaches_pvecm_and_no_other_place,
    join::a_secret_without_a_newline_is_whole,
    join::no_secret_is_an_error_and_starts_nothing,
    join::a_run_directory_that_cannot_be_made_is_an_error,
    join::following_tells_each_stage,
    join::a_join_whose_runner_died_is_lost,
    join::a_join_outlives_the_login_that_started_it,
    join::an_ended_join_is_cleared_and_a_running_one_is_not,
);

#[test]
fn every_script_is_read_without_complaint_by_dash_and_busybox() {
    let operation = operation();
    let commands = [
        RemoteCommand::Foothold { key: key() },
        RemoteCommand::Members,
        start_join(),
        RemoteCommand::FollowJoin { operation },
        RemoteCommand::ClearJoin { operation },
        RemoteCommand::Revoke { operation, key: key() },
    ];
    for shell in ["dash -n -c", "busybox sh -n -c"] {
        for command in &commands {
            // Whatever among the line's words has several lines, or is the one after -c, is a script.
            let words = format!(
                "set -- {}; {shell} \"$3\" || exit; for word; do case $word in *'\n'*) {shell} \"$word\" || exit;; esac; done",
                command.line()
            );
            let output = Command::new("dash").args(["-c", &words]).output().expect("dash is there");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{shell}, {}: {said}", command.name());
        }
    }
}
