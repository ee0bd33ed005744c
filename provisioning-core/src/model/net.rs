//! Addresses of servers, and the fingerprints and keys that prove them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::name::{Domain, ParseNameError, text_type};

/// The URL under which machines reach us: `http://` or `https://`, host, optional port and path,
/// without query, fragment or trailing slash; at most 90 characters.
///
/// The limit leaves room for `/ipxe/${mac}` in the 127 characters that a BOOTP `file` field holds
/// (`reference/netboot.md` §2.5).
///
/// ```
/// # use provisioning_core::model::BaseUrl;
/// let url: BaseUrl = "http://10.0.0.2:8080/".parse()?;
/// assert_eq!(url.join("/ipxe/x"), "http://10.0.0.2:8080/ipxe/x");
/// assert!("10.0.0.2:8080".parse::<BaseUrl>().is_err());
/// # Ok::<(), provisioning_core::model::ParseUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BaseUrl(Arc<str>);

text_type!(BaseUrl, ParseUrlError);

impl BaseUrl {
    /// This URL with `path`, which begins with `/`, behind it.
    pub fn join(&self, path: &str) -> String {
        [&*self.0, path].concat()
    }

    /// Whether machines speak TLS to us.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for BaseUrl {
    type Err = ParseUrlError;

    fn from_str(text: &str) -> Result<Self, ParseUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(ParseUrlError::Scheme)?;
        if scheme != "http" && scheme != "https" {
            return Err(ParseUrlError::Scheme);
        }
        let rest = rest.trim_end_matches('/');
        if text.len() > 90 {
            return Err(ParseUrlError::TooLong);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
        if let Some(found) = rest.chars().find(|c| !allowed(*c)) {
            return Err(ParseUrlError::Character { found });
        }
        let authority = rest.split('/').next().unwrap_or_default();
        check_authority(authority)?;
        Ok(Self(format!("{scheme}://{rest}").into()))
    }
}

fn check_authority(authority: &str) -> Result<(), ParseUrlError> {
    if let Some(v6) = authority.strip_prefix('[') {
        let (address, port) = v6.split_once(']').ok_or(ParseUrlError::Host)?;
        address.parse::<std::net::Ipv6Addr>().map_err(|_| ParseUrlError::Host)?;
        return match port.strip_prefix(':') {
            Some(port) => check_port(port),
            None if port.is_empty() => Ok(()),
            None => Err(ParseUrlError::Host),
        };
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p)));
    host.parse::<MemberAddr>().map_err(|_| ParseUrlError::Host)?;
    port.map_or(Ok(()), check_port)
}

fn check_port(port: &str) -> Result<(), ParseUrlError> {
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        _ => Err(ParseUrlError::Port),
    }
}

/// Why a text is no URL that machines could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseUrlError {
    /// Neither `http://` nor `https://`.
    #[error("does not begin with http:// or https://")]
    Scheme,
    /// Too long for a DHCP boot file name.
    #[error("longer than 90 characters; with /ipxe/MAC it must fit into 127")]
    TooLong,
    /// A character that may not stand there unescaped; queries and fragments are not allowed either.
    #[error("has {found:?}, which may not stand in it")]
    Character {
        /// The first such character.
        found: char,
    },
    /// The host is neither a name nor an address.
    #[error("its host is neither a DNS name nor an IP address")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("its port is no number from 1 to 65535")]
    Port,
}

/// An existing member of the cluster: an IP address or a DNS name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MemberAddr(Arc<str>);

text_type!(MemberAddr, ParseNameError);

impl FromStr for MemberAddr {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        match text.parse::<IpAddr>() {
            Ok(ip) => Ok(Self(ip.to_string().into())),
            Err(_) => Ok(Self(text.parse::<Domain>()?.as_str().into())),
        }
    }
}

/// The SHA-256 fingerprint of a TLS certificate: 64 hexadecimal digits, colons optional, any case.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CertFingerprint([u8; 32]);

impl CertFingerprint {
    /// From a digest over the certificate's DER.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl fmt::Display for CertFingerprint {
    /// `AA:BB:…`, as Proxmox writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for CertFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CertFingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let digits: String = text.split(':').collect();
        let colons_fit = !text.contains(':') || text.split(':').all(|pair| pair.len() == 2);
        if digits.len() != 64 || !colons_fit || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseFingerprintError);
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).map_err(|_| ParseFingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

impl From<CertFingerprint> for String {
    fn from(value: CertFingerprint) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for CertFingerprint {
    type Error = ParseFingerprintError;

    fn try_from(text: String) -> Result<Self, ParseFingerprintError> {
        text.parse()
    }
}

/// The text is no SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a SHA-256 fingerprint: write 32 pairs of hexadecimal digits, as `pvecm status` or the node's certificate page shows them"
)]
pub struct ParseFingerprintError;

