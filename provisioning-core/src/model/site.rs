//! What all hosts of a site share: the installer's regional settings and the cluster they join.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::name::{Domain, text_type};
use super::net::{BaseUrl, CertFingerprint, MemberAddr, SshPublicKey};
use super::secret::Secret;

/// Everything that an answer file, a boot script or a join takes from the configuration.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where machines and operators reach us.
    pub public_url: BaseUrl,
    /// Where firmware reaches us, which mostly cannot speak TLS: plain HTTP beside an https `public_url`. `None` is
    /// `public_url` itself.
    pub boot_url: Option<BaseUrl>,
    /// Where it fetches kernel and initrd, when that is another door than the one of boot scripts.
    pub artifact_url: Option<BaseUrl>,
    /// The certificate that machines shall see there, when `public_url` is https with a certificate of our own.
    pub tls_fingerprint: Option<CertFingerprint>,
    /// The hosts' domain.
    pub domain: Domain,
    /// ISO 3166 code of the country.
    pub country: CountryCode,
    /// The hosts' time zone.
    pub timezone: Timezone,
    /// The console's layout.
    pub keyboard: Keyboard,
    /// Where the hosts send their mail.
    pub mailto: MailAddress,
    /// Root's password as a crypt(3) hash.
    pub root_password_hash: PasswordHash,
    /// Operators' own keys, kept on every host beside the one-time key.
    pub root_ssh_keys: Vec<SshPublicKey>,
    /// Gateway and name server of hosts that were registered with an address of their own.
    pub static_network: Option<StaticNetwork>,
    /// The cluster to join; `None` leaves hosts standalone.
    pub cluster: Option<Cluster>,
}

impl Site {
    /// Where firmware fetches its boot script.
    pub fn boot_url(&self) -> &BaseUrl {
        self.boot_url.as_ref().unwrap_or(&self.public_url)
    }

    /// Where firmware fetches kernel and initrd.
    pub fn artifact_url(&self) -> &BaseUrl {
        self.artifact_url.as_ref().unwrap_or_else(|| self.boot_url())
    }
}

/// What a host with a fixed address needs beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticNetwork {
    /// The default gateway.
    pub gateway: IpAddr,
    /// The name server: exactly one, as the installer wants it.
    pub dns: IpAddr,
}

/// The cluster that hosts join, by one of its members.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// A member that `pvecm add` talks to.
    pub member: MemberAddr,
    /// Its API certificate's fingerprint; without one a join would trust whoever answers.
    pub fingerprint: CertFingerprint,
    /// Root's password on that member.
    pub password: Secret<String>,
    /// What the joining host is handed.
    pub join_secret: JoinSecret,
}

/// What a joining host is handed to be let into the cluster, on the standard input of `pvecm add`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JoinSecret {
    /// Root's password on the member: it needs no other way to the cluster than the host's own.
    #[default]
    Password,
    /// A ticket that we get from the member right before the join: the password never leaves this server, and what
    /// a compromised host could keep is worth nothing after two hours.
    Ticket,
}

/// An ISO 3166 alpha-2 code in lower case, the only form that the installer takes (`reference/answer-file.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CountryCode(Arc<str>);

/// A time zone as zone.tab has it (`Europe/Vienna`), or `UTC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timezone(Arc<str>);

/// One of the installer's keyboard layouts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Keyboard(Arc<str>);

/// A mail address that the installer accepts: `NAME@DOMAIN`, not below `.invalid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MailAddress(Arc<str>);

text_type!(CountryCode, ParseSiteError);
text_type!(Timezone, ParseSiteError);
text_type!(Keyboard, ParseSiteError);
text_type!(MailAddress, ParseSiteError);

/// The installer's keyboard layouts (`reference/answer-file.md`, `[global] keyboard`).
pub const KEYBOARDS: [&str; 25] = [
    "de", "de-ch", "dk", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "jp", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "se", "si", "tr",
];

impl FromStr for CountryCode {
    type Err = ParseSiteError;

    fn from_str(text: &str) -> Result<Self, ParseSiteError> {
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase()) {
            Ok(Self(text.into()))
        } else {
            Err(ParseSiteError::Country)
        }
    }
}

impl FromStr for Timezone {
    type Err = ParseSiteError;

    fn from_str(text: &str) -> Result<Self, ParseSiteError> {
        let part = |p: &str| {
            p.starts_with(|c: char| c.is_ascii_uppercase())
                && p.chars().all(|c| c.is_ascii_alphanumeric() || "_-+".contains(c))
        };
        let named = (2..=3).contains(&text.split('/').count()) && text.split('/').all(part);
        // The installer takes only names of zone.tab: none of these families stands there.
        let foreign = ["Etc/", "US/", "SystemV/", "Brazil/", "Canada/", "Chile/", "Mexico/"];
        let refused = text.len() > 64 || foreign.iter().any(|f| text.starts_with(f));
        if text == "UTC" || (named && !refused) { Ok(Self(text.into())) } else { Err(ParseSiteError::Timezone) }
    }
}

