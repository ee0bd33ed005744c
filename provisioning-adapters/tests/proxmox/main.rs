//! The adapter for a member's API: each bullet of the port's contract, then what only HTTPS can show.
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

mod member;

use provisioning_core::model::Secret;
use provisioning_core::ports::{ClusterMember as _, ClusterMemberError, Retry};

use member::{Member, PASSWORD, TICKET, TOKEN};

provisioning_core::cluster_member_conformance!(Member::start().await);

#[tokio::test]
async fn without_a_token_nobody_is_asked() {
    let member = Member::start().await;
    assert_eq!(member.asked_with(None).status().await.unwrap(), None);
    assert!(member.memory().requests.is_empty());
}

#[tokio::test]
async fn a_member_that_fails_is_tried_later_and_one_that_forbids_is_not() {
    let member = Member::start().await;
    let adapter = member.asked_with(Some(TOKEN));
    for (status, retry) in [(500, Retry::Later), (503, Retry::Later), (302, Retry::Later), (403, Retry::Never)] {
        member.memory().answers = Some((status, "no".to_owned()));
        let error = adapter.status().await.unwrap_err();
        assert_eq!(error.retry(), retry, "{status}: {error}");
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test]
async fn answers_that_are_none_are_no_membership_and_no_ticket() {
    let member = Member::start().await;
    let adapter = member.asked_with(Some(TOKEN));
    for text in ["", "{}", "[]", r#"{"data":{}}"#, r#"{"data":null}"#, "<html>"] {
        member.memory().answers = Some((200, text.to_owned()));
        assert!(matches!(adapter.status().await, Err(ClusterMemberError::Unavailable { .. })), "{text}");
        let ticket = adapter.ticket(&Secret::new(PASSWORD.to_owned())).await;
        assert!(matches!(ticket, Err(ClusterMemberError::Unavailable { .. })), "{text}");
    }
    member.memory().answers = Some((200, " ".repeat((1 << 20) + 1)));
    let error = adapter.status().await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn a_root_with_a_second_factor_is_refused_and_said_so() {
    let member = Member::start().await;
    let answer = r#"{"data":{"ticket":"PVE:!tfa!%7B%22totp%22%3Atrue%7D:6562::c2ln","NeedTFA":1}}"#;
    member.memory().answers = Some((200, answer.to_owned()));
    let error = member.asked_with(None).ticket(&Secret::new(PASSWORD.to_owned())).await.unwrap_err();
    assert!(matches!(&error, ClusterMemberError::Refused { said } if said.contains("second factor")), "{error:?}");
}

#[tokio::test]
async fn no_secret_stands_in_what_can_be_printed() {
    let member = Member::start().await;
    let adapter = member.asked_with(Some(TOKEN));
    let ticket = adapter.ticket(&Secret::new(PASSWORD.to_owned())).await.unwrap();
    let printed = format!("{adapter:?} {ticket:?}");
    assert!(!printed.contains("6f1c7a52") && !printed.contains(TICKET), "{printed}");
}

#[tokio::test]
async fn a_member_whose_port_is_closed_is_tried_later() {
    let member = Member::start().await;
    let adapter = member.asked_with(Some(TOKEN));
    let closed = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let adapter = adapter.with_port(&"127.0.0.1".parse().unwrap(), closed);
    let error = adapter.status().await.unwrap_err();
    assert!(
        matches!(&error, ClusterMemberError::Unavailable { said, .. } if said.contains("no connection")),
        "{error:?}"
    );
}
