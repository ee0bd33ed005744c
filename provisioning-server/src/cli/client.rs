//! How commands speak with a server: over the network, over the control socket of one on this machine, or, when none
//! runs, with its handlers inside this process.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use provisioning_core::model::Secret;
use reqwest::Method;
use serde_json::Value;
use tower::ServiceExt as _;

use super::Connection;
use super::failure::{Failure, Trouble};
use super::pinned::trusting;
use crate::data_dir::{DataDir, control_socket};
use crate::http::auth::Peer;
use crate::wire::{Role, closed, wire};

/// The most that an answer may hold, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

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
                let token = token(connection)?;
                let base = server.trim_end_matches('/').to_owned();
                Ok(Self::Http { client: remote(connection)?, base, token })
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
        let server = wire(&config, &data, closed(&data)?, Role::Command).await?;
        Ok(Self::Local { router: server.router(), _data: data })
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, Payload::Nothing, None).await
    }

    /// Sends something.
    pub(super) async fn post(&self, path: &str, payload: Payload) -> anyhow::Result<Value> {
        self.call(Method::POST, path, payload, None).await
    }

    /// Changes something that is at this revision.
    pub(super) async fn patch(&self, path: &str, payload: Value, revision: u64) -> anyhow::Result<Value> {
        self.call(Method::PATCH, path, Payload::Json(payload), Some(format!("\"{revision}\""))).await
    }

    /// Removes something.
    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::DELETE, path, Payload::Nothing, None).await
    }

    /// All pages of a list; `query` begins with `?` or is empty.
    pub(super) async fn list(&self, path: &str, query: &str, field: &str) -> anyhow::Result<Vec<Value>> {
        let mut items = vec![];
        let filters = query.trim_start_matches('?');
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=1000&{filters}{cursor}")).await?;
            items.extend(page.get(field).and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Server-sent events behind a place of the journal, as bytes, until the connection ends.
    pub(super) async fn events(&self, after: u64) -> anyhow::Result<BoxStream<'static, anyhow::Result<Bytes>>> {
        let Self::Http { client, base, token } = self else {
            let text = "no server runs on this machine, so nothing happens that could be watched";
            return Err(Failure::new(Trouble::Unreachable, text).into());
        };
        let mut request = client.get(format!("{base}/events?after={after}"));
        if let Some(token) = token {
            request = request.bearer_auth(token.expose());
        }
        let answer = request.send().await.map_err(|error| unreachable(base, error))?;
        let status = answer.status();
        if !status.is_success() {
            let bytes = answer.bytes().await?;
            return Err(problem(status.as_u16(), &serde_json::from_slice(&bytes).unwrap_or(Value::Null), &bytes));
        }
        Ok(answer.bytes_stream().map(|chunk| chunk.map_err(Into::into)).boxed())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        payload: Payload,
        if_match: Option<String>,
    ) -> anyhow::Result<Value> {
        let (status, bytes) = match self {
            Self::Http { client, base, token } => {
                let mut request = client.request(method, format!("{base}{path}"));
                if let Some(token) = token {
                    request = request.bearer_auth(token.expose());
                }
                if let Some(tag) = if_match {
                    request = request.header(header::IF_MATCH, tag);
                }
                request = match payload {
                    Payload::Nothing => request,
                    Payload::Json(value) => request.json(&value),
                    Payload::File { chunks, length } => request
                        .header(header::CONTENT_TYPE, "application/octet-stream")
                        .header(header::CONTENT_LENGTH, length)
                        .body(reqwest::Body::wrap_stream(chunks)),
                };
                let answer = request.send().await.map_err(|error| unreachable(base, error))?;
                (answer.status().as_u16(), answer.bytes().await?)
            }
            Self::Local { router, .. } => {
                let mut request = Request::builder().method(method).uri(path).extension(Peer::Control);
                if let Some(tag) = if_match {
                    request = request.header(header::IF_MATCH, tag);
                }
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
                let status = answer.status().as_u16();
                (status, axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await?)
            }
        };
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
        if (200..300).contains(&status) { Ok(value) } else { Err(problem(status, &value, &bytes)) }
    }
}

/// A client of a server elsewhere, which trusts the certificates that the arguments name.
fn remote(connection: &Connection) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIME_MAX);
    let builder = match (&connection.ca_file, connection.fingerprint) {
        (_, Some(fingerprint)) => builder.tls_backend_preconfigured(trusting(fingerprint)?),
        (Some(path), None) => {
            let shown = || format!("--ca-file {}", path.display());
            let pem = std::fs::read(path).with_context(shown)?;
            builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).with_context(shown)?)
        }
        (None, None) => builder,
    };
    Ok(builder.build()?)
}

fn unreachable(base: &str, error: reqwest::Error) -> Failure {
    Failure::unreachable(format!("{base} cannot be reached"), error)
}

/// A problem in words for the terminal.
fn problem(status: u16, value: &Value, bytes: &[u8]) -> anyhow::Error {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let Some(detail) = text("detail") else {
        let said = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        return Failure::of_status(status, format!("the server answered {status}: {said}")).into();
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
    Failure::of_status(status, shown).into()
}

/// The token: from the file, else from the variable or the command line.
fn token(connection: &Connection) -> anyhow::Result<Option<Secret<String>>> {
    let text = match (&connection.token_file, &connection.token) {
        (Some(path), _) => {
            Secret::new(std::fs::read_to_string(path).with_context(|| format!("--token-file {}", path.display()))?)
        }
        (None, Some(token)) => token.clone(),
        (None, None) => return Ok(None),
    };
    let token = text.expose().trim();
    Ok((!token.is_empty()).then(|| Secret::new(token.to_owned())))
}