/// An SSH public key line without comment: `TYPE BASE64`, one of the types our SSH client speaks.
///
/// Without the comment, so that two keys are equal exactly when they are the same key.
///
/// ```
/// # use provisioning_core::model::SshPublicKey;
/// let text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x root@pve1";
/// let key: SshPublicKey = text.parse()?;
/// assert_eq!(key.algorithm(), "ssh-ed25519");
/// assert!(!key.as_str().contains("root@pve1"));
/// # Ok::<(), provisioning_core::model::ParseKeyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SshPublicKey(Arc<str>);

text_type!(SshPublicKey, ParseKeyError);

impl SshPublicKey {
    /// The key's type, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The base64 part alone: what stands for the key wherever its line was written.
    pub fn blob(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }
}

impl FromStr for SshPublicKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        const TYPES: [&str; 5] =
            ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];
        if text.len() > 16 * 1024 {
            return Err(ParseKeyError::Form);
        }
        let mut words = text.split_ascii_whitespace();
        let (kind, blob) = words.next().zip(words.next()).ok_or(ParseKeyError::Form)?;
        if !TYPES.contains(&kind) {
            return Err(ParseKeyError::Type);
        }
        let bytes = STANDARD.decode(blob).map_err(|_| ParseKeyError::Form)?;
        // The wire form repeats the type as a string with a 32-bit length in front (RFC 4253, 6.6).
        let length = bytes.first_chunk::<4>().map_or(0, |n| u32::from_be_bytes(*n) as usize);
        if bytes.get(4..).and_then(|rest| rest.get(..length)) != Some(kind.as_bytes()) {
            return Err(ParseKeyError::Form);
        }
        Ok(Self(format!("{kind} {blob}").into()))
    }
}

/// Why a text is no SSH public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKeyError {
    /// Not `TYPE BASE64 [COMMENT]`, or the two parts disagree.
    #[error("not an SSH public key line: write TYPE BASE64, as in a .pub file")]
    Form,
    /// A type that we do not know.
    #[error("an SSH key of unknown type: ssh-ed25519, ecdsa-sha2-nistp256/384/521 or ssh-rsa are known")]
    Type,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_that_machines_could_not_use_are_refused() {
        let cases = [
            ("ftp://a", ParseUrlError::Scheme),
            ("http://", ParseUrlError::Host),
            ("http://a b", ParseUrlError::Character { found: ' ' }),
            ("http://a?x=1", ParseUrlError::Character { found: '?' }),
            ("http://user@a", ParseUrlError::Character { found: '@' }),
            ("http://a:0", ParseUrlError::Port),
            ("http://a:99999", ParseUrlError::Port),
            ("http://a:", ParseUrlError::Port),
            ("http://[::1", ParseUrlError::Host),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<BaseUrl>(), Err(why), "{text}");
        }
        for text in ["http://[::1]:8080", "https://prov.lab.example/sub", "http://10.0.0.2"] {
            assert_eq!(text.parse::<BaseUrl>().map(String::from), Ok(text.to_owned()));
        }
        assert_eq!(format!("http://{}", "a.".repeat(60)).parse::<BaseUrl>(), Err(ParseUrlError::TooLong));
    }

    #[test]
    fn a_key_whose_parts_disagree_is_refused() {
        let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";
        assert!(format!("ssh-ed25519 {blob}").parse::<SshPublicKey>().is_ok());
        assert_eq!(format!("ssh-rsa {blob}").parse::<SshPublicKey>(), Err(ParseKeyError::Form));
        assert_eq!(format!("ssh-dss {blob}").parse::<SshPublicKey>(), Err(ParseKeyError::Type));
        assert_eq!("unknown".parse::<SshPublicKey>(), Err(ParseKeyError::Form));
    }

    proptest! {
        #[test]
        fn a_fingerprint_reads_back_with_and_without_colons(bytes: [u8; 32]) {
            let fp = CertFingerprint::new(bytes);
            prop_assert_eq!(fp.to_string().parse(), Ok(fp));
            prop_assert_eq!(fp.to_string().replace(':', "").to_lowercase().parse(), Ok(fp));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,90}") {
            text.parse::<BaseUrl>().ok();
            text.parse::<MemberAddr>().ok();
            text.parse::<CertFingerprint>().ok();
            text.parse::<SshPublicKey>().ok();
        }
    }
}
