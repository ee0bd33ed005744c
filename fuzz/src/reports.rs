//! The JSON bodies that installers and hosts send: what is kept of one is never more than it was, and a complaint
//! about it is short, as it goes to the journal and into a reply.

use std::error::Error as _;

use provisioning_core::model::{Dmi, InstallReport, PhoneHome, ReportError, SshPublicKey, SystemInfo};

/// The longest complaint about a body, with its causes, in bytes.
const COMPLAINT_BYTES_MAX: usize = 1000;

/// What an installer posts to be given its answer file.
pub fn system_info(body: &[u8]) {
    match SystemInfo::from_json(body) {
        Ok(info) => {
            assert!((1..=SystemInfo::MACS_MAX).contains(&info.macs.len()), "{} addresses", info.macs.len());
            assert!(info.product.len() + dmi_bytes(&info.dmi) <= body.len(), "more is kept than was sent");
        }
        Err(error) => check_complaint(&error),
    }
}

/// What an installer posts when it is done.
pub fn install_report(body: &[u8]) {
    match InstallReport::from_json(body) {
        Ok(report) => {
            let texts = [report.management_nic, report.product_version, report.fqdn.map(String::from)];
            let texts: usize = texts.iter().flatten().map(String::len).sum();
            let kept = key_bytes(&report.host_keys) + texts + dmi_bytes(&report.dmi);
            assert!(kept <= body.len(), "{kept} bytes are kept of {}", body.len());
        }
        Err(error) => check_complaint(&error),
    }
}

/// What the first-boot script posts.
pub fn phone_home(body: &[u8]) {
    match PhoneHome::from_json(body) {
        Ok(report) => {
            let kept = key_bytes(&report.host_keys) + report.hardware_id.map_or(0, |id| id.as_str().len());
            assert!(kept <= body.len(), "{kept} bytes are kept of {}", body.len());
        }
        Err(error) => check_complaint(&error),
    }
}

fn key_bytes(keys: &[SshPublicKey]) -> usize {
    assert!(keys.len() <= 3, "{} host keys", keys.len());
    keys.iter().map(|key| key.as_str().len()).sum()
}

fn dmi_bytes(dmi: &Dmi) -> usize {
    dmi.system.iter().map(|(key, value)| key.len() + value.len()).sum()
}

fn check_complaint(error: &ReportError) {
    let all = format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default());
    assert!(all.len() <= COMPLAINT_BYTES_MAX, "{} bytes: {all}", all.len());
}
