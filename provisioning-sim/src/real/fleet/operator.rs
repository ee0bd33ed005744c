//! An operator who works through the server's HTTP API, and is not put off by a server that restarts.

use std::time::Duration;

use provisioning_core::model::Secret;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::real::http::HttpError;

/// The pause before a request is sent again.
const PAUSE: Duration = Duration::from_millis(250);
/// An upload of a real image takes its time.
const REQUEST_MAX: Duration = Duration::from_secs(600);

/// An operator of one server.
#[derive(Clone, Debug)]
pub struct Operator {
    base: String,
    token: Option<Secret<String>>,
    client: reqwest::Client,
    outage_max: Duration,
}

/// A host as the API shows it. Fields that are not needed here are not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct HostStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    pub hostname: String,
    /// `registered`, ..., `ready`, `failed`.
    pub phase: String,
    /// Why it failed.
    #[serde(default)]
    pub failure: Option<FailureStatus>,
}

/// Why a host failed, in the server's words.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FailureStatus {
    /// The reason's stable name.
    #[serde(default)]
    pub reason: String,
    /// What happened.
    #[serde(default)]
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub advice: String,
    /// The phase it failed in.
    #[serde(default)]
    pub during: Option<String>,
}

/// An image as the API shows it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ImageStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its release: `9.2`.
    #[serde(default)]
    pub release: String,
}

