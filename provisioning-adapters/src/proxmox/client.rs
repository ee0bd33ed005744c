//! Asks the member, and judges its answers.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use hyper::ext::ReasonPhrase;
use provisioning_core::model::{ApiToken, CertFingerprint, MemberAddr, Secret};
use provisioning_core::ports::{BoxError, ClusterMember, ClusterMemberError, ClusterStatus};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::pin::{shown_instead, trusting};
use super::wire::{self, TicketAnswer};

/// How much of an answer is read, in bytes: a thousand nodes need a quarter of it.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How much of a refusal is told, in characters.
const REFUSAL_CHARACTERS_MAX: usize = 200;

/// The API of a member of the cluster.
pub struct ProxmoxMember {
    client: Client,
    base: String,
    token: Option<HeaderValue>,
}

/// Why the API cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("the client of the Proxmox VE API cannot be made")]
pub struct ProxmoxSetupError(#[source] BoxError);

impl ProxmoxMember {
    /// Where the API listens; `pvecm add` knows no other port.
    pub const PORT: u16 = 8006;
    /// How long the member may take to accept a connection.
    pub const CONNECT_TIME_LIMIT: Duration = Duration::from_secs(4);
    /// How long it may take to answer, all in all. A login waits for PAM, which delays refusals by some seconds.
    pub const TIME_LIMIT: Duration = Duration::from_secs(10);

    /// The API of `member`, known by its certificate. Without a token its status is not asked for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(member: &MemberAddr, pin: CertFingerprint, token: Option<&ApiToken>) -> Result<Self, ProxmoxSetupError> {
        let tls = trusting(pin).map_err(|error| ProxmoxSetupError(error.into()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("provisioning/", env!("CARGO_PKG_VERSION")))
            .https_only(true)
            .redirect(Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .connect_timeout(Self::CONNECT_TIME_LIMIT)
            .timeout(Self::TIME_LIMIT)
            .build()
            .map_err(|error| ProxmoxSetupError(error.into()))?;
        let token = token.map(header).transpose().map_err(|error| ProxmoxSetupError(error.into()))?;
        Ok(Self { client, base: base(member, Self::PORT), token })
    }

    /// The same on another port: for tests.
    #[must_use]
    pub fn with_port(mut self, member: &MemberAddr, port: u16) -> Self {
        self.base = base(member, port);
        self
    }

    async fn send(
        &self,
        path: &'static str,
        request: RequestBuilder,
    ) -> Result<Zeroizing<Vec<u8>>, ClusterMemberError> {
        self.heard(request).instrument(tracing::error_span!("proxmox", path)).await
    }

    async fn heard(&self, request: RequestBuilder) -> Result<Zeroizing<Vec<u8>>, ClusterMemberError> {
        let answer = request.send().await.map_err(unheard)?;
        let (status, reason) = (answer.status(), reason_of(&answer));
        tracing::debug!(status = status.as_u16(), "a member of the cluster has answered");
        let body = whole(answer).await?;
        match status {
            status if status.is_success() => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST => {
                Err(ClusterMemberError::Refused { said: reason })
            }
            _ => Err(ClusterMemberError::Unavailable { said: reason, source: None }),
        }
    }
}

impl fmt::Debug for ProxmoxMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxmoxMember").field("base", &self.base).finish_non_exhaustive()
    }
}

#[async_trait]
impl ClusterMember for ProxmoxMember {
    async fn status(&self) -> Result<Option<ClusterStatus>, ClusterMemberError> {
        let Some(token) = &self.token else { return Ok(None) };
        let request = self.client.get(format!("{}/cluster/status", self.base)).header(AUTHORIZATION, token);
        let body = self.send("/cluster/status", request).await?;
        wire::status(&body).map(Some).map_err(|error| ClusterMemberError::Unavailable {
            said: "its answer is not the status of a cluster".to_owned(),
            source: Some(error.into()),
        })
    }

    async fn ticket(&self, password: &Secret<String>) -> Result<Secret<String>, ClusterMemberError> {
        let request = self
            .client
            .post(format!("{}/access/ticket", self.base))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(wire::ticket_form(password));
        let body = self.send("/access/ticket", request).await?;
        match wire::ticket(&body) {
            Some(TicketAnswer::Ticket(ticket)) => Ok(ticket),
            Some(TicketAnswer::SecondFactor) => {
                let said = "root@pam has a second factor, which nobody is there to give";
                Err(ClusterMemberError::Refused { said: said.to_owned() })
            }
            None => {
                let said = "its answer holds no ticket".to_owned();
                Err(ClusterMemberError::Unavailable { said, source: None })
            }
        }
    }
}

fn base(member: &MemberAddr, port: u16) -> String {
    let host = member.as_str();
    // An IPv6 address stands in brackets in a URL.
    if host.contains(':') {
        format!("https://[{host}]:{port}/api2/json")
    } else {
        format!("https://{host}:{port}/api2/json")
    }
}

fn header(token: &ApiToken) -> Result<HeaderValue, reqwest::header::InvalidHeaderValue> {
    let text = Zeroizing::new(format!("PVEAPIToken={}", token.expose()));
    let mut value = HeaderValue::from_str(&text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The API tells the reason of a refusal behind the status, where HTTP has the standard's words.
fn reason_of(answer: &Response) -> String {
    let status = answer.status();
    let text = match answer.extensions().get::<ReasonPhrase>() {
        Some(reason) => format!("{} {}", status.as_u16(), String::from_utf8_lossy(reason.as_bytes())),
        None => status.to_string(),
    };
    text.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARACTERS_MAX).collect()
}

/// All of an answer, in memory that is cleared: it may be a ticket.
async fn whole(mut answer: Response) -> Result<Zeroizing<Vec<u8>>, ClusterMemberError> {
    let mut body = Zeroizing::new(Vec::with_capacity(16 * 1024));
    while let Some(chunk) = answer.chunk().await.map_err(unheard)? {
        if chunk.len() > ANSWER_BYTES_MAX - body.len() {
            let said = format!("its answer is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(ClusterMemberError::Unavailable { said, source: None });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// No answer came.
fn unheard(error: reqwest::Error) -> ClusterMemberError {
    if let Some(shown) = shown_instead(&error) {
        return ClusterMemberError::Untrusted { shown };
    }
    let said = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke before the answer"
    };
    let source: BoxError = error.without_url().into();
    ClusterMemberError::Unavailable { said: said.to_owned(), source: Some(source) }
}
