//! Who may operate: bearer tokens for programs, sessions for browsers, nobody by accident.
//!
//! Only digests of tokens and cookies are kept. Browsers' changes must come from a page of ours (CSRF), and in open
//! mode the `Host` must be ours too, so that no page elsewhere can reach a server on loopback by a name of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use provisioning_core::model::{BaseUrl, Secret};
use provisioning_core::ports::{AccessPath, Clock, Entropy};

pub use crate::access::{Access, AccessSetup, Actor, Scope, TokenBook, TokenDigest, TokenRefusal, new_token};

use super::App;
use super::audit::Asked;
use super::metrics::Door;
use super::problem::{Kind, Problem};
use crate::access::{Found, LoginPassword, NewToken, Origin, Sessions, Throttle, TokenBookError, TokenRow};

/// The session cookie's name without TLS.
pub const COOKIE: &str = "provisioning_session";
/// And with it: browsers then take it from this very host alone, and send it over TLS alone.
pub const SECURE_COOKIE: &str = "__Host-provisioning_session";
/// How long a cookie is kept: as long as a session lives at most.
const COOKIE_SECONDS: u64 = 12 * 3600;

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

/// Checks operators and keeps their sessions.
pub struct Operators {
    access: Access,
    tokens: TokenBook,
    password: Option<LoginPassword>,
    public_url: BaseUrl,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sessions: Sessions,
    logins: Throttle,
    refusals: Throttle,
}

/// Somebody who was let through.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// Who it is.
    pub actor: Actor,
    /// The cookie that takes the place of the one that was sent.
    pub cookie: Option<String>,
}

impl Operators {
    /// Operators under `setup`; `public_url` decides on `Secure` cookies and known host names.
    pub fn new(setup: AccessSetup, public_url: BaseUrl, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let AccessSetup { access, tokens, password, session_idle } = setup;
        let sessions = Sessions::new(session_idle);
        let (logins, refusals) = (Throttle::of_logins(), Throttle::of_refusals());
        Self { access, tokens, password, public_url, clock, entropy, sessions, logins, refusals }
    }

    /// Whether no token is asked for.
    pub fn is_open(&self) -> bool {
        self.access == Access::Open
    }

    /// Whether a password opens a session.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// The tokens that are kept.
    pub fn tokens(&self) -> &TokenBook {
        &self.tokens
    }

    /// Makes a token's text and its row.
    ///
    /// # Errors
    /// As [`TokenBook::create`].
    pub async fn create_token(&self, new: NewToken) -> Result<(TokenRow, Secret<String>), TokenBookError> {
        let (book, now, entropy) = (self.tokens.clone(), self.clock.now(), Arc::clone(&self.entropy));
        off_the_async_threads(move || book.create(new, now, &*entropy)).await
    }

    /// Revokes a token, by its name or id.
    ///
    /// # Errors
    /// As [`TokenBook::revoke`].
    pub async fn revoke_token(&self, name_or_id: String) -> Result<TokenRow, TokenBookError> {
        let (book, now) = (self.tokens.clone(), self.clock.now());
        off_the_async_threads(move || book.revoke(&name_or_id, now)).await
    }

    /// Lets a request through, or says what it lacks.
    ///
    /// # Errors
    /// `NoToken`, `WrongToken`, `ExpiredToken`, `RevokedToken`, `ReadOnly`, `ForeignOrigin`, `TooManyTries`.
    pub fn admit(&self, parts: &Parts) -> Result<Admitted, Problem> {
        let admitted = self.identify(parts)?;
        if parts.method.is_safe() {
            return Ok(admitted);
        }
        if matches!(admitted.actor.via, AccessPath::Session | AccessPath::Open) {
            check_origin(&parts.headers)?;
        }
        if admitted.actor.scope == Scope::Read {
            let detail = format!("the token {} may look, and change nothing", admitted.actor.name);
            let advice = "use a token of full scope: provisioning token create NAME";
            return Err(Problem::new(Kind::ReadOnly, detail).advise(advice));
        }
        Ok(admitted)
    }

    fn identify(&self, parts: &Parts) -> Result<Admitted, Problem> {
        let known = |actor| Ok(Admitted { actor, cookie: None });
        let peer = parts.extensions.get::<Peer>().copied();
        if peer == Some(Peer::Control) {
            return known(Actor::control());
        }
        if self.is_open() {
            // A page elsewhere cannot send this header.
            if bearer(&parts.headers).is_none() {
                self.check_host(&parts.headers)?;
            }
            return known(Actor::anybody());
        }
        if let Some(token) = bearer(&parts.headers) {
            return match self.holder(token) {
                Ok((actor, _)) => known(actor),
                Err(refusal) => {
                    let tried = self.refusals.take(peer.and_then(Peer::ip), self.clock.now());
                    Err(tried.map_or_else(too_many, |()| refused(&refusal)))
                }
            };
        }
        self.session(&parts.headers)
    }

    /// Who holds a token, and what a session opened with it depends on.
    fn holder(&self, token: &str) -> Result<(Actor, Origin), TokenRefusal> {
        let actor = |name: &str, scope| Actor { name: name.to_owned(), via: AccessPath::Token, scope };
        match self.access {
            Access::Closed => return Err(TokenRefusal::Unknown),
            Access::Token(digest) if digest.matches(TokenDigest::of(token)) => {
                return Ok((actor("configured token", Scope::Full), Origin::Configuration));
            }
            Access::Open | Access::Token(_) | Access::Stored => {}
        }
        let row = self.tokens.verify(token, self.clock.now())?;
        Ok((actor(row.name.as_str(), row.scope), Origin::Token(row.id)))
    }

