//! Texts that become types: what is accepted stays on its line, is no longer than it was, and reads back the same.

use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;
use provisioning_core::model::{BootToken, CertFingerprint, MemberAddr, OperationId, SshPublicKey, Timestamp};
use provisioning_core::render::RemoteCommand;

use crate::text;

fn check_all(text: &str) {
    text::mac(text.as_bytes());
    text::hostname(text.as_bytes());
    text::boot_token(text.as_bytes());
    text::reads_back::<IpNet>(text);
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";

/// Texts that some type accepts, or nearly: each is broken by what may stand around a value on a line.
fn nearly_right() -> impl Strategy<Value = String> {
    let right = prop_oneof![
        "[0-9A-F]{2}(:[0-9a-f]{2}){5}",
        "[a-zA-Z0-9-]{1,64}(\\.[a-z0-9-]{1,20}){0,3}",
        "https?://[a-z0-9.-]{1,30}(:[0-9]{1,6})?(/[a-z0-9._~-]{0,9}){0,3}",
        "https?://\\[[0-9a-f:]{2,12}\\](:80)?",
        "[0-9]{1,3}(\\.[0-9]{1,3}){3}(/[0-9]{1,3})?",
        "[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(/[0-9]{1,3})?",
        "[0-9a-fA-F]{64}",
        "[0-9]{1,4}\\.[0-9]{1,4}",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        Just(KEY.to_owned()),
    ];
    let barb = select(vec!["", "", "", "\n", "\r\n", " ", "\0", "'", "\"", "\\", "$", "`", "%", "ä", "\u{2028}"]);
    (right, barb, any::<proptest::sample::Index>()).prop_map(|(mut text, barb, place)| {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        text.insert_str(*place.get(&places), barb);
        text
    })
}

fn any_command() -> impl Strategy<Value = RemoteCommand> {
    let operation = any::<[u8; 16]>().prop_map(OperationId::from_bytes);
    let member = nearly_right().prop_filter_map("no member", |text| text.parse::<MemberAddr>().ok());
    (operation, member, any::<[u8; 32]>(), 0..6).prop_map(|(operation, member, digest, which)| {
        let key: SshPublicKey = KEY.parse().expect("the key of the tests is a key");
        match which {
            0 => RemoteCommand::Foothold { key },
            1 => RemoteCommand::Members,
            2 => RemoteCommand::StartJoin { operation, member, fingerprint: CertFingerprint::new(digest) },
            3 => RemoteCommand::FollowJoin { operation },
            4 => RemoteCommand::ClearJoin { operation },
            _ => RemoteCommand::Revoke { operation, key },
        }
    })
}

proptest! {
    #[test]
    fn nearly_right_texts_are_refused_or_read_back_the_same(text in nearly_right()) {
        check_all(&text);
    }

    #[test]
    fn any_text_is_refused_or_reads_back_the_same(text: String) {
        check_all(&text);
    }

    #[test]
    fn a_token_that_is_accepted_is_written_exactly_as_it_came(text in "[A-Za-z0-9_-]{40,45}|\\PC{0,60}") {
        text::boot_token(text.as_bytes());
    }

    #[test]
    fn every_token_reads_back(at in 0_i64..1 << 47, random: [u8; 10], secret: [u8; 16]) {
        let token = BootToken::new(OperationId::new(Timestamp::from_millis(at), random), secret);
        prop_assert_eq!(token.expose().parse(), Ok(token));
    }

    #[test]
    fn every_command_reads_back_from_the_line_it_was_written_as(command in any_command()) {
        prop_assert_eq!(RemoteCommand::from_line(&command.line()), Some(command));
    }

    #[test]
    fn a_line_that_was_tampered_with_is_no_command(
        command in any_command(), place: proptest::sample::Index, barb in "['\" \\\\;a-f0-9$]{1,3}", cut in 0_usize..3,
    ) {
        let line = command.line();
        let places: Vec<usize> = line.char_indices().map(|(at, _)| at).collect();
        let at = *place.get(&places);
        let rest: String = line[at..].chars().skip(cut).collect();
        let tampered = format!("{}{barb}{rest}", &line[..at]);
        // An argument may have become another good one; the script around it never.
        if let Some(read) = RemoteCommand::from_line(&tampered) {
            prop_assert_eq!(read.line(), tampered);
            prop_assert_eq!(read.name(), command.name());
        }
    }

    #[test]
    fn any_line_is_read_without_a_panic(line in "('[^']{0,9}'| ){0,9}|\\PC{0,40}") {
        prop_assert!(RemoteCommand::from_line(&line).is_none_or(|command| command.line() == line));
    }
}
