//! The configuration: `provisioning.yaml`, `server-types.yaml` and the environment, parsed into types at once.
//!
//! All faults are reported together, each with its file, line and key, before anything starts.

mod auth;
mod convert;
mod effective;
mod fault;
mod keys;
mod nearness;
mod notify;
mod pxe;
mod reader;
mod reference;
mod schema;
mod secret;
mod server;
mod server_types;
mod several;
mod template;
mod tree;
mod unreadable;
mod variables;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use provisioning_core::machine::Policy;
use provisioning_core::model::{ApiToken, Secret, ServerType, ServerTypeKey, Site};
use provisioning_core::orchestrator::Retention;

pub use effective::{Setting, Shown};
pub use fault::{Fault, Faults, Place};
pub use keys::Document;
pub use pxe::PxeConfig;

use crate::access::{PasswordPhc, SESSION_IDLE};
use crate::bandwidth::Bandwidth;
pub use reader::Origins;
pub use reference::reference;
pub use schema::schema;
pub use template::{Filled, example, file, scalar};

use reader::Reader;
use tree::Tree;

use crate::notify::Target;

/// What environment variables that set keys begin with: `PROVISIONING__SERVER__PUBLIC_URL` is `server.public_url`.
pub const VARIABLE_PREFIX: &str = "PROVISIONING__";

/// Where the configuration is looked for when no `--config` is given.
pub const DEFAULT_PATHS: [&str; 2] = ["provisioning.yaml", "/etc/provisioning/provisioning.yaml"];

/// A configuration without faults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub path: PathBuf,
    /// Where the server listens, and where it keeps its data.
    pub server: ServerConfig,
    /// What all hosts share.
    pub site: Site,
    /// The port of the hosts' SSH servers. Default 22.
    pub ssh_port: u16,
    /// A token that may read the cluster's state; `None` takes the joining node's own word.
    pub api_token: Option<ApiToken>,
    /// Time limits.
    pub policy: Policy,
    /// The inventory service; `None` tells nobody.
    pub infrastructure: Option<InfrastructureConfig>,
    /// How long the past is kept. Default a year.
    pub retention: Retention,
    /// How many machines download at once; the others wait for their turn. Default all.
    pub max_streams: Option<usize>,
    /// How many bytes a second all downloads take together. Default as many as go out.
    pub max_bandwidth: Option<Bandwidth>,
    /// Netbooting.
    pub pxe: PxeConfig,
    /// Who may operate.
    pub auth: AuthConfig,
    /// How browsers log in.
    pub logins: LoginConfig,
    /// How is logged.
    pub logging: LoggingConfig,
    /// The services that are told of events.
    pub notify: Vec<Target>,
    /// The hardware classes.
    pub server_types: Vec<ServerType>,
    /// The file the hardware classes came from.
    pub server_types_file: PathBuf,
    /// What is no fault but deserves a look.
    pub warnings: Vec<Fault>,
    /// Where each value that was written stands, by its key in full.
    pub origins: Origins,
}

/// `server`: where it listens, and where it keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address for operators and machines. Default `127.0.0.1:8080`, so that nothing is open by accident.
    pub listen: SocketAddr,
    /// The directory of the database, the key file and the images. Default `data` beside the configuration.
    pub data_dir: PathBuf,
    /// TLS at `listen`; `None` is plain HTTP.
    pub tls: Option<TlsConfig>,
    /// A further address, for firmware alone and without TLS: most firmware cannot speak it. Default none.
    pub boot_listen: Option<SocketAddr>,
    /// A further address, for kernel and initrd alone, which are sent by `sendfile` there. Default none.
    pub artifact_listen: Option<SocketAddr>,
}

/// `server.tls`: where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsConfig {
    /// PEM files of the operator's, looked at again whenever they change.
    Files {
        /// The certificate, with the ones that lead to its authority behind it.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// One that the server makes for itself and keeps in its data directory.
    SelfSigned,
}

