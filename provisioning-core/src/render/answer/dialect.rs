//! What an installer of a release understands: 8.2 to 9.2 differ in spelling and in features.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::error::AnswerError;
use crate::model::Release;

/// The oldest installer that can be answered.
pub(super) const OLDEST: Release = Release::new(8, 2);
/// The oldest installer that can report, and that takes a hashed password.
pub(super) const OLDEST_REPORTING: Release = Release::new(8, 3);
const KEBAB_CASE: Release = Release::new(8, 4);
const JSON: Release = Release::new(9, 2);

/// The dialect of a release (`reference/answer-file.md`, "Dialect by version").
///
/// A release without a column of its own speaks as the one before it; those after 9.2 speak as 9.2.
///
/// ```
/// # use provisioning_core::model::Release;
/// # use provisioning_core::render::answer::Dialect;
/// assert!(Dialect::of(Release::new(8, 4))?.is_kebab_case());
/// assert!(Dialect::of(Release::new(8, 1)).is_err());
/// # Ok::<(), provisioning_core::render::answer::AnswerError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    release: Release,
}

impl Dialect {
    /// The dialect that installers of `release` speak.
    ///
    /// # Errors
    /// `UnsupportedRelease` below 8.2.
    pub fn of(release: Release) -> Result<Self, AnswerError> {
        if release < OLDEST { Err(AnswerError::UnsupportedRelease { release }) } else { Ok(Self { release }) }
    }

    /// Whether keys are written `root-ssh-keys`; before 8.4 they are `root_ssh_keys`.
    pub fn is_kebab_case(self) -> bool {
        self.release >= KEBAB_CASE
    }

    /// Whether root's password may be given as a hash.
    pub fn takes_hashed_password(self) -> bool {
        self.release >= OLDEST_REPORTING
    }

    /// Whether there are the sections `post-installation-webhook` and `first-boot`.
    pub fn reports(self) -> bool {
        self.release >= OLDEST_REPORTING
    }

    /// Whether the webhook has an `auth-token`, which comes back in the report.
    pub fn has_auth_token(self) -> bool {
        self.release >= JSON
    }

    /// Whether the answer may be JSON.
    pub fn reads_json(self) -> bool {
        self.release >= JSON
    }

    /// Asks for something that came with release `since`.
    ///
    /// # Errors
    /// `NotInRelease` when this release is older.
    pub(super) fn require(self, feature: &'static str, since: Release) -> Result<(), AnswerError> {
        if self.release >= since {
            Ok(())
        } else {
            Err(AnswerError::NotInRelease { feature, since, release: self.release })
        }
    }

    /// The same for the JSON form.
    pub(super) fn require_json(self) -> Result<(), AnswerError> {
        self.require("an answer in JSON", JSON)
    }

    /// An entry whose key is given in kebab-case and written as this dialect spells it.
    pub(super) fn entry<T>(self, key: &'static str, value: T) -> Entry<T> {
        Entry { key: if self.is_kebab_case() { key.to_owned() } else { key.replace('-', "_") }, value }
    }

    /// The release itself, for messages.
    pub(super) fn release(self) -> Release {
        self.release
    }
}

/// Whether a host can be rebuilt with an image of this release: its installer must be able to report.
///
/// An 8.2 installer that asks (started by hand, say) is still answered; it is only that a rebuild with it would
/// never be heard of again, as it has neither webhook nor first boot.
///
/// # Errors
/// `UnsupportedRelease` below 8.2, `CannotReport` for 8.2.
pub fn supports_provisioning(release: Release) -> Result<(), AnswerError> {
    if Dialect::of(release)?.reports() { Ok(()) } else { Err(AnswerError::CannotReport { release }) }
}

/// One entry of a section, its key spelled as the dialect wants. Put it into a section with `#[serde(flatten)]`.
///
/// Only keys differ by dialect, never the names of sections nor the properties of a filter, so the spelling
/// belongs to the single entry.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    key: String,
    value: T,
}

impl<T: Serialize> Serialize for Entry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.key, &self.value)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(major: u16, minor: u16) -> Dialect {
        Dialect::of(Release::new(major, minor)).unwrap()
    }

    #[test]
    fn each_release_has_the_features_of_its_column() {
        //                   kebab  hash   reports token  json
        let columns = [
            ((8, 2), [false, false, false, false, false]),
            ((8, 3), [false, true, true, false, false]),
            ((8, 4), [true, true, true, false, false]),
            ((9, 0), [true, true, true, false, false]),
            ((9, 1), [true, true, true, false, false]),
            ((9, 2), [true, true, true, true, true]),
            ((10, 0), [true, true, true, true, true]),
        ];
        for ((major, minor), features) in columns {
            let d = dialect(major, minor);
            let found = [d.is_kebab_case(), d.takes_hashed_password(), d.reports(), d.has_auth_token(), d.reads_json()];
            assert_eq!(found, features, "{major}.{minor}");
        }
    }

    #[test]
    fn a_release_before_8_2_is_refused_and_told_what_is_supported() {
        for (major, minor) in [(8, 1), (7, 4), (0, 0)] {
            let error = Dialect::of(Release::new(major, minor)).unwrap_err();
            assert!(matches!(error, AnswerError::UnsupportedRelease { .. }));
            assert!(error.to_string().contains("8.2 and later"), "{error}");
        }
    }

    #[test]
    fn an_8_2_image_is_refused_for_a_rebuild_because_it_cannot_report() {
        let release = Release::new(8, 2);
        assert_eq!(supports_provisioning(release), Err(AnswerError::CannotReport { release }));
        assert!(Dialect::of(release).is_ok(), "but its installer is answered");
        assert!(matches!(supports_provisioning(Release::new(8, 1)), Err(AnswerError::UnsupportedRelease { .. })));
        for (major, minor) in [(8, 3), (8, 4), (9, 2), (10, 1)] {
            assert_eq!(supports_provisioning(Release::new(major, minor)), Ok(()));
        }
    }

    #[test]
    fn an_entry_is_spelled_as_its_dialect_wants() {
        let written = |d: Dialect| serde_json::to_string(&d.entry("root-ssh-keys", 1)).unwrap();
        assert_eq!(written(dialect(8, 3)), r#"{"root_ssh_keys":1}"#);
        assert_eq!(written(dialect(8, 4)), r#"{"root-ssh-keys":1}"#);
    }
}
