//! HTTP as firmware, installers and scripts speak it: each with its own rules for status, redirects and patience.
//!
//! Every request opens a connection of its own, from the machine's own address, so that the server sees who asks and
//! a connection that died with the server is never taken up again.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT};
use reqwest::{Method, Response, Url, redirect};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Bytes of an answer's body that installers read at most (`reference/fetch-answer.md`, The request).
pub const BODY_MAX: usize = 10 << 20;
const REDIRECTS_MAX: usize = 10;

/// One machine's way into the network.
#[derive(Debug)]
pub struct Http {
    source: Option<IpAddr>,
    /// For plain HTTP, and for TLS where the certificate is pinned.
    unverified: reqwest::Client,
    /// Made when first needed: it reads the system's certificates.
    verified: OnceLock<reqwest::Client>,
}

/// A request as a program makes it.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` without a body, `POST` with one.
    pub body: Option<Vec<u8>>,
    /// Where to.
    pub url: String,
    /// Headers, without those that HTTP itself adds.
    pub headers: Vec<(&'static str, String)>,
    /// How the server's certificate is checked.
    pub trust: Trust,
    /// For the whole exchange, redirects included.
    pub timeout: Duration,
    /// What a redirect leads to.
    pub redirects: Redirects,
}

/// How a server's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By the system's certificate authorities.
    System,
    /// By the SHA-256 of the leaf certificate alone: 64 hexadecimal digits, colons optional, any case. Looked at when
    /// the reply is there, which is later than the real installer does.
    Pinned(String),
}

/// What a redirect leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// It is the answer (curl without `--location`).
    Kept,
    /// A `GET` without body after 301, 302 and 303; after 307 and 308 only a `GET` goes on.
    Followed,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body, up to [`BODY_MAX`].
    pub body: Vec<u8>,
}

/// What firmware makes of a boot file (`reference/netboot.md` §3.5).
#[derive(Debug, PartialEq, Eq)]
pub enum BootFile {
    /// It came in full.
    Fetched {
        /// Its size.
        bytes: u64,
    },
    /// 503 with `Retry-After`: the same request again after so many seconds, for ever.
    Held {
        /// The pause.
        seconds: u64,
    },
    /// Anything else: firmware goes on to its next boot device.
    NextDevice {
        /// What happened.
        why: String,
    },
}

impl Http {
    /// A machine that speaks from `source`, or from whatever address the system picks.
    pub fn new(source: Option<IpAddr>) -> Result<Self, HttpError> {
        let unverified = client(source, true)?;
        Ok(Self { source, unverified, verified: OnceLock::new() })
    }

    /// Sends the request, once.
    pub async fn send(&self, request: &Request) -> Result<Reply, HttpError> {
        let url = request.url.clone();
        let exchange = tokio::time::timeout(request.timeout, self.exchange(request));
        exchange.await.unwrap_or(Err(HttpError::TimedOut { url, after: request.timeout }))
    }

    /// Fetches a boot file as iPXE does: no time limit, no range, redirects followed.
    pub async fn boot_file(&self, url: &str, agent: &str, into: &mut (impl AsyncWrite + Unpin)) -> BootFile {
        match self.fetch(url, agent, into).await {
            Ok(outcome) => outcome,
            Err(error) => BootFile::NextDevice { why: error.with_causes() },
        }
    }

    async fn fetch(&self, url: &str, agent: &str, into: &mut (impl AsyncWrite + Unpin)) -> Result<BootFile, HttpError> {
        let mut url = parsed(url)?;
        for _ in 0..REDIRECTS_MAX {
            let request = self.client(&Trust::System, &url)?.get(url.clone()).header(USER_AGENT, agent);
            let mut response = request.send().await.map_err(|e| HttpError::broken(&url, e))?;
            if let Some(next) = next_hop(&url, &response) {
                url = next;
                continue;
            }
            if !response.status().is_success() {
                return Ok(refused(&response));
            }
            let mut bytes = 0;
            while let Some(chunk) = response.chunk().await.map_err(|e| HttpError::broken(&url, e))? {
                bytes += chunk.len() as u64;
                into.write_all(&chunk).await.map_err(HttpError::Spool)?;
            }
            into.flush().await.map_err(HttpError::Spool)?;
            return Ok(BootFile::Fetched { bytes });
        }
        Err(HttpError::RedirectLoop { url: url.into() })
    }

    async fn exchange(&self, request: &Request) -> Result<Reply, HttpError> {
        let mut url = parsed(&request.url)?;
        let mut body = request.body.clone();
        for _ in 0..REDIRECTS_MAX {
            let response = self.send_one(request, &url, body.clone()).await?;
            let status = response.status().as_u16();
            let hop = next_hop(&url, &response).filter(|_| request.redirects == Redirects::Followed);
            match hop {
                None => return reply(response, &url).await,
                Some(_) if body.is_some() && matches!(status, 307 | 308) => {
                    return Err(HttpError::RedirectOfBody { url: url.into(), status });
                }
                Some(next) => {
                    url = next;
                    body = None;
                }
            }
        }
        Err(HttpError::RedirectLoop { url: url.into() })
    }