/// What is sent with a request.
#[derive(Clone, Copy)]
enum Payload<'a> {
    Nothing,
    Json(&'a Value),
    Bytes(&'a bytes::Bytes),
}

impl Operator {
    /// An operator of the server at `base`, who waits up to `outage_max` for a server that is away.
    pub fn new(base: &str, token: Option<Secret<String>>, outage_max: Duration) -> Result<Self, OperatorError> {
        Self::trusting(base, token, outage_max, None)
    }

    /// The same, who trusts this certificate, as PEM, and no other.
    ///
    /// # Errors
    /// When it is no certificate, or no HTTP client can be made.
    pub fn trusting(
        base: &str,
        token: Option<Secret<String>>,
        outage_max: Duration,
        ca_pem: Option<&str>,
    ) -> Result<Self, OperatorError> {
        let mut builder = reqwest::Client::builder().no_proxy().timeout(REQUEST_MAX).pool_max_idle_per_host(0);
        if let Some(pem) = ca_pem {
            let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).map_err(OperatorError::Client)?;
            builder = builder.tls_certs_only([certificate]);
        }
        let client = builder.build().map_err(OperatorError::Client)?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token, client, outage_max })
    }

    /// The images that the server has.
    pub async fn images(&self) -> Result<Vec<ImageStatus>, OperatorError> {
        listed(self.done(Method::GET, "/api/images", Payload::Nothing).await?, "images")
    }

    /// Gives the server an image.
    pub async fn import(&self, iso: Vec<u8>, file_name: &str) -> Result<ImageStatus, OperatorError> {
        let path = format!("/api/images?name={file_name}");
        let (status, body) = self.asked(Method::POST, &path, Payload::Bytes(&iso.into())).await?;
        if status == StatusCode::CONFLICT {
            // The first try got through and its reply was lost.
            let release = file_name.split(['_', '-']).find(|part| part.contains('.')).unwrap_or_default();
            let present = self.images().await?;
            return present.into_iter().find(|i| i.release == release).ok_or_else(|| refusal(&path, status, &body));
        }
        read(refused_or(&path, status, body)?)
    }

    /// The first server type that the server has loaded.
    pub async fn first_server_type(&self) -> Result<String, OperatorError> {
        let path = "/api/server-types";
        let types: Vec<Value> = listed(self.done(Method::GET, path, Payload::Nothing).await?, "server_types")?;
        let key = types.first().and_then(|first| first["key"].as_str().or(first.as_str()));
        key.map(str::to_owned).ok_or(OperatorError::NoServerType)
    }

    /// Registers a host, or finds the one that is registered under this name.
    pub async fn register(&self, name: &str, macs: &[String], kind: &str) -> Result<HostStatus, OperatorError> {
        let body = json!({ "hostname": name, "macs": macs, "server_type": kind });
        let (status, reply) = self.asked(Method::POST, "/api/hosts", Payload::Json(&body)).await?;
        if status != StatusCode::CONFLICT {
            return read(refused_or("/api/hosts", status, reply)?);
        }
        match self.host(name).await {
            // It is there: a lost reply, or an earlier fleet of the same seed.
            Ok(host) => Ok(host),
            Err(_) => Err(refusal("/api/hosts", status, &reply)),
        }
    }

    /// One host, by id or name.
    pub async fn host(&self, id: &str) -> Result<HostStatus, OperatorError> {
        read(self.done(Method::GET, &format!("/api/hosts/{id}"), Payload::Nothing).await?)
    }

    /// All hosts, page after page.
    pub async fn hosts(&self) -> Result<Vec<HostStatus>, OperatorError> {
        let mut hosts = Vec::new();
        let mut path = "/api/hosts?limit=500".to_owned();
        loop {
            let page = self.done(Method::GET, &path, Payload::Nothing).await?;
            let next = page["next"].as_str().map(str::to_owned);
            hosts.extend(listed::<HostStatus>(page, "hosts")?);
            match next {
                Some(cursor) => path = format!("/api/hosts?limit=500&cursor={cursor}"),
                None => return Ok(hosts),
            }
        }
    }

    /// Starts a rebuild; harmless when one is running.
    pub async fn rebuild(&self, host: &HostStatus, image: &str) -> Result<(), OperatorError> {
        let path = format!("/api/hosts/{}/rebuild", host.id);
        let body = json!({ "image": image, "confirm": host.hostname });
        let (status, reply) = self.asked(Method::POST, &path, Payload::Json(&body)).await?;
        if status == StatusCode::CONFLICT {
            let now = self.host(&host.id).await?;
            if !matches!(now.phase.as_str(), "registered" | "ready" | "failed") {
                return Ok(());
            }
        }
        refused_or(&path, status, reply).map(drop)
    }

    /// A request that must succeed.
    async fn done(&self, method: Method, path: &str, payload: Payload<'_>) -> Result<Value, OperatorError> {
        let (status, body) = self.asked(method, path, payload).await?;
        refused_or(path, status, body)
    }

    /// Sends a request until the server answers it, one way or the other. What the API changes can be asked for twice.
    async fn asked(
        &self,
        method: Method,
        path: &str,
        payload: Payload<'_>,
    ) -> Result<(StatusCode, Value), OperatorError> {
        let until = Instant::now() + self.outage_max;
        loop {
            let away = match self.tried(method.clone(), path, payload).await {
                Ok((status, body)) if !busy(status) => return Ok((status, body)),
                Ok((status, body)) => refusal(path, status, &body),
                Err(source) => OperatorError::Away { path: path.to_owned(), source: source.without_url() },
            };
            if Instant::now() >= until {
                return Err(away);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tried(
        &self,
        method: Method,
        path: &str,
        payload: Payload<'_>,
    ) -> Result<(StatusCode, Value), reqwest::Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        request = match payload {
            Payload::Nothing => request,
            Payload::Json(value) => request.json(value),
            Payload::Bytes(bytes) => request.header("content-type", "application/octet-stream").body(bytes.clone()),
        };
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

/// Whether the server may answer better in a moment.
fn busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn refused_or(path: &str, status: StatusCode, body: Value) -> Result<Value, OperatorError> {
    if status.is_success() { Ok(body) } else { Err(refusal(path, status, &body)) }
}

/// The words of a problem+json, or what else was said.
fn refusal(path: &str, status: StatusCode, body: &Value) -> OperatorError {
    let word = |key: &str| body[key].as_str().map(str::to_owned);
    let said = word("detail").or_else(|| word("title")).unwrap_or_else(|| body.to_string().chars().take(300).collect());
    OperatorError::Refused { path: path.to_owned(), status: status.as_u16(), said }
}

/// A list, bare or under its name.
fn listed<T: serde::de::DeserializeOwned>(mut body: Value, name: &str) -> Result<Vec<T>, OperatorError> {
    let list = if body.is_array() { body } else { body[name].take() };
    serde_json::from_value(list).map_err(OperatorError::Reply)
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, OperatorError> {
    serde_json::from_value(body).map_err(OperatorError::Reply)
}

/// Why an operator gets nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// No HTTP client can be made.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// The server did not answer for too long.
    #[error("the server did not answer {path}")]
    Away {
        /// The path.
        path: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The server said no.
    #[error("the server refused {path} with {status}: {said}")]
    Refused {
        /// The path.
        path: String,
        /// The status.
        status: u16,
        /// Its words.
        said: String,
    },
    /// The reply is not what the API promises.
    #[error("the reply is not what the API promises")]
    Reply(#[source] serde_json::Error),
    /// The server has no server type.
    #[error("the server has no server type: add one to its server-types.yaml")]
    NoServerType,
    /// A machine can not be set up.
    #[error("a machine can not be set up")]
    Machine(#[source] HttpError),
    /// A task of ours died.
    #[error("a task of the fleet died")]
    Task(#[source] tokio::task::JoinError),
}
