//! Who may operate: bearer tokens for programs, sessions for browsers, nobody by accident.
//!
//! Only digests of tokens and cookies are kept. Browsers' changes must come from a page of ours (CSRF), and in open
//! mode the `Host` must be ours too, so that no page elsewhere can reach a server on loopback by a name of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provisioning_core::model::{BaseUrl, Secret, Timestamp};
use provisioning_core::ports::{Clock, Entropy, EntropyExt as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::App;
use super::problem::{Kind, Problem};

/// The session cookie's name.
pub const COOKIE: &str = "provisioning_session";
/// How long a session lives.
const SESSION_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// Sessions at once; beyond these the one that ends first is dropped.
const SESSIONS_MAX: usize = 1000;

/// Who sits at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the network.
    Network(SocketAddr),
    /// Somebody who may open the control socket, and thereby operate.
    Control,
}

impl Peer {
    /// The address, of peers that have one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Network(address) => Some(address.ip().to_canonical()),
            Self::Control => None,
        }
    }
}

/// A digest of a token or cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of a token's text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// From 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digest: provisioning_core::model::Sha256Digest = text.parse().ok()?;
        let bytes = digest.to_string();
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(bytes.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(out))
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        provisioning_core::model::Sha256Digest::new(self.0).to_string()
    }

    fn matches(self, other: Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Nobody but the control socket's peers.
    Closed,
    /// Whoever has the token with this digest.
    Token(TokenDigest),
}

/// Checks operators and keeps their sessions.
pub struct Operators {
    access: Access,
    public_url: BaseUrl,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sessions: Mutex<BTreeMap<TokenDigest, Timestamp>>,
}

/// Makes a token: `prov_` and 43 characters of base64url.
pub fn new_token(entropy: &dyn Entropy) -> Secret<String> {
    Secret::new(format!("prov_{}", URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())))
}

impl Operators {
    /// Operators under `access`; `public_url` decides on `Secure` cookies and known host names.
    pub fn new(access: Access, public_url: BaseUrl, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { access, public_url, clock, entropy, sessions: Mutex::default() }
    }

    /// Whether no token is asked for.
    pub fn is_open(&self) -> bool {
        self.access == Access::Open
    }

    /// Lets a request through, or says what it lacks.
    ///
    /// # Errors
    /// `NoToken`, `WrongToken`, `ForeignOrigin`.
    pub fn check(&self, parts: &Parts) -> Result<(), Problem> {
        if parts.extensions.get::<Peer>() == Some(&Peer::Control) {
            return Ok(());
        }
        if let Some(token) = bearer(&parts.headers) {
            return match self.access {
                Access::Open => Ok(()),
                Access::Token(digest) if digest.matches(TokenDigest::of(token)) => Ok(()),
                Access::Token(_) | Access::Closed => {
                    Err(Problem::new(Kind::WrongToken, "the bearer token is not an operator's"))
                }
            };
        }
        match self.access {
            Access::Open => self.check_host(&parts.headers)?,
            Access::Token(_) | Access::Closed => self.check_session(&parts.headers)?,
        }
        if parts.method.is_safe() { Ok(()) } else { check_origin(&parts.headers) }
    }

    fn check_session(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let none = || {
            Problem::new(Kind::NoToken, "the request has no operator's token and no session")
                .advise("send authorization: Bearer TOKEN, or log in at /login")
        };
        let cookie = session_cookie(headers).ok_or_else(none)?;
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        sessions.retain(|_, until| *until > now);
        if sessions.contains_key(&TokenDigest::of(cookie)) { Ok(()) } else { Err(none()) }
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = host_name(headers);
        let ours = host.is_none_or(|host| {
            host == "localhost"
                || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
                || self.public_url.as_str().split("://").nth(1).is_some_and(|rest| {
                    rest.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
                })
        });
        if ours {
            return Ok(());
        }
        Err(Problem::new(Kind::ForeignOrigin, "this server is not known by the name in the Host header")
            .advise(format!("use {}", self.public_url)))
    }

    /// Whether a change comes from a page of ours, for doors that need no session.
    ///
    /// # Errors
    /// `ForeignOrigin`.
    pub fn check_page(&self, headers: &HeaderMap) -> Result<(), Problem> {
        if self.is_open() {
            self.check_host(headers)?;
        }
        check_origin(headers)
    }

