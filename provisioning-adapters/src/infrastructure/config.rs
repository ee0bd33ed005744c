//! What an operator can set about the request, and what can be wrong with it.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use provisioning_core::model::{Secret, ServerTypeKey};
use provisioning_core::ports::BoxError;

/// How hosts are registered. The documented default needs `base_url` alone.
#[derive(Clone, Debug)]
pub struct InfrastructureConfig {
    /// Where the service is: `http://` or `https://`, host, optional port and path.
    pub base_url: String,
    /// The request's method. Default `PUT`: it may be repeated.
    pub method: Method,
    /// The path behind `base_url`, a template. Default `/api/hosts/{{ key }}`.
    pub path: String,
    /// Headers to send, name and value template; values are secrets. One of them may replace a default header.
    pub headers: Vec<(String, Secret<String>)>,
    /// The body's template; it must render to JSON. Default: see the module's documentation.
    pub body: Option<String>,
    /// The service's names for our server types; a type that is not listed keeps our own key.
    pub server_type_map: BTreeMap<ServerTypeKey, String>,
    /// How long the whole request may take. Default 10 s.
    pub timeout: Duration,
    /// The certificates (PEM) to trust instead of the system's, for a service with a private CA.
    pub ca_pem: Option<String>,
    /// Whether an answer of 409 says that the host is registered already. Default: no, it is a refusal.
    pub conflict_means_known: bool,
}

impl InfrastructureConfig {
    /// The documented default request, to the service at `base_url`.
    pub fn new(base_url: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            method: Method::Put,
            path: "/api/hosts/{{ key }}".to_owned(),
            headers: Vec::new(),
            body: None,
            server_type_map: BTreeMap::new(),
            timeout: Duration::from_secs(10),
            ca_pem: None,
            conflict_means_known: false,
        }
    }
}

/// The request's method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// `PUT`: make it so.
    #[default]
    Put,
    /// `POST`: for services that know no other; it should honour `Idempotency-Key`.
    Post,
    /// `PATCH`: for services whose records exist beforehand.
    Patch,
}

impl FromStr for Method {
    type Err = InfrastructureFault;

    fn from_str(text: &str) -> Result<Self, InfrastructureFault> {
        match text {
            "PUT" => Ok(Self::Put),
            "POST" => Ok(Self::Post),
            "PATCH" => Ok(Self::Patch),
            _ => Err(InfrastructureFault::Method { found: text.to_owned() }),
        }
    }
}

/// Why the request cannot be made as it was configured. Never holds a header's value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfrastructureFault {
    /// The base URL is none.
    #[error("infrastructure.base_url {problem}: write http://HOST[:PORT][/PATH] or https://…")]
    BaseUrl {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The method is not one of ours.
    #[error("infrastructure.method is {found:?}: PUT, POST and PATCH are possible")]
    Method {
        /// What was found.
        found: String,
    },
    /// A template that cannot be read or rendered.
    #[error("infrastructure.{part}, line {line}: {problem}")]
    Template {
        /// Which one: `path`, `body` or `headers.NAME`.
        part: String,
        /// The line within the template, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A header whose name or rendered value HTTP does not allow.
    #[error("infrastructure.headers.{name}: {problem}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The CA certificates cannot be read.
    #[error("infrastructure.ca_pem holds no readable certificate: paste PEM, -----BEGIN CERTIFICATE----- and on")]
    Ca {
        /// The cause.
        #[source]
        source: Option<BoxError>,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTP client for the inventory service could be made")]
    Client {
        /// The cause.
        #[source]
        source: BoxError,
    },
}
