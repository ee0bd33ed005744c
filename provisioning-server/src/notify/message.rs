//! What a target is sent: JSON, and headers that sign it the way of Standard Webhooks, for which libraries exist.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use provisioning_core::model::{BaseUrl, Hostname, Secret, Timestamp};
use provisioning_core::ports::JournalEntry;
use serde_json::{Value, json};
use sha2::Sha256;

use super::event::EventName;
use crate::web::sentence;

/// A message, the same at each try.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Names the event: a receiver that has seen it ignores the repeat.
    pub(super) id: String,
    pub(super) body: Bytes,
}

impl Message {
    /// Of a journal entry.
    pub(super) fn of(event: EventName, entry: &JournalEntry, hostname: Option<&Hostname>, base: &BaseUrl) -> Self {
        let host = entry
            .host
            .map(|id| json!({ "id": id.to_string(), "hostname": hostname, "url": base.join(&format!("/hosts/{id}")) }));
        let body = json!({
            "id": entry.seq,
            "event": event.as_str(),
            "at": entry.at,
            "text": sentence(entry),
            "host": host,
            "operation": entry.operation.map(|id| id.to_string()),
            "entry": entry,
        });
        Self::with(entry.seq.to_string(), &body)
    }

    /// That nothing happened, but that messages arrive.
    pub(super) fn test(at: Timestamp, base: &BaseUrl) -> Self {
        let body = json!({
            "id": null, "event": "test", "at": at, "text": format!("A test message of {base}"), "host": null,
            "operation": null, "entry": null,
        });
        Self::with(format!("test-{}", at.as_millis()), &body)
    }

    fn with(id: String, body: &Value) -> Self {
        Self { id, body: body.to_string().into() }
    }
}

/// The value of `webhook-signature`: `v1,` and the base64 of the HMAC-SHA256 over `ID.TIMESTAMP.BODY`.
///
/// A secret of the form `whsec_BASE64` is those bytes; any other is the bytes of its text.
pub fn signature(secret: &Secret<String>, id: &str, unix_seconds: i64, body: &[u8]) -> String {
    let text = secret.expose();
    let decoded = text.strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
    let key = Secret::new(decoded.unwrap_or_else(|| text.as_bytes().to_vec()));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{unix_seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use provisioning_core::ports::{Happening, Source};

    use super::*;

    /// The example that implementations of Standard Webhooks test themselves with.
    #[test]
    fn a_signature_is_what_the_libraries_of_receivers_expect() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_message_says_what_happened_in_words_and_as_data() {
        let what = Happening::HostRegistered { name: "pve-07".parse().unwrap() };
        let at = Timestamp::from_millis(0);
        let entry = JournalEntry { seq: 7, at, host: None, operation: None, source: Source::Operator, what };
        let base: BaseUrl = "http://prov.lab:8080".parse().unwrap();
        let message = Message::of(EventName::Registered, &entry, None, &base);
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!((message.id.as_str(), &body["event"], &body["id"]), ("7", &json!("registered"), &json!(7)));
        assert_eq!((&body["text"], &body["entry"]["seq"]), (&json!("pve-07 was registered"), &json!(7)));
    }
}