    /// Opens a session for whoever shows the token; the result is the cookie to set.
    ///
    /// # Errors
    /// `WrongToken`.
    pub fn log_in(&self, token: &str) -> Result<String, Problem> {
        let right = match self.access {
            Access::Open => true,
            Access::Closed => false,
            Access::Token(digest) => digest.matches(TokenDigest::of(token.trim())),
        };
        if !right {
            return Err(Problem::new(Kind::WrongToken, "this is not an operator's token"));
        }
        let secret = URL_SAFE_NO_PAD.encode(self.entropy.bytes::<32>());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) = sessions.iter().min_by_key(|(_, until)| **until).map(|(digest, _)| *digest)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(TokenDigest::of(&secret), self.clock.now() + SESSION_LENGTH);
        Ok(self.cookie(&secret, SESSION_LENGTH.as_secs()))
    }

    /// Ends the session of a request; the result is the cookie that takes the place of the old one.
    pub fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(cookie) = session_cookie(headers) {
            self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&TokenDigest::of(cookie));
        }
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, seconds: u64) -> String {
        let secure = if self.public_url.is_https() { "; Secure" } else { "" };
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|pairs| pairs.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn host_name(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    if host.starts_with('[') {
        return host.split_inclusive(']').next();
    }
    host.split(':').next()
}

/// A browser's change must come from a page of ours. Programs send neither header.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => origin.split_once("://").map(|(_, authority)| authority) == text("host"),
        (None, None) => true,
    };
    if ours { Ok(()) } else { Err(Problem::new(Kind::ForeignOrigin, "the request comes from another site's page")) }
}

/// Lets operators through. Browsers that ask for a page without a session are sent to `/login`.
pub async fn require_operator(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match app.operators.check(&parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) if problem.kind() == Kind::NoToken && wants_page(&parts) => Redirect::to("/login").into_response(),
        Err(problem) => {
            // Whoever sends a large body to the wrong door shall see why it stays shut.
            super::body::drain(body).await;
            problem.into_response()
        }
    }
}

fn wants_page(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    parts.method == Method::GET && accept.contains("text/html")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000)
        }
    }

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    fn operators(access: Access) -> Operators {
        Operators::new(access, "http://prov.lab:8080".parse().unwrap(), Arc::new(Fixed), Arc::new(Fixed))
    }

    fn check(operators: &Operators, method: &str, headers: &[(&str, &str)]) -> Result<(), Kind> {
        let request = headers.iter().fold(axum::http::Request::builder().method(method), |r, (k, v)| r.header(*k, *v));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        operators.check(&parts).map_err(|problem| problem.kind())
    }

    #[test]
    fn only_the_token_itself_opens() {
        let guarded = operators(Access::Token(TokenDigest::of("secret")));
        assert_eq!(check(&guarded, "POST", &[("authorization", "Bearer secret")]), Ok(()));
        assert_eq!(check(&guarded, "POST", &[("authorization", "bearer secret")]), Ok(()));
        assert_eq!(check(&guarded, "GET", &[("authorization", "Bearer secre")]), Err(Kind::WrongToken));
        assert_eq!(check(&guarded, "GET", &[("authorization", "Basic secret")]), Err(Kind::NoToken));
        assert_eq!(check(&guarded, "GET", &[]), Err(Kind::NoToken));
        let digest = TokenDigest::of("secret");
        assert_eq!(TokenDigest::from_hex(&digest.to_hex()), Some(digest));
    }

    #[test]
    fn a_session_operates_only_from_our_own_pages_and_ends_at_log_out() {
        let guarded = operators(Access::Token(TokenDigest::of("secret")));
        assert_eq!(guarded.log_in("wrong").unwrap_err().kind(), Kind::WrongToken);
        let cookie = guarded.log_in("secret").unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        let pair = cookie.split(';').next().unwrap().to_owned();
        let with = |method, extra: &[(&str, &str)]| {
            check(&guarded, method, &[&[("cookie", pair.as_str()), ("host", "prov.lab:8080")], extra].concat())
        };
        assert_eq!(with("GET", &[]), Ok(()));
        assert_eq!(with("POST", &[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(with("POST", &[("origin", "http://prov.lab:8080")]), Ok(()));
        assert_eq!(with("POST", &[("sec-fetch-site", "cross-site")]), Err(Kind::ForeignOrigin));
        assert_eq!(with("POST", &[("origin", "http://evil.example")]), Err(Kind::ForeignOrigin));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, pair.parse().unwrap());
        guarded.log_out(&headers);
        assert_eq!(with("GET", &[]), Err(Kind::NoToken));
    }

    #[test]
    fn an_open_server_is_not_open_to_other_sites_pages() {
        let open = operators(Access::Open);
        assert_eq!(check(&open, "POST", &[("host", "127.0.0.1:8080")]), Ok(()));
        assert_eq!(check(&open, "GET", &[("host", "[::1]:8080")]), Ok(()));
        assert_eq!(check(&open, "GET", &[("host", "prov.lab:8080")]), Ok(()));
        assert_eq!(check(&open, "GET", &[("host", "rebound.example:8080")]), Err(Kind::ForeignOrigin));
        let cross = [("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")];
        assert_eq!(check(&open, "POST", &cross), Err(Kind::ForeignOrigin));
    }
}
