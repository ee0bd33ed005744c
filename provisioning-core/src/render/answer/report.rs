//! The sections `post-installation-webhook` and `first-boot`: how we hear of the installation's end.

use serde::Serialize;

use super::dialect::{Dialect, Entry};
use super::document::{AnswerInput, Exposed, Secrets};
use crate::model::{CertFingerprint, Secret};

/// Where the installer reports, once (`reference/post-hook.md`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Webhook {
    url: Exposed,
    /// Snake-case in 8.3, other than the first boot's.
    #[serde(flatten)]
    cert_fingerprint: Option<Entry<CertFingerprint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<Exposed>,
}

impl Webhook {
    pub(super) fn new(input: &AnswerInput<'_>, dialect: Dialect, secrets: &Secrets) -> Self {
        Self {
            url: url(input, "installed", secrets),
            cert_fingerprint: input.site.tls_fingerprint.map(|fp| dialect.entry("cert-fingerprint", fp)),
            auth_token: dialect.has_auth_token().then(|| Exposed(secrets.token.clone())),
        }
    }
}

/// Where the installer fetches the first-boot script, and when that runs (`reference/first-boot.md`).
///
/// Its `cert-fingerprint` is kebab-case even in 8.3, where everything else is not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FirstBoot {
    source: Source,
    ordering: Ordering,
    url: Exposed,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_fingerprint: Option<CertFingerprint>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Source {
    FromUrl,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Ordering {
    /// After the cluster file system is mounted and the node's certificate made, which the script reports.
    FullyUp,
}

impl FirstBoot {
    pub(super) fn new(input: &AnswerInput<'_>, secrets: &Secrets) -> Self {
        Self {
            source: Source::FromUrl,
            ordering: Ordering::FullyUp,
            url: url(input, "first-boot-script", secrets),
            cert_fingerprint: input.site.tls_fingerprint,
        }
    }
}

/// Neither request can carry a header of ours, so the token stands in the URL.
fn url(input: &AnswerInput<'_>, what: &str, secrets: &Secrets) -> Exposed {
    let path = Secret::new(format!("/api/hosts/{}/{what}?token={}", input.host.id, secrets.token.expose()));
    Exposed(Secret::new(input.site.public_url.join(path.expose())))
}
