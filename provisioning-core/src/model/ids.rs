//! Ids of what we keep: UUIDv7, so that they sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::time::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes an id from the time and ten random bytes, both given by the caller's ports.
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The sixteen bytes, as stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads the sixteen bytes back.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| ParseIdError { what: $what })
            }
        }
    };
}

id!(
    /// A host we provision.
    HostId,
    "host"
);
id!(
    /// One try to bring a host to ready.
    OperationId,
    "operation"
);
id!(
    /// An imported Proxmox ISO.
    ImageId,
    "image"
);

id!(
    /// A token of an operator.
    TokenId,
    "token"
);

/// The text is no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} id is not a UUID such as 0199c1f2-7a3b-7c4d-8e5f-0123456789ab")]
pub struct ParseIdError {
    what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = HostId::new(Timestamp::from_millis(1_000), [255; 10]);
        let late = HostId::new(Timestamp::from_millis(2_000), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
    }
}
