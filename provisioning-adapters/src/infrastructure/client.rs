//! Sends the request and judges the answer.

use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::ports::{BoxError, Inventory, InventoryError, InventoryRecord, Retry};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use tracing::Instrument as _;

use super::config::{InfrastructureConfig, InfrastructureFault, Method};
use super::templates::Templates;

/// How much of a refusal is read, in bytes, and how much of it is told, in characters.
const REFUSAL_BYTES_MAX: usize = 8 * 1024;
const REFUSAL_CHARACTERS_MAX: usize = 300;

/// Registers hosts with the operator's inventory service.
#[derive(Debug)]
pub struct InfrastructureClient {
    client: Client,
    base_url: String,
    method: reqwest::Method,
    templates: Templates,
    conflict_means_known: bool,
}

impl InfrastructureClient {
    /// Checks all of the configuration, templates included; no connection is made yet.
    ///
    /// # Errors
    /// The first [`InfrastructureFault`], which names the key and what to write there.
    pub fn new(config: &InfrastructureConfig) -> Result<Self, InfrastructureFault> {
        let base_url = base_url(&config.base_url)?;
        let templates = Templates::new(config)?;
        let client = client(config)?;
        let method = match config.method {
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
        };
        Ok(Self { client, base_url, method, templates, conflict_means_known: config.conflict_means_known })
    }

    async fn judge(&self, answer: Response, sent: &HeaderMap) -> Result<(), InventoryError> {
        let status = answer.status();
        if status.is_success() || (status == StatusCode::CONFLICT && self.conflict_means_known) {
            return Ok(());
        }
        if status.is_redirection() {
            let to = answer.headers().get("location").map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
            let to = told(&to.unwrap_or_default(), sent);
            let said = format!("{status}, a redirect to {to:?}, which is not followed: set infrastructure.base_url");
            return Err(InventoryError { said, retry: Retry::Never, source: None });
        }
        let retry = match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Retry::Later,
            status if status.is_server_error() => Retry::Later,
            _ => Retry::Never,
        };
        let text = told(&beginning(answer).await, sent);
        let said = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
        Err(InventoryError { said, retry, source: None })
    }
}

#[async_trait]
impl Inventory for InfrastructureClient {
    async fn register(&self, record: &InventoryRecord) -> Result<(), InventoryError> {
        let span = tracing::error_span!("inventory", method = %self.method);
        self.send(record).instrument(span).await
    }
}

impl InfrastructureClient {
    async fn send(&self, record: &InventoryRecord) -> Result<(), InventoryError> {
        let request = self.templates.render(record).map_err(|fault| {
            let said = format!("the request for {} cannot be made", record.hostname);
            InventoryError { said, retry: Retry::Never, source: Some(fault.into()) }
        })?;
        let url = Url::parse(&format!("{}{}", self.base_url, request.path)).map_err(|error| {
            let said = format!("the request for {} cannot be made: its URL is none", record.hostname);
            InventoryError { said, retry: Retry::Never, source: Some(error.into()) }
        })?;
        tracing::debug!("registers with the inventory service");
        let sending =
            self.client.request(self.method.clone(), url).headers(request.headers.clone()).body(request.body).send();
        match sending.await {
            Ok(answer) => self.judge(answer, &request.headers).await,
            Err(error) => Err(unheard(error)),
        }
    }
}

fn base_url(text: &str) -> Result<String, InfrastructureFault> {
    let fault = |problem| InfrastructureFault::BaseUrl { problem };
    let url = Url::parse(text).map_err(|_| fault("is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(fault("is neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("holds a user or a password, which would be logged; set a header instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("has a query or a fragment; a query belongs into infrastructure.path"));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn client(config: &InfrastructureConfig) -> Result<Client, InfrastructureFault> {
    let mut builder = Client::builder()
        .user_agent(concat!("provisioning/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy() // it is a service of the operator's own; a proxy from the environment would be a surprise
        .timeout(config.timeout)
        .connect_timeout(config.timeout.min(Duration::from_secs(5)));
    if let Some(pem) = &config.ca_pem {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes())
            .map_err(|error| InfrastructureFault::Ca { source: Some(error.into()) })?;
        if certificates.is_empty() {
            return Err(InfrastructureFault::Ca { source: None });
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| InfrastructureFault::Client { source: error.into() })
}

/// No answer came: the service is away, too slow, or shows a certificate that is not trusted.
fn unheard(error: reqwest::Error) -> InventoryError {
    let said = if error.is_timeout() {
        "it did not answer in time"
    } else if error.is_connect() {
        "no connection to it could be made"
    } else {
        "the connection broke before it answered"
    };
    let source: BoxError = error.without_url().into();
    InventoryError { said: said.to_owned(), retry: Retry::Later, source: Some(source) }
}

/// The first bytes of an answer; what cannot be read any more is left out.
async fn beginning(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk[..chunk.len().min(REFUSAL_BYTES_MAX - bytes.len())]);
        if bytes.len() == REFUSAL_BYTES_MAX {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the service said, as one line for an operator: our header values masked, should it have repeated them, and
/// no control characters.
fn told(text: &str, sent: &HeaderMap) -> String {
    let secrets = sent.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok());
    let masked = secrets
        .flat_map(|value| std::iter::once(value).chain(value.split_ascii_whitespace().filter(|word| word.len() >= 8)))
        .filter(|secret| !secret.is_empty())
        .fold(text.to_owned(), |text, secret| text.replace(secret, "***"));
    let line: Vec<&str> =
        masked.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    line.join(" ").chars().take(REFUSAL_CHARACTERS_MAX).collect()
}