    async fn send_one(&self, request: &Request, url: &Url, body: Option<Vec<u8>>) -> Result<Response, HttpError> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut builder = self.client(&request.trust, url)?.request(method, url.clone());
        for (name, value) in &request.headers {
            if body.is_some() || *name != "content-type" {
                builder = builder.header(*name, value);
            }
        }
        if let Some(body) = body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(|e| HttpError::broken(url, e))?;
        if let (Trust::Pinned(pin), "https") = (&request.trust, url.scheme()) {
            check_pin(pin, &response, url)?;
        }
        Ok(response)
    }

    fn client(&self, trust: &Trust, url: &Url) -> Result<&reqwest::Client, HttpError> {
        if url.scheme() != "https" || *trust != Trust::System {
            return Ok(&self.unverified);
        }
        if let Some(client) = self.verified.get() {
            return Ok(client);
        }
        let made = client(self.source, false)?;
        Ok(self.verified.get_or_init(|| made))
    }
}

fn client(source: Option<IpAddr>, any_certificate: bool) -> Result<reqwest::Client, HttpError> {
    reqwest::Client::builder()
        .local_address(source)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .tcp_nodelay(true)
        .danger_accept_invalid_certs(any_certificate)
        .tls_info(any_certificate)
        .build()
        .map_err(HttpError::Client)
}

fn parsed(url: &str) -> Result<Url, HttpError> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    parsed.ok_or_else(|| HttpError::BadUrl { url: url.to_owned() })
}

fn next_hop(url: &Url, response: &Response) -> Option<Url> {
    let redirected = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    if redirected { url.join(location).ok() } else { None }
}

fn refused(response: &Response) -> BootFile {
    let status = response.status();
    let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match pause {
        Some(seconds) if status.as_u16() == 503 => BootFile::Held { seconds },
        _ => BootFile::NextDevice { why: format!("{} said {status}", response.url()) },
    }
}

async fn reply(mut response: Response, url: &Url) -> Result<Reply, HttpError> {
    let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    if let Some(encoding) = header(CONTENT_ENCODING).filter(|encoding| encoding != "identity") {
        return Err(HttpError::Encoded { url: url.to_string(), encoding });
    }
    let content_type = header(CONTENT_TYPE);
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| HttpError::broken(url, e))? {
        if body.len() + chunk.len() > BODY_MAX {
            return Err(HttpError::TooLong { url: url.to_string() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, content_type, body })
}

fn check_pin(pin: &str, response: &Response, url: &Url) -> Result<(), HttpError> {
    let info = response.extensions().get::<reqwest::tls::TlsInfo>();
    let shown = info.and_then(reqwest::tls::TlsInfo::peer_certificate).map(|der| hex(&Sha256::digest(der)));
    let wanted = pin.replace(':', "").to_ascii_lowercase();
    if shown.as_ref() == Some(&wanted) {
        return Ok(());
    }
    Err(HttpError::WrongCertificate { url: url.to_string(), wanted, shown: shown.unwrap_or_default() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The client could not be set up.
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// The address is none.
    #[error("{url:?} is no http or https address")]
    BadUrl {
        /// The address.
        url: String,
    },
    /// Nobody answered, or the connection broke.
    #[error("the exchange with {url} broke")]
    Broken {
        /// The address.
        url: String,
        /// The cause.
        #[source]
        source: Box<reqwest::Error>,
    },
    /// No answer in time.
    #[error("{url} gave no answer within {after:?}")]
    TimedOut {
        /// The address.
        url: String,
        /// The limit.
        after: Duration,
    },
    /// The body is longer than installers read.
    #[error("the answer of {url} is longer than {BODY_MAX} bytes")]
    TooLong {
        /// The address.
        url: String,
    },
    /// The body is compressed, which the simulation can not undo.
    #[error("{url} answered with content-encoding {encoding}, which the simulation can not undo")]
    Encoded {
        /// The address.
        url: String,
        /// The encoding.
        encoding: String,
    },
    /// 307 or 308 in reply to a POST.
    #[error("{url} redirected with {status}, which the installer does not follow")]
    RedirectOfBody {
        /// The address.
        url: String,
        /// The status.
        status: u16,
    },
    /// Too many redirects.
    #[error("{url} redirected more than {REDIRECTS_MAX} times")]
    RedirectLoop {
        /// The last address.
        url: String,
    },
    /// Another certificate than the pinned one.
    #[error("{url} shows certificate {shown:?}, not {wanted}")]
    WrongCertificate {
        /// The address.
        url: String,
        /// The pin.
        wanted: String,
        /// What was seen.
        shown: String,
    },
    /// What was downloaded could not be put down.
    #[error("the download could not be written")]
    Spool(#[source] std::io::Error),
}

impl HttpError {
    fn broken(url: &Url, source: reqwest::Error) -> Self {
        Self::Broken { url: url.to_string(), source: Box::new(source.without_url()) }
    }

    /// The error and its causes in one line.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