    fn session(&self, headers: &HeaderMap) -> Result<Admitted, Problem> {
        let none = || {
            Problem::new(Kind::NoToken, "the request has no operator's token and no session")
                .advise("send authorization: Bearer TOKEN, or log in at /login")
        };
        let now = self.clock.now();
        let cookie = self.session_cookie(headers).ok_or_else(none)?;
        let Found { actor, origin, renewed } = self.sessions.find(cookie, now, &*self.entropy).ok_or_else(none)?;
        if let Origin::Token(id) = origin
            && self.tokens.check(id, now).is_err()
        {
            self.sessions.close(cookie);
            return Err(none());
        }
        Ok(Admitted { actor, cookie: renewed.map(|value| self.cookie(&value, COOKIE_SECONDS)) })
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

    /// Opens a session for whoever shows a token or the password. The session of the request itself ends: what an
    /// attacker may have planted in the browser is worth nothing afterwards.
    ///
    /// # Errors
    /// `WrongToken`, `ExpiredToken`, `RevokedToken`, `TooManyTries`.
    pub async fn log_in(
        &self,
        credential: &Secret<String>,
        headers: &HeaderMap,
        from: Option<IpAddr>,
    ) -> Result<(String, Actor), Problem> {
        let now = self.clock.now();
        self.logins.take(from, now).map_err(too_many)?;
        let (actor, origin) = self.proven(credential).await?;
        self.logins.give_back(from);
        if let Some(cookie) = self.session_cookie(headers) {
            self.sessions.close(cookie);
        }
        let via = actor.via;
        let session = Actor { via: if via == AccessPath::Open { via } else { AccessPath::Session }, ..actor.clone() };
        let value = self.sessions.open(session, origin, now, &*self.entropy);
        Ok((self.cookie(&value, COOKIE_SECONDS), actor))
    }

    async fn proven(&self, credential: &Secret<String>) -> Result<(Actor, Origin), Problem> {
        if self.is_open() {
            return Ok((Actor::anybody(), Origin::Configuration));
        }
        let refusal = match self.holder(credential.expose().trim()) {
            Ok(holder) => return Ok(holder),
            Err(refusal) => refusal,
        };
        if let Some(password) = &self.password
            && self.access != Access::Closed
            && password.is(credential).await
        {
            let actor = Actor { name: "password".to_owned(), via: AccessPath::Password, scope: Scope::Full };
            return Ok((actor, Origin::Configuration));
        }
        Err(refused(&refusal))
    }

    /// Ends the session of a request; the result is whose it was, and the cookie that takes the place of the old one.
    pub fn log_out(&self, headers: &HeaderMap) -> (Option<Actor>, String) {
        let actor = self.session_cookie(headers).and_then(|cookie| self.sessions.close(cookie));
        (actor, self.cookie("", 0))
    }

    /// Whether a refusal is to be noted: those who guess shall not fill the journal.
    pub(super) fn notes_refusal(&self, from: Option<IpAddr>) -> bool {
        self.refusals.take(from, self.clock.now()).is_ok()
    }

    fn cookie_name(&self) -> &'static str {
        if self.public_url.is_https() { SECURE_COOKIE } else { COOKIE }
    }

    fn cookie(&self, value: &str, seconds: u64) -> String {
        let secure = if self.public_url.is_https() { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }

    fn session_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        pairs
            .flat_map(|pairs| pairs.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.cookie_name())
            .map(|(_, value)| value)
    }
}

/// Writing a file waits for the disk.
async fn off_the_async_threads<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("the book of tokens does not panic, and a runtime that is up waits")
}

fn too_many(wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_secs().max(1)).unwrap_or(u32::MAX);
    Problem::new(Kind::TooManyTries, "there were too many failed tries").retry_after(seconds)
}

fn refused(refusal: &TokenRefusal) -> Problem {
    match refusal {
        TokenRefusal::Unknown => Problem::new(Kind::WrongToken, "this is not an operator's token"),
        TokenRefusal::Expired { .. } => Problem::new(Kind::ExpiredToken, refusal.to_string())
            .advise("make another one: provisioning token create NAME"),
        TokenRefusal::Revoked { .. } => Problem::new(Kind::RevokedToken, refusal.to_string())
            .advise("make another one: provisioning token create NAME"),
    }
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
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

/// Lets operators through, and notes what they change. Browsers that ask for a page without a session are sent to
/// `/login`.
///
/// A change that has begun is finished and noted although its caller hangs up.
pub async fn require_operator(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match app.operators.admit(&parts) {
        Ok(Admitted { actor, cookie }) => {
            let asked = Asked::of(&app, &parts, Some(&actor)).await;
            parts.extensions.insert(actor);
            let request = Request::from_parts(parts, body);
            let mut response = match asked {
                None => next.run(request).await,
                Some(asked) => asked.see_through(Arc::clone(&app), next.run(request)).await,
            };
            if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) if problem.kind() == Kind::NoToken && wants_page(&parts) => Redirect::to("/login").into_response(),
        Err(problem) => {
            app.metrics.refused(Door::Token, problem.kind());
            let from = parts.extensions.get::<Peer>().and_then(|peer| peer.ip());
            if let Some(asked) = Asked::of(&app, &parts, None).await
                && app.operators.notes_refusal(from)
            {
                asked.came_to(&app, problem.status(), None).await;
            }
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
mod tests;
