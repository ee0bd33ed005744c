//! Which problem each error of the core and of the images is. The only place that maps errors to status codes.
//!
//! The core's enums may grow: what this version does not know is a fault of the server.

use std::error::Error;

use axum::response::{IntoResponse, Response};
use provisioning_core::model::{BaseUrl, ServerTypeKey};
use provisioning_core::orchestrator::{AnswerRefusal, OperatorError, ReportRefusal, TokenError};
use provisioning_core::ports::{Retry, StoreError, VaultError, chain};

use super::problem::{Kind, Problem};
use crate::images::artifact::ArtifactError;
use crate::images::import::{ImportError, OpenError};

fn internal(error: &dyn Error) -> Problem {
    let detail = chain(error);
    tracing::error!(error = %detail, "a request met a fault of the server");
    Problem::new(Kind::Internal, detail)
}

fn busy(error: &dyn Error) -> Problem {
    Problem::new(Kind::TryLater, chain(error)).advise("try again in a few seconds").retry_after(5)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let said = error.to_string();
        match &error {
            StoreError::NoSuchHost(_) => Self::new(Kind::NoSuchHost, said),
            StoreError::Stale { .. } => Self::new(Kind::Stale, said).advise("read the host again, then repeat"),
            StoreError::NameTaken { name, .. } => {
                Self::new(Kind::NameTaken, said).at("hostname", name.as_str(), "a name that no other host has")
            }
            StoreError::MacTaken { mac, .. } => {
                Self::new(Kind::MacTaken, said).at("mac", mac.to_string(), "an address that no other host has")
            }
            StoreError::NoSuchImage(_) => Self::new(Kind::NoSuchImage, said),
            StoreError::ImageExists(_) => Self::new(Kind::ImageExists, said),
            StoreError::ImageInUse { .. } => {
                Self::new(Kind::ImageInUse, said).advise("wait until the operation has ended, or cancel it")
            }
            StoreError::Corrupt { .. } => Self::new(Kind::StoreCorrupt, said),
            StoreError::Unwritable { trouble, .. } => {
                Self::new(Kind::NotWritable, said).advise(trouble.advice()).retry_after(10)
            }
            StoreError::Unavailable { retry: Retry::Later, .. } => busy(&error),
            _ => internal(&error),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        match &error {
            VaultError::Unavailable { retry: Retry::Later, .. } => busy(&error),
            _ => internal(&error),
        }
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        let said = error.to_string();
        match error {
            OperatorError::NoSuchHost(_) => Self::new(Kind::NoSuchHost, said),
            OperatorError::NotDiscovered(mac) => Self::new(Kind::NotDiscovered, said)
                .at("mac", mac.to_string(), "a machine of /api/discovered")
                .advise("GET /api/discovered lists them; POST /api/hosts registers a machine that was never seen"),
            OperatorError::NoSuchImage(image) => {
                Self::new(Kind::NoSuchImage, said).at("image", image.to_string(), "an image of /api/images")
            }
            OperatorError::NoImage => Self::new(Kind::NoSuchImage, said)
                .advise("import a Proxmox VE ISO first: provisioning image import proxmox-ve_9.2-1.iso"),
            OperatorError::NoSuchServerType { key, known } => {
                let known: Vec<&str> = known.iter().map(ServerTypeKey::as_str).collect();
                Self::new(Kind::NoSuchServerType, said)
                    .at("server_type", key.as_str(), format!("one of {}", known.join(", ")))
                    .advise("add it to server-types.yaml, or name another")
            }
            OperatorError::NoMac => Self::new(Kind::InvalidFields, said).at("macs", "", "at least one MAC address"),
            OperatorError::MacTwice(mac) => {
                Self::new(Kind::InvalidFields, said).at("macs", mac.to_string(), "each address once")
            }
            OperatorError::NameTaken { name, by } => Self::new(Kind::NameTaken, said)
                .at("hostname", name.as_str(), "a name that no other host has")
                .advise(format!("choose another name, or remove host {by}")),
            OperatorError::MacTaken { mac, by } => Self::new(Kind::MacTaken, said)
                .at("mac", mac.to_string(), "an address that no other host has")
                .advise(format!("check the address, or remove host {by}")),
            OperatorError::Busy { .. } => {
                Self::new(Kind::HostBusy, said).advise("wait until the operation has ended, or cancel it")
            }
            OperatorError::JoinMayRun { until } => Self::new(Kind::NotPossibleNow, said)
                .advise(format!("try again after {until}; other hosts wait for the same")),
            OperatorError::NotRunning { .. } => Self::new(Kind::NotPossibleNow, said).advise("rebuild starts one"),
            OperatorError::NotResumable { .. } => Self::new(Kind::NotPossibleNow, said),
            OperatorError::NotConfirmed { name, given } => Self::new(Kind::ConfirmationNeeded, said)
                .at("confirm", given.unwrap_or_default(), format!("the host's name, {name}"))
                .advise(format!("send \"confirm\": \"{name}\" if its disks may be wiped")),
            OperatorError::NotInstallable { .. } => {
                Self::new(Kind::PreflightFailed, said).advise("POST with ?dry_run=true shows all that would happen")
            }
            OperatorError::Changed { .. } => {
                Self::new(Kind::Stale, said).advise("read the host again, then repeat with its revision")
            }
            OperatorError::Store(error) => error.into(),
            OperatorError::Vault(error) => error.into(),
            other => internal(&other),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Unknown => Self::new(Kind::UnknownToken, "the token is not known"),
            TokenError::Ended(_) => Self::new(Kind::OperationEnded, error.to_string())
                .advise("rebuild the host: every operation has a token of its own"),
            TokenError::Store(error) => error.into(),
            other => internal(&other),
        }
    }
}

