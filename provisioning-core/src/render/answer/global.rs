//! The section `global`: region, name, and who may log in as root.

use serde::Serialize;

use super::dialect::{Dialect, Entry};
use super::document::{AnswerInput, Exposed, Secrets};
use super::error::AnswerError;
use crate::model::{CountryCode, Fqdn, Keyboard, MailAddress, Secret, SshPublicKey, Timezone};

/// The fewest bytes of a password in clear (`reference/answer-file.md`). 8.2 itself does not count them; a shorter
/// one would stop every later installer, so it is not begun with.
const PASSWORD_BYTES_MIN: usize = 8;

/// The section. `reboot-mode` stays away: its default is what we want.
#[derive(Debug, Serialize)]
pub(super) struct Global<'a> {
    keyboard: &'a Keyboard,
    country: &'a CountryCode,
    timezone: &'a Timezone,
    fqdn: Fqdn,
    mailto: &'a MailAddress,
    #[serde(flatten)]
    root_password: Entry<Exposed>,
    #[serde(flatten)]
    root_ssh_keys: Entry<Vec<&'a SshPublicKey>>,
    /// True. Were it false, an installer that fails, *or whose webhook is lost*, would stay in a debug shell on
    /// the console, and a well installed host would never boot (`reference/post-hook.md`). So it reboots, and that
    /// cannot become a loop: an operation that handed out its answer is sent to the local disk. A lost webhook is
    /// then made good by the first boot, and a failed installation is noticed when the host comes back. The price
    /// is that the installer's own error is gone from the console.
    #[serde(flatten)]
    reboot_on_error: Entry<bool>,
}

impl<'a> Global<'a> {
    pub(super) fn new(input: &AnswerInput<'a>, dialect: Dialect, secrets: &Secrets) -> Result<Self, AnswerError> {
        let site = input.site;
        let fqdn = Fqdn::new(&input.host.name, &site.domain)
            .map_err(|_| AnswerError::FqdnTooLong { name: input.host.name.clone(), domain: site.domain.clone() })?;
        let password_key = if dialect.takes_hashed_password() { "root-password-hashed" } else { "root-password" };
        let keys = std::iter::once(input.one_time_key).chain(&site.root_ssh_keys).collect();
        Ok(Self {
            keyboard: &site.keyboard,
            country: &site.country,
            timezone: &site.timezone,
            fqdn,
            mailto: &site.mailto,
            root_password: dialect.entry(password_key, Exposed(secrets.root_password.clone())),
            root_ssh_keys: dialect.entry("root-ssh-keys", keys),
            reboot_on_error: dialect.entry("reboot-on-error", true),
        })
    }
}

/// Root's password in the form that the dialect takes: the hash, or for 8.2 the one in clear.
pub(super) fn root_password(input: &AnswerInput<'_>, dialect: Dialect) -> Result<Secret<String>, AnswerError> {
    if dialect.takes_hashed_password() {
        return Ok(Secret::new(input.site.root_password_hash.expose().to_owned()));
    }
    let password = input.fallback_password.ok_or(AnswerError::NoClearPassword { release: dialect.release() })?.expose();
    if password.len() < PASSWORD_BYTES_MIN {
        return Err(AnswerError::PasswordTooShort { bytes: password.len(), min: PASSWORD_BYTES_MIN });
    }
    if password.chars().any(char::is_control) {
        return Err(AnswerError::PasswordHasControl);
    }
    Ok(Secret::new(password.clone()))
}
