//! The sections `[post-installation-webhook]` and `[first-boot]`, known from 8.3 on.

use provisioning_core::model::Release;

use super::AnswerError;
use super::table::{Spelling, Table};

/// Whom the installer tells that it is done.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookPlan {
    /// Where it posts to.
    pub url: String,
    /// SHA-256 of the certificate it must see there.
    pub fingerprint: Option<String>,
    /// Copied into the report, from 9.2 on.
    pub token: Option<String>,
}

impl std::fmt::Debug for WebhookPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookPlan")
            .field("url", &self.url)
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// What runs at the first boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstBootPlan {
    /// Where it comes from.
    pub source: FirstBootSource,
    /// When it runs.
    pub ordering: Ordering,
}

/// Where the first-boot script comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstBootSource {
    /// `/proxmox-first-boot` of the ISO.
    Iso,
    /// Fetched by the installer before it touches a disk.
    Url {
        /// From where.
        url: String,
        /// SHA-256 of the certificate it must see there.
        fingerprint: Option<String>,
    },
}

/// When the first-boot script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// Before the network is up.
    BeforeNetwork,
    /// When the network is up.
    NetworkOnline,
    /// When everything is up: the default.
    FullyUp,
}

pub(super) fn webhook(table: Table) -> Result<WebhookPlan, AnswerError> {
    let spelling = if table.known_since(Release::new(8, 4)) { Spelling::Both } else { Spelling::Snake };
    let mut table = table.spelled(spelling);
    let url = table.required_text("url")?;
    let fingerprint = fingerprint(&mut table)?;
    let token = if table.known_since(Release::new(9, 2)) { table.text("auth-token")? } else { None };
    table.finish()?;
    Ok(WebhookPlan { url, fingerprint, token })
}

pub(super) fn first_boot(table: Table) -> Result<FirstBootPlan, AnswerError> {
    let spelling = if table.known_since(Release::new(8, 4)) { Spelling::Both } else { Spelling::Kebab };
    let mut table = table.spelled(spelling);
    let source = table.word("source", &["from-iso", "from-url"])?;
    let source = source.ok_or_else(|| table.fault("source", "is missing"))?;
    let ordering = match table.word("ordering", &["before-network", "network-online", "fully-up"])?.as_deref() {
        Some("before-network") => Ordering::BeforeNetwork,
        Some("network-online") => Ordering::NetworkOnline,
        _ => Ordering::FullyUp,
    };
    let url = table.text("url")?;
    let fingerprint = fingerprint(&mut table)?;
    let source = match (source.as_str(), url) {
        ("from-iso", _) => FirstBootSource::Iso,
        (_, Some(url)) => FirstBootSource::Url { url, fingerprint },
        (_, None) => return Err(table.fault("url", "is missing, which from-url needs")),
    };
    table.finish()?;
    Ok(FirstBootPlan { source, ordering })
}

fn fingerprint(table: &mut Table) -> Result<Option<String>, AnswerError> {
    let Some(text) = table.text("cert-fingerprint")? else { return Ok(None) };
    let digits: String = text.chars().filter(|&c| c != ':').collect();
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(Some(digits.to_ascii_lowercase()))
    } else {
        Err(table.fault("cert-fingerprint", "is no SHA-256 in hexadecimal digits"))
    }
}
