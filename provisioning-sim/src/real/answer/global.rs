//! The `[global]` table: names, places, root's access.

use provisioning_core::model::Release;

use super::AnswerError;
use super::places;
use super::table::{Spelling, Table};

/// Where the installed system's name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FqdnPlan {
    /// It stands in the answer.
    Name(String),
    /// DHCP tells the host name, and the domain unless it stands here.
    FromDhcp {
        /// The domain.
        domain: Option<String>,
    },
}

/// What follows a successful installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebootMode {
    /// The machine starts again.
    Reboot,
    /// It is switched off.
    PowerOff,
}

pub(super) struct Global {
    pub(super) fqdn: FqdnPlan,
    pub(super) root_ssh_keys: Vec<String>,
    pub(super) reboot_on_error: bool,
    pub(super) reboot_mode: RebootMode,
}

const KEYBOARDS: [&str; 25] = [
    "de", "de-ch", "dk", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu", "is", "it", "jp", "lt",
    "mk", "nl", "no", "pl", "pt", "pt-br", "se", "si", "tr",
];

pub(super) fn read(table: Table) -> Result<Global, AnswerError> {
    let release = table.release();
    let mut table = table.spelled(Spelling::of_main_tables(release));
    table.word("keyboard", &KEYBOARDS)?.ok_or_else(|| table.fault("keyboard", "is missing"))?;
    places_and_mail(&mut table)?;
    password(&mut table)?;
    let fqdn = fqdn(&mut table)?;
    let root_ssh_keys = table.texts("root-ssh-keys")?;
    let reboot_on_error = table.flag("reboot-on-error")?.unwrap_or(false);
    let mut reboot_mode = RebootMode::Reboot;
    if table.known_since(Release::new(8, 4))
        && table.word("reboot-mode", &["reboot", "power-off"])?.as_deref() == Some("power-off")
    {
        reboot_mode = RebootMode::PowerOff;
    }
    if table.known_since(Release::new(9, 2)) {
        table.text("subscription-key")?;
    }
    table.finish()?;
    Ok(Global { fqdn, root_ssh_keys, reboot_on_error, reboot_mode })
}

fn places_and_mail(table: &mut Table) -> Result<(), AnswerError> {
    let country = table.required_text("country")?;
    if !places::is_country(&country) {
        return Err(table.fault("country", format!("is {country:?}, no lower-case ISO 3166 code of a country")));
    }
    let timezone = table.required_text("timezone")?;
    if !places::is_timezone(&timezone) {
        return Err(table.fault("timezone", format!("is {timezone:?}, which zone.tab does not have")));
    }
    let mail = table.required_text("mailto")?;
    if !is_mail(&mail) {
        return Err(table.fault("mailto", format!("is {mail:?}, no e-mail address")));
    }
    Ok(())
}

fn password(table: &mut Table) -> Result<(), AnswerError> {
    let plain = table.text("root-password")?;
    let hashed = if table.known_since(Release::new(8, 3)) { table.text("root-password-hashed")? } else { None };
    match (plain, hashed) {
        (None, None) => Err(table.fault("root-password", "is missing, and so is root-password-hashed")),
        (Some(_), Some(_)) => Err(table.fault("root-password", "and root-password-hashed exclude each other")),
        (Some(plain), None) if plain.len() < 8 && table.known_since(Release::new(8, 4)) => {
            Err(table.fault("root-password", format!("has {} bytes, fewer than 8", plain.len())))
        }
        _ => Ok(()),
    }
}

fn fqdn(table: &mut Table) -> Result<FqdnPlan, AnswerError> {
    let value = table.take("fqdn")?.ok_or_else(|| table.fault("fqdn", "is missing"))?;
    if let Some(name) = value.as_str() {
        return match fqdn_problem(name) {
            None => Ok(FqdnPlan::Name(name.to_owned())),
            Some(problem) => Err(table.fault("fqdn", format!("is {name:?}: {problem}"))),
        };
    }
    if !table.known_since(Release::new(8, 4)) {
        return Err(table.fault("fqdn", "is not a string"));
    }
    let serde_json::Value::Object(mut keys) = value else { return Err(table.fault("fqdn", "is no string or table")) };
    let source = keys.remove("source");
    if source.is_some_and(|source| source != "from-dhcp") {
        return Err(table.fault("fqdn", "has a source other than from-dhcp"));
    }
    let domain = keys.remove("domain").unwrap_or_default();
    if let Some(unknown) = keys.keys().next() {
        return Err(table.fault("fqdn", format!("has the unknown key {unknown:?}")));
    }
    match domain {
        serde_json::Value::Null => Ok(FqdnPlan::FromDhcp { domain: None }),
        serde_json::Value::String(domain) => Ok(FqdnPlan::FromDhcp { domain: Some(domain).filter(|d| !d.is_empty()) }),
        _ => Err(table.fault("fqdn", "has a domain that is no string")),
    }
}

fn fqdn_problem(name: &str) -> Option<&'static str> {
    let labels: Vec<&str> = name.split('.').collect();
    let label_fits = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if labels.len() < 2 {
        Some("it has fewer than two labels")
    } else if name.len() > 253 {
        Some("it is longer than 253 letters")
    } else if !labels.iter().all(label_fits) {
        Some("a label is not 1 to 63 of letters, digits and -, not at its ends")
    } else if labels[0].bytes().all(|b| b.is_ascii_digit()) {
        Some("its first label is all digits")
    } else {
        None
    }
}

/// The e-mail rule of HTML 5, and Proxmox' own refusal of its placeholder.
fn is_mail(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let local_fits =
        !local.is_empty() && local.chars().all(|c| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c));
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    local_fits && domain.split('.').all(label_fits) && text != "mail@example.invalid"
}