impl From<AnswerRefusal> for Problem {
    fn from(error: AnswerRefusal) -> Self {
        let said = chain(&error);
        match error {
            AnswerRefusal::Request(_) => Self::new(Kind::MalformedJson, said),
            AnswerRefusal::Token(error) => error.into(),
            AnswerRefusal::NoHost { .. } => {
                Self::new(Kind::NoSuchHost, said).advise("register one of the addresses and rebuild that host")
            }
            AnswerRefusal::SeveralHosts { .. } | AnswerRefusal::ForeignMacs { .. } => {
                Self::new(Kind::MacTaken, said).advise("compare the machine's addresses with the registered ones")
            }
            AnswerRefusal::OtherHardware { host, found, .. } => Self::new(Kind::HardwareChanged, said).advise(format!(
                "if that is meant, POST {{\"hardware_id\": \"{found}\"}} to /api/hosts/{host}/accept-hardware, then \
                     netboot the machine again"
            )),
            AnswerRefusal::AlreadyInstalled { .. } | AnswerRefusal::NotArmed { .. } => {
                Self::new(Kind::NotPossibleNow, said)
            }
            AnswerRefusal::ForeignProduct { .. } | AnswerRefusal::NotInstallable { .. } => {
                Self::new(Kind::PreflightFailed, said)
            }
            AnswerRefusal::Store(error) => error.into(),
            other => internal(&other),
        }
    }
}

impl From<ReportRefusal> for Problem {
    fn from(error: ReportRefusal) -> Self {
        match error {
            ReportRefusal::NoSuchHost(_) => Self::new(Kind::NoSuchHost, error.to_string()),
            ReportRefusal::UnknownToken => Self::new(Kind::UnknownToken, error.to_string()),
            ReportRefusal::Store(error) => error.into(),
            other => internal(&other),
        }
    }
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        let said = chain(&error);
        match &error {
            ImportError::Refused(_) => Self::new(Kind::ImageRefused, said)
                .advise("use a Proxmox VE ISO from 8.2 on, as Proxmox publishes it, downloaded in full"),
            ImportError::NotAFile { path } => {
                Self::new(Kind::ImageUnreadable, said).at("path", path.display().to_string(), "a file of the server")
            }
            ImportError::Read { path, .. } => Self::new(Kind::ImageUnreadable, said)
                .at("path", path.display().to_string(), "a file that the server can read")
                .advise("the path is looked up on the server; send the file's bytes to upload it"),
            ImportError::Write { .. } => {
                Self::new(Kind::DiskTrouble, said).advise("make room below the server's data directory")
            }
            ImportError::Upload(_) => Self::new(Kind::BodyBroke, said).advise("send it again"),
            ImportError::Stopped => busy(&error),
        }
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        let said = chain(&error);
        match &error {
            OpenError::Missing { .. } | OpenError::Resized { .. } | OpenError::Refused(_) => {
                Self::new(Kind::ImageGone, said).advise("remove the image and import it again")
            }
            OpenError::Read { .. } | OpenError::Stopped => busy(&error),
        }
    }
}

impl From<ArtifactError> for Problem {
    fn from(error: ArtifactError) -> Self {
        Self::new(Kind::ImageRefused, chain(&error))
    }
}

/// The answer to a path that nothing is at.
pub(super) async fn no_such_path(uri: axum::http::Uri) -> Response {
    Problem::new(Kind::NoSuchPath, format!("there is nothing at {}", super::problem::shortened(uri.path())))
        .into_response()
}

/// The answer to whatever is asked for at firmware's door and is none of firmware's business.
pub(super) fn not_for_firmware(uri: &axum::http::Uri, public_url: &BaseUrl) -> Response {
    let path = super::problem::shortened(uri.path());
    Problem::new(Kind::NoSuchPath, format!("{path} is not served to firmware, over a connection without TLS"))
        .advise(format!("use {public_url}"))
        .into_response()
}

/// The answer to a method that a path does not take.
pub(super) async fn method_not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> Response {
    let path = super::problem::shortened(uri.path());
    Problem::new(Kind::MethodNotAllowed, format!("{path} does not take {method}")).into_response()
}
