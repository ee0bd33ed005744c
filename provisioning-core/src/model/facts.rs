//! What machines tell us: the installer's request, the post-installation webhook, the phone-home.
//!
//! Read leniently, because a machine that is refused goes to a debug shell: unknown fields are skipped and
//! missing ones stay empty. Only what identifies the machine is required.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::image::Release;
use super::mac::MacAddr;
use super::name::Fqdn;
use super::net::{CertFingerprint, SshPublicKey};

/// DMI strings: `uuid` and `serial` of the system are what we compare. Vendors leave junk in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dmi {
    /// Keys `serial sku uuid name`, any of them missing.
    #[serde(default)]
    pub system: BTreeMap<String, String>,
}

impl Dmi {
    /// The system's UUID or else its serial number, unless it is empty or a vendor's filler.
    pub fn hardware_id(&self) -> Option<HardwareId> {
        ["uuid", "serial"].iter().filter_map(|key| self.system.get(*key)).find_map(|text| text.parse().ok())
    }
}

/// What tells a machine from all others: DMI uuid or serial; 4-64 of letters, digits and `- _ . :`, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HardwareId(Arc<str>);

super::name::text_type!(HardwareId, ParseHardwareIdError);

impl std::str::FromStr for HardwareId {
    type Err = ParseHardwareIdError;

    fn from_str(text: &str) -> Result<Self, ParseHardwareIdError> {
        let text = text.trim().to_ascii_lowercase();
        let fits =
            (4..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
        // Fillers seen in the field (`reference/fetch-answer.md`), and ids of one repeated digit.
        let filler = ["none", "default", "unknown", "to-be-filled", "not-specified"].contains(&text.as_str());
        let digits: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let one_digit = digits.windows(2).all(|pair| pair[0] == pair[1]);
        if fits && !filler && !one_digit { Ok(Self(text.into())) } else { Err(ParseHardwareIdError) }
    }
}

/// The text does not tell one machine from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a hardware id: 4 to 64 letters, digits, - _ . : and no vendor's filler")]
pub struct ParseHardwareIdError;

/// What the installer posts to fetch its answer (`reference/fetch-answer.md`, body schema 1.0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// The release of the ISO that runs.
    pub release: Release,
    /// `pve`, unless somebody booted another product's ISO.
    pub product: String,
    /// Every NIC that is Ethernet, each once, at most [`SystemInfo::MACS_MAX`].
    pub macs: Vec<MacAddr>,
    /// DMI strings.
    pub dmi: Dmi,
}

/// What the post-installation webhook tells (`reference/post-hook.md`, schema 1.0 to 1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallReport {
    /// The installed system's SSH host keys, most trusted type first; they become the pin.
    pub host_keys: Vec<SshPublicKey>,
    /// The management address in the installed system, when told.
    pub address: Option<IpAddr>,
    /// The name that was installed.
    pub fqdn: Option<Fqdn>,
    /// DMI strings.
    pub dmi: Dmi,
    /// The management NIC's name, when told.
    pub management_nic: Option<String>,
    /// Version of the installed product.
    pub product_version: Option<String>,
}

/// What the first-boot script tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneHome {
    /// Where the host answers.
    pub ip: IpAddr,
    /// DMI uuid or serial.
    pub hardware_id: Option<HardwareId>,
    /// SSH host keys as the host itself sees them: the pin when no webhook came.
    pub host_keys: Vec<SshPublicKey>,
    /// The node certificate's fingerprint.
    pub cert_fingerprint: Option<CertFingerprint>,
}

/// Why a machine's report cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not JSON, or not an object of the expected shape.
    #[error("the body is not the JSON that is expected here")]
    Json(#[source] serde_json::Error),
    /// A field that is needed is absent or unreadable.
    #[error("field {field} is {problem}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
}

/// Order in which host keys are trusted: the ones our SSH client can pin come first.
const KEY_ORDER: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// How much of the reader's complaint is kept, in characters: it quotes what it did not expect, however long that is.
const COMPLAINT_CHARS_MAX: usize = 200;

fn not_json(error: serde_json::Error) -> ReportError {
    let complaint = error.to_string();
    if complaint.chars().nth(COMPLAINT_CHARS_MAX).is_none() {
        return ReportError::Json(error);
    }
    let begins: String = complaint.chars().take(COMPLAINT_CHARS_MAX).collect();
    let short = format!("{begins}… at line {} column {}", error.line(), error.column());
    ReportError::Json(serde::de::Error::custom(short))
}