impl FromStr for Keyboard {
    type Err = ParseSiteError;

    fn from_str(text: &str) -> Result<Self, ParseSiteError> {
        if KEYBOARDS.contains(&text) { Ok(Self(text.into())) } else { Err(ParseSiteError::Keyboard) }
    }
}

impl FromStr for MailAddress {
    type Err = ParseSiteError;

    fn from_str(text: &str) -> Result<Self, ParseSiteError> {
        let (local, domain) = text.rsplit_once('@').ok_or(ParseSiteError::Mail)?;
        let local_fits = (1..=64).contains(&local.len())
            && local.chars().all(|c| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c));
        let invalid = domain == "invalid" || domain.ends_with(".invalid");
        if local_fits && !invalid && domain.parse::<Domain>().is_ok() {
            Ok(Self(text.into()))
        } else {
            Err(ParseSiteError::Mail)
        }
    }
}

/// A crypt(3) hash of root's password, kept as a secret.
///
/// The installer does not check it at all, and garbage locks root out (`reference/answer-file.md`), so it is
/// checked here: yescrypt (`$y$`), SHA-512 (`$6$`), SHA-256 (`$5$`) or bcrypt (`$2b$`), of the right shape.
#[derive(Clone, Debug)]
pub struct PasswordHash(Secret<String>);

impl PasswordHash {
    /// The hash. A secret: it goes into answer files only.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for PasswordHash {
    type Err = ParseSiteError;

    fn from_str(text: &str) -> Result<Self, ParseSiteError> {
        let digest_length = match text.split('$').nth(1) {
            Some("6") => 86,
            Some("5" | "y") => 43,
            Some("2b" | "2a" | "2y") => 53,
            _ => return Err(ParseSiteError::PasswordHash),
        };
        let digest = text.rsplit('$').next().unwrap_or_default();
        let fits = text.starts_with('$')
            && text.split('$').count() >= 4
            && digest.len() == digest_length
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "$./=,".contains(c));
        if fits { Ok(Self(Secret::new(text.to_owned()))) } else { Err(ParseSiteError::PasswordHash) }
    }
}

impl fmt::Display for ParseSiteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country => f.write_str("not a country code: two lower-case letters of ISO 3166 such as at"),
            Self::Timezone => f.write_str("not a time zone of zone.tab: write Area/City such as Europe/Vienna, or UTC"),
            Self::Keyboard => {
                write!(f, "not a keyboard of the installer: {}", KEYBOARDS.join(" "))
            }
            Self::Mail => f.write_str("not a mail address that the installer accepts: NAME@DOMAIN, not below .invalid"),
            Self::PasswordHash => {
                f.write_str("not a crypt(3) hash ($y$, $6$, $5$ or $2b$): make one with `openssl passwd -6`")
            }
        }
    }
}

/// Why a text is no such setting; the message says what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseSiteError {
    /// No country code.
    Country,
    /// No time zone.
    Timezone,
    /// No keyboard layout.
    Keyboard,
    /// No mail address.
    Mail,
    /// No crypt(3) hash.
    PasswordHash,
}

impl std::error::Error for ParseSiteError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_installer_refuses_is_refused_here() {
        for text in ["AT", "xxx", "a"] {
            assert!(text.parse::<CountryCode>().is_err(), "{text}");
        }
        for text in ["Etc/UTC", "GMT", "US/Eastern", "Vienna", "europe/vienna", "Europe/Vi enna"] {
            assert!(text.parse::<Timezone>().is_err(), "{text}");
        }
        for text in ["UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "America/Port-au-Prince"] {
            assert!(text.parse::<Timezone>().is_ok(), "{text}");
        }
        for text in ["us", "DE", "", "en"] {
            assert!(text.parse::<Keyboard>().is_err(), "{text:?}");
        }
        for text in ["mail@example.invalid", "a", "@b", "a b@c", "a@-b"] {
            assert!(text.parse::<MailAddress>().is_err(), "{text}");
        }
        assert!("root@localhost".parse::<MailAddress>().is_ok());
    }

    #[test]
    fn a_password_in_clear_is_no_hash() {
        for text in ["", "secret", "$6$salt$short", "$1$salt$qJH7.N4xYta3aEG/dfqo/0", "$6$"] {
            assert!(text.parse::<PasswordHash>().is_err(), "{text}");
        }
        let hash = format!("$6$0123456789abcdef${}", "x".repeat(86));
        assert!(hash.parse::<PasswordHash>().is_ok());
        assert!(!format!("{:?}", hash.parse::<PasswordHash>()).contains("xxx"));
    }
}
