//! Texts that become types: what is accepted stays on its line, is hardly longer than it was, and reads back the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use provisioning_core::model::{
    BaseUrl, BootToken, CertFingerprint, Domain, Fqdn, HardwareId, HostId, Hostname, MacAddr, MailAddress, MemberAddr,
    NicName, Release, ServerTypeKey, SshPublicKey, Timezone,
};

/// An Ethernet address, as firmware writes it into a URL.
pub fn mac(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    reads_back::<MacAddr>(&text);
    if let Ok(mac) = text.parse::<MacAddr>() {
        assert!(mac.octets()[0] & 1 == 0, "{mac} is a group's");
    }
}

/// A host's name, and every other word that goes into a file or onto a line of ours.
pub fn hostname(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    reads_back::<Hostname>(&text);
    reads_back::<Domain>(&text);
    reads_back::<Fqdn>(&text);
    reads_back::<ServerTypeKey>(&text);
    reads_back::<BaseUrl>(&text);
    reads_back::<MemberAddr>(&text);
    reads_back::<CertFingerprint>(&text);
    reads_back::<SshPublicKey>(&text);
    reads_back::<HardwareId>(&text);
    reads_back::<Release>(&text);
    reads_back::<HostId>(&text);
    reads_back::<NicName>(&text);
    reads_back::<MailAddress>(&text);
    reads_back::<Timezone>(&text);
}

/// The token of an operation, out of a URL or a header.
pub fn boot_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(token) = text.parse::<BootToken>() {
        assert_eq!(token.expose(), text, "one token has one spelling");
        assert!(!format!("{token:?}").contains(&text[22..]), "the secret half is shown");
    }
}

/// Checks one text against one type.
pub fn reads_back<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert!(!written.contains(char::is_control), "{text:?} became {written:?}");
    // Dividers may be added: a fingerprint and an id can be given without.
    assert!(written.len() <= 2 * text.len(), "{text:?} became {written:?}");
    assert_eq!(written.parse::<T>().ok(), Some(value), "{text:?} was written as {written:?}");
}
