//! The whole answer: its sections put together, and written once for the installer and once for people.

use serde::{Serialize, Serializer};

use super::dialect::Dialect;
use super::disk::DiskSection;
use super::error::AnswerError;
use super::format::Format;
use super::global::{Global, root_password};
use super::network::Network;
use super::report::{FirstBoot, Webhook};
use crate::model::{BootToken, Host, Release, Secret, ServerType, Site, SshPublicKey};

/// What an answer is made of.
#[derive(Clone, Copy, Debug)]
pub struct AnswerInput<'a> {
    /// What all hosts share.
    pub site: &'a Site,
    /// The host that is installed.
    pub host: &'a Host,
    /// Its hardware class: the operation's copy, which the operator confirmed.
    pub server_type: &'a ServerType,
    /// The key that the join logs in with; it comes first among root's keys.
    pub one_time_key: &'a SshPublicKey,
    /// The operation's token, which stands in the URLs.
    pub token: &'a BootToken,
    /// Root's password in clear, for 8.2 installers only, which take no hash. Random and then forgotten is best:
    /// the one-time key opens the host.
    pub fallback_password: Option<&'a Secret<String>>,
}

/// An answer file.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What the installer gets. It holds root's password or its hash, and the operation's token.
    pub text: Secret<String>,
    /// The same text with `***` in place of those, to be shown and kept.
    pub masked: String,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
}

/// Renders the answer for an installer of `release` (`reference/answer-file.md`).
///
/// All checks are made here, so what renders at rebuild time renders when the installer asks, unless the installer
/// turns out to be of another release.
///
/// # Errors
/// Anything that the installer would refuse, or take and be lost with: see [`AnswerError`].
pub fn answer(input: &AnswerInput<'_>, release: Release, format: Format) -> Result<Answer, AnswerError> {
    let dialect = Dialect::of(release)?;
    if format == Format::Json {
        dialect.require_json()?;
    }
    let secrets = Secrets { root_password: root_password(input, dialect)?, token: Secret::new(input.token.expose()) };
    let text = Document::new(input, dialect, &secrets)?.write(format);
    let masked = Document::new(input, dialect, &Secrets::masked())?.write(format);
    Ok(Answer { text: Secret::new(text), masked, content_type: format.content_type() })
}

/// What is in an answer that must not be seen; or the marks that stand for it.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) root_password: Secret<String>,
    pub(super) token: Secret<String>,
}

impl Secrets {
    fn masked() -> Self {
        let mask = || Secret::new(String::from("***"));
        Self { root_password: mask(), token: mask() }
    }
}

/// A secret that is written out: the answer file is one of the few places where it must stand.
#[derive(Debug)]
pub(super) struct Exposed(pub(super) Secret<String>);

impl Serialize for Exposed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

/// The sections. Their names are kebab-case in every dialect.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    global: Global<'a>,
    network: Network,
    disk_setup: DiskSection<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_installation_webhook: Option<Webhook>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_boot: Option<FirstBoot>,
}

impl<'a> Document<'a> {
    fn new(input: &AnswerInput<'a>, dialect: Dialect, secrets: &Secrets) -> Result<Self, AnswerError> {
        Ok(Self {
            global: Global::new(input, dialect, secrets)?,
            network: Network::new(input.host, input.site)?,
            disk_setup: DiskSection::new(&input.server_type.disk, dialect)?,
            post_installation_webhook: dialect.reports().then(|| Webhook::new(input, dialect, secrets)),
            first_boot: dialect.reports().then(|| FirstBoot::new(input, secrets)),
        })
    }

    fn write(&self, format: Format) -> String {
        match format {
            Format::Toml => toml::to_string(self).expect("tables with text keys, text and small numbers are TOML"),
            Format::Json => {
                serde_json::to_string_pretty(self).expect("maps with text keys, text and small numbers are JSON")
            }
        }
    }
}
