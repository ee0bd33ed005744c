//! Renders `auto-installer-mode.toml`: where an installer fetches its answer file, and what it shows to get it.

use provisioning_core::model::{BootToken, CertFingerprint};
use serde::Serialize;

/// What the mode file says. The rendered text holds the operation's token: it is a secret.
#[derive(Clone, Debug)]
pub struct ModeFile<'a> {
    /// The absolute URL that the installer posts its facts to. Given here, DHCP and DNS are not asked.
    pub url: &'a str,
    /// Sent as a bearer token from 9.2 on; older installers ignore the key, so that `url` must do for them.
    pub token: Option<&'a BootToken>,
    /// The leaf certificate that the installer shall see there; without it, it asks its CA bundle.
    pub cert_fingerprint: Option<CertFingerprint>,
}

impl ModeFile<'_> {
    /// The file's text, in the form that every installer from 8.2 to 9.2 reads (`reference/fetch-answer.md`).
    pub fn render(&self) -> String {
        let document = Document {
            mode: "http",
            http: Http {
                url: self.url,
                token: self.token.map(BootToken::expose),
                cert_fingerprint: self.cert_fingerprint.map(|fingerprint| fingerprint.to_string()),
            },
        };
        toml::to_string(&document).expect("strings in a table are TOML")
    }
}

// No partition_label beside the mode: installers of 8.2 refuse top-level keys that they do not know.
#[derive(Serialize)]
struct Document<'a> {
    mode: &'static str,
    http: Http<'a>,
}

/// Keys in snake case: an installer silently ignores `cert-fingerprint`.
#[derive(Serialize)]
struct Http<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_fingerprint: Option<String>,
}

#[cfg(test)]
mod tests {
    use provisioning_core::model::{OperationId, Timestamp};

    use super::*;

    #[test]
    fn the_mode_file_has_the_keys_that_all_releases_know() {
        let token = BootToken::new(OperationId::new(Timestamp::from_millis(1), [1; 10]), [2; 16]);
        let fingerprint = CertFingerprint::new([0xab; 32]);
        let mode = ModeFile {
            url: "https://10.0.0.2:8443/api/boot/answer",
            token: Some(&token),
            cert_fingerprint: Some(fingerprint),
        };
        let expected = format!(
            "mode = \"http\"\n\n[http]\nurl = \"https://10.0.0.2:8443/api/boot/answer\"\ntoken = \"{}\"\n\
             cert_fingerprint = \"{fingerprint}\"\n",
            token.expose()
        );
        assert_eq!(mode.render(), expected);
        assert!(!format!("{mode:?}").contains(&token.expose()));
    }

    #[test]
    fn what_is_not_given_is_left_out() {
        let text = ModeFile { url: "http://h/a", token: None, cert_fingerprint: None }.render();
        assert_eq!(text, "mode = \"http\"\n\n[http]\nurl = \"http://h/a\"\n");
    }
}
