//! Parsed types: text becomes one of these at the edge, and nobody inside checks again.

mod api_token;
mod disk;
mod facts;
mod host;
mod ids;
mod image;
mod mac;
mod name;
mod net;
mod operation;
mod secret;
mod server_type;
mod site;
mod time;
mod token;

pub use api_token::{ApiToken, ParseApiTokenError};
pub use disk::{
    BtrfsCompress, BtrfsOptions, BtrfsRaid, DiskFault, DiskName, DiskSelection, DiskSetup, Filesystem, FilterMatch,
    Glob, LvmOptions, UdevKey, ZfsChecksum, ZfsCompress, ZfsOptions, ZfsRaid,
};
pub use facts::{Dmi, HardwareId, InstallReport, ParseHardwareIdError, PhoneHome, ReportError, SystemInfo};
pub use host::Host;
pub use ids::{HostId, ImageId, OperationId, ParseIdError, TokenId};
pub use image::{Image, ParseDigestError, ParseReleaseError, Release, Sha256Digest};
pub use mac::{MacAddr, ParseMacError};
pub use name::{Domain, Fqdn, Hostname, ParseNameError, ServerTypeKey};
pub use net::{
    BaseUrl, CertFingerprint, MemberAddr, ParseFingerprintError, ParseKeyError, ParseUrlError, SshPublicKey,
};
pub use operation::{Artefact, ArtefactKind, Operation};
pub use secret::Secret;
pub use server_type::{NicName, ParseNicError, ServerType};
pub use site::{
    Cluster, CountryCode, JoinSecret, KEYBOARDS, Keyboard, MailAddress, ParseSiteError, PasswordHash, Site,
    StaticNetwork, Timezone,
};
pub use time::{ParseTimestampError, Timestamp};
pub use token::{BootToken, ParseTokenError};
