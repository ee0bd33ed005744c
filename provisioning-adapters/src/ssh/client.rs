//! Opens a login: connection, host key, our key.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::model::Secret;
use provisioning_core::ports::{BoxError, KeyPair, RemoteShell, Shell, ShellError, Target};
use russh::client::{AuthResult, Config, DisconnectReason, Handle, Handler};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{AlgorithmKind, Preferred};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::keys;
use super::login::Login;
use super::signing::OneTimeKey;

/// Opens shells by SSH, as root, with nothing but the one-time key.
///
/// A command that is given up (over its time or its output) may live on at the host: OpenSSH ends a root session's
/// command only when it next writes. Whatever must end has to see to that itself, as the detached join does.
#[derive(Clone, Copy, Debug)]
pub struct SshShell {
    port: u16,
}

impl SshShell {
    /// How long a host may take to accept the connection and agree on keys.
    pub const CONNECT_TIME_LIMIT: Duration = Duration::from_secs(10);
    /// How long it may then take to look at our key; sshd may be asking a slow resolver who we are.
    pub const LOGIN_TIME_LIMIT: Duration = Duration::from_secs(20);
    /// After this much silence we ask whether the host is still there; three unanswered questions break the login.
    pub const KEEPALIVE: Duration = Duration::from_secs(10);

    /// For hosts whose sshd listens on port 22.
    pub fn new() -> Self {
        Self { port: 22 }
    }

    /// The same for another port, on every host.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    async fn connect(&self, address: IpAddr, pins: Vec<PublicKey>) -> Result<Session, ShellError> {
        let config = Arc::new(Config {
            nodelay: true,
            keepalive_interval: Some(Self::KEEPALIVE),
            preferred: Preferred { key: Cow::Owned(keys::algorithms(&pins)), ..Preferred::DEFAULT },
            ..Config::default()
        });
        let end = End::default();
        let handler = PinnedHost { pins, end: end.clone() };
        let connecting = russh::client::connect(config, (address, self.port), handler);
        match timeout(Self::CONNECT_TIME_LIMIT, connecting).await {
            Ok(Ok(handle)) => Ok(Session { handle, end }),
            Ok(Err(error)) if is_about_the_host_key(&error) => {
                tracing::debug!(%error, "host key refused");
                Err(ShellError::HostKeyMismatch { address })
            }
            Ok(Err(error)) => Err(ShellError::Unreachable { address, source: Some(error.into()) }),
            Err(elapsed) => Err(ShellError::Unreachable { address, source: Some(elapsed.into()) }),
        }
    }
}

impl Default for SshShell {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RemoteShell for SshShell {
    fn key_pair(&self, seed: &Secret<[u8; 32]>) -> KeyPair {
        keys::key_pair(seed)
    }

    /// A target whose only keys are RSA is a `HostKeyMismatch`: we cannot check one, and so trust none.
    async fn open(&self, target: &Target, key: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        let span = tracing::error_span!("ssh_login", address = %target.address);
        self.log_in(target, key).instrument(span).await
    }
}

impl SshShell {
    async fn log_in(&self, target: &Target, key: &Secret<String>) -> Result<Box<dyn Shell>, ShellError> {
        let address = target.address;
        let mut key = OneTimeKey::new(key)?;
        let pins = keys::pins(&target.host_keys);
        if pins.is_empty() {
            tracing::debug!("no ed25519 or ecdsa host key to pin");
            return Err(ShellError::HostKeyMismatch { address });
        }
        let mut session = self.connect(address, pins).await?;
        match timeout(Self::LOGIN_TIME_LIMIT, session.authenticate(&mut key)).await {
            Ok(Verdict::Accepted) => {
                tracing::debug!("logged in");
                Ok(Box::new(Login::new(session)))
            }
            Ok(Verdict::Refused) => {
                tracing::debug!("the host refuses the one-time key");
                Err(ShellError::KeyRefused { address })
            }
            Ok(Verdict::Unclear(source)) => Err(ShellError::Disconnected { source }),
            Err(elapsed) => Err(ShellError::Disconnected { source: Some(elapsed.into()) }),
        }
    }
}

/// Whether the host has shown a wrong key, or has none of the types that are pinned.
fn is_about_the_host_key(error: &russh::Error) -> bool {
    matches!(
        error,
        russh::Error::UnknownKey
            | russh::Error::WrongServerSig
            | russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. }
    )
}

/// A connection whose host key was checked, and why it ended when it has.
pub(super) struct Session {
    pub(super) handle: Handle<PinnedHost>,
    end: End,
}

enum Verdict {
    Accepted,
    Refused,
    Unclear(Option<BoxError>),
}

impl Session {
    /// Shows our key. `Refused` is proof that it opens nothing here, so anything less clear is not that.
    async fn authenticate(&mut self, key: &mut OneTimeKey<'_>) -> Verdict {
        match self.handle.authenticate_publickey_with("root", key.public(), None, key).await {
            Ok(AuthResult::Success) => Verdict::Accepted,
            Ok(AuthResult::Failure { partial_success: true, .. }) => {
                Verdict::Unclear(Some("the host took the key but asks for more than a key".into()))
            }
            // russh says the same of a refusal that leaves no method and of a connection that broke before the
            // answer came. Only in the first case does it end the connection itself, and for that reason.
            Ok(AuthResult::Failure { remaining_methods, .. }) if remaining_methods.is_empty() => {
                (&mut self.handle).await.ok();
                match self.end.take() {
                    Some(russh::Error::NoAuthMethod) => Verdict::Refused,
                    cause => Verdict::Unclear(cause.map(Into::into)),
                }
            }
            Ok(AuthResult::Failure { .. }) => Verdict::Refused,
            Err(error) => Verdict::Unclear(Some(error.into())),
        }
    }

    /// The connection broke: with why, if that is known, else with what was seen of it.
    pub(super) fn disconnected(&self, seen: Option<russh::Error>) -> ShellError {
        ShellError::Disconnected { source: self.end.take().or(seen).map(Into::into) }
    }
}

/// Why a connection ended, written by its handler and read by its user.
#[derive(Clone, Default)]
struct End(Arc<Mutex<Option<russh::Error>>>);

impl End {
    fn set(&self, cause: russh::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
    }

    fn take(&self) -> Option<russh::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Accepts the pinned keys and no other, no certificate either.
pub(super) struct PinnedHost {
    pins: Vec<PublicKey>,
    end: End,
}

impl Handler for PinnedHost {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                self.pins.iter().any(|pin| pin.key_data() == key.key_data())
            }
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        if let DisconnectReason::Error(cause) = reason {
            self.end.set(cause);
        }
        Ok(())
    }
}
