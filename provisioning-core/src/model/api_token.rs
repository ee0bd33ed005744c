//! A Proxmox VE API token, as an operator copies it from the cluster.

use std::fmt;
use std::str::FromStr;

use super::secret::Secret;

/// An API token in the form that Proxmox VE prints it: `USER@REALM!ID=SECRET`, kept as a secret.
///
/// ```
/// # use provisioning_core::model::ApiToken;
/// let token: ApiToken = "provisioning@pve!join=6f1c7a52-0000-4000-8000-93d1a2b3c4d5".parse()?;
/// assert_eq!(token.name(), "provisioning@pve!join");
/// assert!(!format!("{token:?}").contains("6f1c"));
/// assert!("root@pam".parse::<ApiToken>().is_err());
/// # Ok::<(), provisioning_core::model::ParseApiTokenError>(())
/// ```
#[derive(Clone)]
pub struct ApiToken(Secret<String>);

impl ApiToken {
    /// All of it, as the `Authorization` header wants it behind `PVEAPIToken=`.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// `USER@REALM!ID`: what may be shown.
    pub fn name(&self) -> &str {
        self.0.expose().split('=').next().unwrap_or_default()
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}=***)", self.name())
    }
}

impl FromStr for ApiToken {
    type Err = ParseApiTokenError;

    fn from_str(text: &str) -> Result<Self, ParseApiTokenError> {
        let fits =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"!=:\"/".contains(&b));
        let (name, secret) = text.split_once('=').ok_or(ParseApiTokenError)?;
        let (user, id) = name.split_once('!').ok_or(ParseApiTokenError)?;
        let (login, realm) = user.rsplit_once('@').ok_or(ParseApiTokenError)?;
        let secret_fits =
            (8..=128).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if text.len() <= 256 && [login, realm, id].into_iter().all(fits) && secret_fits {
            Ok(Self(Secret::new(text.to_owned())))
        } else {
            Err(ParseApiTokenError)
        }
    }
}

/// The text is no API token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API token: write USER@REALM!ID=SECRET, as Proxmox shows it once when the token is made")]
pub struct ParseApiTokenError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_out_of_a_header_is_no_token() {
        let good = "provisioning@pve!join=6f1c7a52-1111-4000-8000-93d1a2b3c4d5";
        assert_eq!(good.parse::<ApiToken>().unwrap().expose(), good);
        for bad in [
            "",
            "a@b!c",
            "a@b!c=short",
            "ab!c=0123456789",
            "a@b=0123456789",
            "a@b!c=0123456789\r\nX: y",
            "@b!c=0123456789",
        ] {
            assert!(bad.parse::<ApiToken>().is_err(), "{bad:?}");
        }
    }
}