/// `infrastructure`: the inventory service and the request that tells it of a host.
#[derive(Clone, Debug)]
pub struct InfrastructureConfig {
    /// Where it is: an http or https URL without query.
    pub base_url: String,
    /// The request's method. Default PUT.
    pub method: InventoryMethod,
    /// The request's path, a template; `None` is the documented default.
    pub path: Option<String>,
    /// Further headers; values may be templates and may hold credentials.
    pub headers: BTreeMap<String, Secret<String>>,
    /// A bearer token.
    pub token: Option<Secret<String>>,
    /// The request's JSON body, a template; `None` is the documented default.
    pub body: Option<String>,
    /// Our server type keys to the service's own.
    pub server_type_map: BTreeMap<ServerTypeKey, String>,
    /// How long one request may take; `None` is the adapter's default.
    pub timeout: Option<Duration>,
    /// Certificates that the service's own is checked against, as PEM, in place of the system's.
    pub ca_pem: Option<String>,
    /// Whether the answer 409 means that the service knows the host already.
    pub conflict_means_known: bool,
}

/// The methods that an inventory request may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InventoryMethod {
    /// PUT.
    #[default]
    Put,
    /// POST.
    Post,
    /// PATCH.
    Patch,
}

impl InventoryMethod {
    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
        }
    }
}

/// `auth`: who may operate.
#[derive(Clone, Debug)]
pub enum AuthConfig {
    /// Whoever has a token: the configured one, or the one that the first start generates.
    Token {
        /// The configured token.
        admin: Option<Secret<String>>,
    },
    /// Everybody who reaches the server.
    Open,
}

/// The part of `auth` that is about browsers.
#[derive(Clone, Debug)]
pub struct LoginConfig {
    /// A password that opens a session, as a token does. Default none.
    pub password: Option<PasswordConfig>,
    /// How long a session lives without a request; never more than 12 hours in all. Default two hours.
    pub session_idle: Duration,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self { password: None, session_idle: SESSION_IDLE }
    }
}

/// How the password is configured.
#[derive(Clone, Debug)]
pub enum PasswordConfig {
    /// `auth.password_hash`: an argon2id hash.
    Hash(PasswordPhc),
    /// `auth.password`: in clear, best in a file of its own. It is hashed when the server starts.
    Clear(Secret<String>),
}

/// `logging`: how is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggingConfig {
    /// Text for people, JSON for programs. Default text.
    pub format: LogFormat,
    /// A filter as tracing's `EnvFilter` reads it. Default `info`.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Config {
    /// Where a key was written; the whole file when it was not.
    pub fn place_of(&self, key: &str) -> Place {
        let whole = || Place::whole(&Arc::from(self.path.as_path()));
        self.origins.0.get(key).cloned().unwrap_or_else(whole)
    }

    /// Reads `path`, the server types beside it and `variables` over both.
    ///
    /// # Errors
    /// Every fault of both files and of the variables.
    pub fn load(path: &Path, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, Faults> {
        Self::with_drafts(path, BTreeMap::new(), variables)
    }

    /// The same, as if the files that are named in `drafts`, by absolute paths, held these texts.
    ///
    /// # Errors
    /// Every fault of both files and of the variables.
    pub fn with_drafts(
        path: &Path,
        drafts: BTreeMap<PathBuf, Secret<String>>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let shared: Arc<Path> = Arc::from(path.as_path());
        let base = path.parent().unwrap_or(Path::new("/")).to_owned();
        let reader = Reader::new(&base, drafts);
        let mut tree = read_tree(&reader, &path).map_err(|fault| Faults(vec![fault]))?;
        variables::lay_over(&mut tree, variables, &reader);
        let config = convert::config(&reader, reader.root(Document::Main, tree), &shared);
        let origins = reader.origins();
        let (faults, warnings) = reader.into_parts();
        match config {
            Some(config) if faults.is_empty() => Ok(Self { warnings, origins, ..config }),
            _ => Err(Faults(faults)),
        }
    }
}

/// Reads hardware classes from a file.
///
/// # Errors
/// Every fault of the file.
pub fn load_server_types(path: &Path) -> Result<Vec<ServerType>, Faults> {
    let reader = Reader::new(path.parent().unwrap_or(Path::new("/")), BTreeMap::new());
    let types = server_types::read(&reader, path);
    let (faults, _) = reader.into_parts();
    if faults.is_empty() { Ok(types) } else { Err(Faults(faults)) }
}

fn read_tree(reader: &Reader, path: &Path) -> Result<Tree, Fault> {
    let shared: Arc<Path> = Arc::from(path);
    let whole = |problem| Fault { place: Place::whole(&shared), key: String::new(), problem, help: None };
    let text = reader.read(path).map_err(whole)?;
    Tree::parse(text.expose(), &shared)
}