fn keys_in_order(named: &BTreeMap<String, String>) -> Vec<SshPublicKey> {
    KEY_ORDER.iter().filter_map(|kind| named.get(*kind)?.parse().ok()).collect()
}

impl SystemInfo {
    /// How many addresses are kept. Each is looked up and told to operators, and anyone may send a list of any length;
    /// virtual functions apart, no machine has as many.
    pub const MACS_MAX: usize = 256;

    /// Reads the installer's request body.
    ///
    /// # Errors
    /// `Json` when it is not JSON; `Field` when the release is missing or no NIC is listed.
    pub fn from_json(body: &[u8]) -> Result<Self, ReportError> {
        let raw: RawSystemInfo = serde_json::from_slice(body).map_err(not_json)?;
        let release = raw.iso.release.parse().map_err(|e| ReportError::Field {
            field: "iso.release",
            problem: format!("{:?}, {e}", shortened(&raw.iso.release)),
        })?;
        // Tunnels and InfiniBand have no Ethernet address: they tell nothing here, and are skipped.
        let mut seen = BTreeSet::new();
        let macs = raw.network_interfaces.iter().filter_map(|nic| nic.mac.parse().ok());
        let macs: Vec<MacAddr> = macs.filter(|mac| seen.insert(*mac)).take(Self::MACS_MAX).collect();
        if macs.is_empty() {
            return Err(ReportError::Field {
                field: "network_interfaces",
                problem: "without one Ethernet address; each entry has link and mac".into(),
            });
        }
        Ok(Self { release, product: raw.product.product, macs, dmi: raw.dmi })
    }
}

impl InstallReport {
    /// Reads the webhook's body; what is missing stays empty.
    ///
    /// # Errors
    /// `Json` when it is no JSON object.
    pub fn from_json(body: &[u8]) -> Result<Self, ReportError> {
        let raw: RawInstallReport = serde_json::from_slice(body).map_err(not_json)?;
        let management = raw.network_interfaces.iter().find(|nic| nic.is_management);
        let address = management
            .and_then(|nic| nic.address.as_deref())
            .and_then(|cidr| cidr.split('/').next().and_then(|address| address.parse().ok()));
        Ok(Self {
            host_keys: keys_in_order(&raw.ssh_public_host_keys),
            address,
            fqdn: raw.fqdn.parse().ok(),
            dmi: raw.dmi,
            management_nic: management.and_then(|nic| nic.name.clone()),
            product_version: raw.product.version,
        })
    }
}

impl PhoneHome {
    /// Reads what the first-boot script posts.
    ///
    /// # Errors
    /// `Json` when it is no JSON object, `Field` when `ip` is no address.
    pub fn from_json(body: &[u8]) -> Result<Self, ReportError> {
        let raw: RawPhoneHome = serde_json::from_slice(body).map_err(not_json)?;
        let ip: IpAddr = raw.ip.parse().map_err(|_| ReportError::Field {
            field: "ip",
            problem: format!("{:?}, not an IP address", shortened(&raw.ip)),
        })?;
        Ok(Self {
            ip,
            hardware_id: raw.hardware_id.parse().ok(),
            host_keys: keys_in_order(&raw.ssh_host_keys),
            cert_fingerprint: raw.cert_fingerprint.parse().ok(),
        })
    }
}

/// Enough of a stranger's text to recognise it.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[derive(Deserialize)]
struct RawSystemInfo {
    #[serde(default)]
    product: RawProduct,
    #[serde(default)]
    iso: RawIso,
    #[serde(default)]
    dmi: Dmi,
    #[serde(default)]
    network_interfaces: Vec<RawLink>,
}

#[derive(Default, Deserialize)]
struct RawProduct {
    #[serde(default)]
    product: String,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Default, Deserialize)]
struct RawIso {
    #[serde(default)]
    release: String,
}

