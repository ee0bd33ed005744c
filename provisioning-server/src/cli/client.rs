//! How commands speak with a server: over the network, over the control socket of one on this machine, or, when none
//! runs, with its handlers inside this process.

use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use provisioning_core::model::Secret;
use reqwest::Method;
use serde_json::Value;
use tower::ServiceExt as _;

use super::Connection;
use crate::data_dir::{DataDir, control_socket};
use crate::http::auth::Peer;
use crate::wire::{closed, wire};

/// The most that an answer may hold, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A file on its way to the server.
pub(super) type Chunks = BoxStream<'static, std::io::Result<Bytes>>;

/// What is sent.
pub(super) enum Payload {
    Nothing,
    Json(Value),
    File { chunks: Chunks, length: u64 },
}

/// A way to the server.
pub(super) enum Client {
    Http { client: reqwest::Client, base: String, token: Option<Secret<String>> },
    Local { router: axum::Router, _data: DataDir },
}

impl Client {
    /// Finds the way that the arguments ask for.
    pub(super) async fn open(connection: &Connection) -> anyhow::Result<Self> {
        match &connection.server {
            Some(server) => {
                let token = token(connection.token_file.as_deref())?;
                let base = server.trim_end_matches('/').to_owned();
                Ok(Self::Http { client: reqwest::Client::builder().build()?, base, token })
            }
            None => Self::here(connection.config.as_deref()).await,
        }
    }

    /// The server on this machine.
    async fn here(config: Option<&Path>) -> anyhow::Result<Self> {
        let config = super::load(config)
            .context("no server was named, so the one on this machine is meant (or use --server URL)")?;
        let socket = control_socket(&config.server.data_dir);
        match UnixStream::connect(&socket) {
            Ok(_) => {
                let client = reqwest::Client::builder().no_proxy().unix_socket(socket).build()?;
                return Ok(Self::Http { client, base: "http://localhost".to_owned(), token: None });
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                let shown = socket.display();
                bail!("{shown} belongs to another user: run this as the server's user, or use --server URL");
            }
            // Not there, or left by a server that was killed: none runs.
            Err(_) => {}
        }
        let data = DataDir::open(&config.server.data_dir)?;
        // The operators' token is left to the first start of the server, which shows it.
        let server = wire(&config, &data, closed(&data)?).await?;
        Ok(Self::Local { router: server.router(), _data: data })
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, Payload::Nothing).await
    }

    /// Sends something.
    pub(super) async fn post(&self, path: &str, payload: Payload) -> anyhow::Result<Value> {
        self.call(Method::POST, path, payload).await
    }

    /// Removes something.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::DELETE, path, Payload::Nothing).await
    }

    async fn call(&self, method: Method, path: &str, payload: Payload) -> anyhow::Result<Value> {
        let (ok, bytes) = match self {
            Self::Http { client, base, token } => {
                let url = format!("{base}{path}");
                let mut request = client.request(method, &url);
                if let Some(token) = token {
                    request = request.bearer_auth(token.expose());
                }
                request = match payload {
                    Payload::Nothing => request,
                    Payload::Json(value) => request.json(&value),
                    Payload::File { chunks, length } => request
                        .header(header::CONTENT_TYPE, "application/octet-stream")
                        .header(header::CONTENT_LENGTH, length)
                        .body(reqwest::Body::wrap_stream(chunks)),
                };
                let answer = request.send().await.with_context(|| format!("{base} cannot be reached"))?;
                (answer.status().is_success(), answer.bytes().await?)
            }
            Self::Local { router, .. } => {
                let request = Request::builder().method(method).uri(path).extension(Peer::Control);
                let request = match payload {
                    Payload::Nothing => request.body(Body::empty())?,
                    Payload::Json(value) => {
                        request.header(header::CONTENT_TYPE, "application/json").body(Body::from(value.to_string()))?
                    }
                    Payload::File { chunks, length } => request
                        .header(header::CONTENT_TYPE, "application/octet-stream")
                        .header(header::CONTENT_LENGTH, length)
                        .body(Body::from_stream(chunks))?,
                };
                let Ok(answer) = router.clone().oneshot(request).await;
                let ok = answer.status().is_success();
                (ok, axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await?)
            }
        };
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
        if ok { Ok(value) } else { Err(problem(&value, &bytes)) }
    }
}

/// A problem in words for the terminal.
fn problem(value: &Value, bytes: &[u8]) -> anyhow::Error {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let Some(detail) = text("detail") else {
        return anyhow!("the server answered: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)]));
    };
    let mut shown = match text("title") {
        Some(title) => format!("{title}: {detail}"),
        None => detail.to_owned(),
    };
    if let Some(allowed) = text("allowed").filter(|allowed| !detail.contains(allowed)) {
        shown = format!("{shown}\n  {}: {allowed}", text("field").unwrap_or("allowed"));
    }
    if let Some(advice) = text("what_to_do") {
        shown = format!("{shown}\n  {advice}");
    }
    anyhow!(shown)
}

/// The token from the file or the environment, never from the command line, where every user of the machine sees it.
fn token(file: Option<&Path>) -> anyhow::Result<Option<Secret<String>>> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("--token-file {}", path.display()))?,
        None => std::env::var("PROVISIONING_TOKEN").unwrap_or_default(),
    };
    let token = text.trim();
    Ok((!token.is_empty()).then(|| Secret::new(token.to_owned())))
}
