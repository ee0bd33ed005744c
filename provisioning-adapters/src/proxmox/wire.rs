//! What is sent to the API, and what is read out of its answers.

use std::net::IpAddr;

use bytes::Bytes;
use provisioning_core::model::Secret;
use provisioning_core::ports::{ClusterNode, ClusterStatus};
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize as _, Zeroizing};

/// Every answer of the API has its content in `data`.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "truth")]
    quorate: bool,
    #[serde(default, deserialize_with = "truth")]
    online: bool,
    #[serde(default)]
    ip: Option<String>,
}

/// Perl writes a truth value as a number, and now and then as a text.
fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Truth(bool),
        Number(i64),
        Text(String),
        Nothing(()),
    }
    Ok(match Written::deserialize(from)? {
        Written::Truth(truth) => truth,
        Written::Number(number) => number == 1,
        Written::Text(text) => text == "1",
        Written::Nothing(()) => false,
    })
}

/// The answer to `GET /cluster/status`: elements in any order.
pub(super) fn status(body: &[u8]) -> Result<ClusterStatus, serde_json::Error> {
    let entries = serde_json::from_slice::<Answer<Vec<Entry>>>(body)?.data;
    let cluster = entries.iter().find(|entry| entry.kind == "cluster");
    let nodes = entries.iter().filter(|entry| entry.kind == "node").map(|entry| ClusterNode {
        name: entry.name.clone(),
        online: entry.online,
        ip: entry.ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()),
    });
    Ok(ClusterStatus {
        name: cluster.map(|cluster| cluster.name.clone()),
        quorate: cluster.is_some_and(|cluster| cluster.quorate),
        nodes: nodes.collect(),
    })
}

/// The form that asks for a ticket. Its memory is cleared as soon as it was sent.
pub(super) fn ticket_form(password: &Secret<String>) -> Bytes {
    const PREFIX: &[u8] = b"username=root%40pam&password=";
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let password = password.expose().as_bytes();
    // At its full length from the beginning: what grows leaves copies behind.
    let mut form = Zeroizing::new(Vec::with_capacity(PREFIX.len() + 3 * password.len()));
    form.extend_from_slice(PREFIX);
    for byte in password {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            form.push(*byte);
        } else {
            form.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    Bytes::from_owner(form)
}

/// What came in answer to [`ticket_form`].
pub(super) enum TicketAnswer {
    Ticket(Secret<String>),
    /// Root has a second factor: the ticket is good for nothing but asking for that.
    SecondFactor,
}

/// The answer to `POST /access/ticket`; `None` when it is none. A ticket is one line of printable characters.
pub(super) fn ticket(body: &[u8]) -> Option<TicketAnswer> {
    #[derive(Deserialize)]
    struct Granted {
        ticket: String,
        #[serde(rename = "CSRFPreventionToken", default)]
        prevention: String,
        #[serde(rename = "NeedTFA", default, deserialize_with = "truth")]
        needs_second_factor: bool,
    }
    let Granted { ticket, mut prevention, needs_second_factor } =
        serde_json::from_slice::<Answer<Granted>>(body).ok()?.data;
    prevention.zeroize();
    let ticket = Secret::new(ticket);
    let text = ticket.expose();
    if needs_second_factor || text.starts_with("PVE:!tfa!") {
        return Some(TicketAnswer::SecondFactor);
    }
    let fits = text.starts_with("PVE:") && text.len() <= 4096 && text.bytes().all(|b| b.is_ascii_graphic());
    fits.then_some(TicketAnswer::Ticket(ticket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_with_numbers_and_with_texts() {
        let body = br#"{"data":[{"id":"node/pve1","ip":"10.0.0.5","level":"","local":0,"name":"pve1","nodeid":1,"online":1,"type":"node"},
            {"id":"cluster","name":"lab","nodes":2,"quorate":"1","type":"cluster","version":3},
            {"id":"node/pve3","name":"pve3","nodeid":3,"online":null,"type":"node"}]}"#;
        let status = status(body).unwrap();
        assert_eq!((status.name.as_deref(), status.quorate, status.nodes.len()), (Some("lab"), true, 2));
        assert!(status.confirms("pve1") && !status.confirms("pve3") && !status.confirms("pve2"));
        assert_eq!(status.node("pve3").unwrap().ip, None);
    }

    #[test]
    fn a_standalone_host_confirms_nobody_not_even_itself() {
        let body = br#"{"data":[{"id":"node/pve1","name":"pve1","nodeid":0,"online":1,"local":1,"type":"node"}]}"#;
        let status = status(body).unwrap();
        assert!(status.name.is_none() && !status.confirms("pve1"));
    }

    #[test]
    fn a_password_of_any_characters_stays_one_field_of_the_form() {
        let form = ticket_form(&Secret::new("a&b=c d+é%".to_owned()));
        assert_eq!(form, b"username=root%40pam&password=a%26b%3Dc%20d%2B%C3%A9%25".as_slice());
    }

    #[test]
    fn half_a_ticket_and_a_ticket_with_a_line_end_are_none() {
        let of = |ticket: &str| ticket_in(&format!(r#"{{"data":{{"ticket":"{ticket}","CSRFPreventionToken":"x"}}}}"#));
        assert_eq!(of("PVE:root@pam:6562::c2ln").as_deref(), Some("PVE:root@pam:6562::c2ln"));
        assert_eq!(of("PVE:!tfa!%7B%7D:6562::c2ln").as_deref(), Some("second factor"));
        for bad in ["", "PVE:a b", "PVE:a\\nyes", "ABC:x"] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(ticket_in(r#"{"data":null}"#), None);
    }

    fn ticket_in(body: &str) -> Option<String> {
        Some(match ticket(body.as_bytes())? {
            TicketAnswer::Ticket(ticket) => ticket.expose().clone(),
            TicketAnswer::SecondFactor => "second factor".to_owned(),
        })
    }
}