#[derive(Deserialize)]
struct RawLink {
    #[serde(default)]
    mac: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawInstallReport {
    #[serde(default)]
    product: RawProduct,
    #[serde(default)]
    fqdn: String,
    #[serde(default)]
    dmi: Dmi,
    #[serde(default)]
    network_interfaces: Vec<RawNic>,
    #[serde(default)]
    ssh_public_host_keys: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawNic {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    is_management: bool,
}

#[derive(Deserialize)]
struct RawPhoneHome {
    #[serde(default)]
    ip: String,
    #[serde(default)]
    hardware_id: String,
    #[serde(default)]
    ssh_host_keys: BTreeMap<String, String>,
    #[serde(default)]
    cert_fingerprint: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x root@pve1";

    #[test]
    fn a_request_with_upper_case_macs_and_a_tunnel_is_read() {
        let body =
            br#"{"$schema":{"version":"1.0"},"product":{"product":"pve"},"iso":{"release":"9.2","isorelease":"1"},
            "dmi":{"system":{"uuid":"","serial":"S523042X3A1107"}},
            "network_interfaces":[{"link":"eno1","mac":"B4:2E:99:AC:AD:B4"},{"link":"ib0","mac":"80:00:02:08:fe:80"},
            {"link":"tun0","mac":""}]}"#;
        let info = SystemInfo::from_json(body).unwrap();
        assert_eq!(info.release, Release::new(9, 2));
        assert_eq!(info.macs[0].to_string(), "b4:2e:99:ac:ad:b4");
        assert_eq!(info.dmi.hardware_id().unwrap().as_str(), "s523042x3a1107");
    }

    #[test]
    fn a_webhook_with_placeholders_keeps_what_is_usable() {
        let body = format!(
            r#"{{"ssh-public-host-keys":{{"rsa":"unknown","ed25519":"{KEY}","ecdsa":"unknown"}},"fqdn":"pve1.lab.example",
            "network-interfaces":[{{"mac":"b4:2e:99:ac:ad:b4","address":"10.0.0.5/24","is-management":true,"name":"eno1"}}],
            "disks":[],"future-field":{{"a":[1]}}}}"#
        );
        let report = InstallReport::from_json(body.as_bytes()).unwrap();
        assert_eq!(report.host_keys.len(), 1);
        assert_eq!(report.address, Some([10, 0, 0, 5].into()));
        assert_eq!(report.management_nic.as_deref(), Some("eno1"));
    }

    #[test]
    fn a_vendors_filler_is_no_hardware_id() {
        for text in
            ["", "Default string", "To Be Filled By O.E.M.", "00000000-0000-0000-0000-000000000000", "none", "123"]
        {
            assert!(text.parse::<HardwareId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_unreadable_report_names_the_field() {
        let no_nics = br#"{"iso":{"release":"9.2"}}"#;
        assert!(SystemInfo::from_json(no_nics).unwrap_err().to_string().contains("network_interfaces"));
        assert!(SystemInfo::from_json(b"{}").unwrap_err().to_string().contains("iso.release"));
        assert!(PhoneHome::from_json(br#"{"ip":"nowhere"}"#).unwrap_err().to_string().contains("nowhere"));
        assert!(matches!(InstallReport::from_json(b"not json"), Err(ReportError::Json(_))));
    }

    #[test]
    fn a_list_of_very_many_addresses_is_cut_and_each_counts_once() {
        let nics: Vec<String> =
            (0..2000).map(|n| format!(r#"{{"mac":"52:54:00:00:{:02x}:{:02x}"}}"#, n / 2 / 256, n / 2 % 256)).collect();
        let body = format!(r#"{{"iso":{{"release":"9.2"}},"network_interfaces":[{}]}}"#, nics.join(","));
        let macs = SystemInfo::from_json(body.as_bytes()).unwrap().macs;
        assert_eq!(macs.len(), SystemInfo::MACS_MAX);
        assert_eq!(macs[1].to_string(), "52:54:00:00:00:01");
    }

    #[test]
    fn a_complaint_does_not_repeat_all_that_was_sent() {
        let body = format!(r#"{{"product":"{}"}}"#, "x".repeat(100_000));
        let ReportError::Json(short) = InstallReport::from_json(body.as_bytes()).unwrap_err() else {
            panic!("no Json")
        };
        assert!(short.to_string().len() < 300, "{short}");
        assert_eq!((short.line(), short.to_string().ends_with(" column 100013")), (1, true), "{short}");
        let short = InstallReport::from_json(b"{").unwrap_err();
        assert!(std::error::Error::source(&short).unwrap().to_string().starts_with("EOF"), "{short:?}");
    }

    proptest! {
        #[test]
        fn no_body_makes_the_readers_panic(body: Vec<u8>) {
            SystemInfo::from_json(&body).ok();
            InstallReport::from_json(&body).ok();
            PhoneHome::from_json(&body).ok();
        }
    }
}
