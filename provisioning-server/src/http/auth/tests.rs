//! Who is let in, and who is not.

use std::sync::atomic::{AtomicI64, Ordering};

use provisioning_adapters::system::SystemEntropy;
use provisioning_core::model::Timestamp;

use super::*;
use crate::access::{NewToken, SESSION_IDLE, hash_password};

#[derive(Default)]
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst) * 1000)
    }
}

fn operators(access: impl Into<AccessSetup>) -> (Operators, Arc<Hands>) {
    let clock = Arc::new(Hands::default());
    let url = "http://prov.lab:8080".parse().unwrap();
    (Operators::new(access.into(), url, clock.clone(), Arc::new(SystemEntropy)), clock)
}

fn guarded() -> Operators {
    operators(Access::Token(TokenDigest::of("secret"))).0
}

fn admit(operators: &Operators, method: &str, headers: &[(&str, &str)]) -> Result<Admitted, Kind> {
    let request = headers.iter().fold(axum::http::Request::builder().method(method), |r, (k, v)| r.header(*k, *v));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    operators.admit(&parts).map_err(|problem| problem.kind())
}

fn check(operators: &Operators, method: &str, headers: &[(&str, &str)]) -> Result<(), Kind> {
    admit(operators, method, headers).map(drop)
}

async fn log_in(operators: &Operators, credential: &str) -> Result<String, Kind> {
    let credential = Secret::new(credential.to_owned());
    let opened = operators.log_in(&credential, &HeaderMap::new(), None).await;
    opened.map(|(cookie, _)| cookie.split(';').next().unwrap().to_owned()).map_err(|problem| problem.kind())
}

#[test]
fn only_the_token_itself_opens() {
    let guarded = guarded();
    assert_eq!(check(&guarded, "POST", &[("authorization", "Bearer secret")]), Ok(()));
    assert_eq!(check(&guarded, "POST", &[("authorization", "bearer secret")]), Ok(()));
    assert_eq!(check(&guarded, "GET", &[("authorization", "Bearer secre")]), Err(Kind::WrongToken));
    assert_eq!(check(&guarded, "GET", &[("authorization", "Basic secret")]), Err(Kind::NoToken));
    assert_eq!(check(&guarded, "GET", &[]), Err(Kind::NoToken));
    let digest = TokenDigest::of("secret");
    assert_eq!(TokenDigest::from_hex(&digest.to_hex()), Some(digest));
}

#[tokio::test]
async fn a_session_operates_only_from_our_own_pages_and_ends_at_log_out() {
    let guarded = guarded();
    assert_eq!(log_in(&guarded, "wrong").await, Err(Kind::WrongToken));
    let cookie = guarded.log_in(&Secret::new("secret".to_owned()), &HeaderMap::new(), None).await.unwrap().0;
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
    let (open, _) = operators(Access::Open);
    assert_eq!(check(&open, "POST", &[("host", "127.0.0.1:8080")]), Ok(()));
    assert_eq!(check(&open, "GET", &[("host", "[::1]:8080")]), Ok(()));
    assert_eq!(check(&open, "GET", &[("host", "prov.lab:8080")]), Ok(()));
    assert_eq!(check(&open, "GET", &[("host", "rebound.example:8080")]), Err(Kind::ForeignOrigin));
    let cross = [("host", "127.0.0.1:8080"), ("sec-fetch-site", "cross-site")];
    assert_eq!(check(&open, "POST", &cross), Err(Kind::ForeignOrigin));
}

#[tokio::test]
async fn a_read_only_token_looks_and_changes_nothing_also_as_a_session() {
    let (stored, _) = operators(Access::Stored);
    let new = NewToken { name: "monitoring".parse().unwrap(), scope: Scope::Read, expires: None };
    let (_, token) = stored.create_token(new).await.unwrap();
    let header = format!("Bearer {}", token.expose());
    assert_eq!(check(&stored, "GET", &[("authorization", &header)]), Ok(()));
    for method in ["POST", "PATCH", "PUT", "DELETE"] {
        assert_eq!(check(&stored, method, &[("authorization", &header)]), Err(Kind::ReadOnly), "{method}");
    }
    let pair = log_in(&stored, token.expose()).await.unwrap();
    assert_eq!(check(&stored, "GET", &[("cookie", &pair)]), Ok(()));
    assert_eq!(check(&stored, "POST", &[("cookie", &pair)]), Err(Kind::ReadOnly));
}

#[tokio::test]
async fn a_token_that_expires_or_is_revoked_ends_its_sessions() {
    let (stored, clock) = operators(Access::Stored);
    let new = NewToken {
        name: "contractor".parse().unwrap(),
        scope: Scope::Full,
        expires: Some(Timestamp::from_millis(100_000)),
    };
    let (_, short) = stored.create_token(new).await.unwrap();
    let new = NewToken { name: "ci".parse().unwrap(), scope: Scope::Full, expires: None };
    let (_, taken_back) = stored.create_token(new).await.unwrap();
    let pairs = [log_in(&stored, short.expose()).await.unwrap(), log_in(&stored, taken_back.expose()).await.unwrap()];
    for pair in &pairs {
        assert_eq!(check(&stored, "GET", &[("cookie", pair)]), Ok(()));
    }
    stored.revoke_token("ci".to_owned()).await.unwrap();
    clock.0.store(100, Ordering::SeqCst);
    for pair in &pairs {
        assert_eq!(check(&stored, "GET", &[("cookie", pair)]), Err(Kind::NoToken));
    }
    let bearer = |token: &Secret<String>| format!("Bearer {}", token.expose());
    assert_eq!(check(&stored, "GET", &[("authorization", &bearer(&short))]), Err(Kind::ExpiredToken));
    assert_eq!(check(&stored, "GET", &[("authorization", &bearer(&taken_back))]), Err(Kind::RevokedToken));
    assert_eq!(log_in(&stored, short.expose()).await, Err(Kind::ExpiredToken));
}

#[tokio::test]
async fn the_password_opens_a_session_and_nothing_else() {
    let password = hash_password(&Secret::new("correct horse".to_owned())).unwrap();
    let setup = AccessSetup {
        password: Some(LoginPassword::new(password)),
        session_idle: SESSION_IDLE,
        ..Access::Token(TokenDigest::of("secret")).into()
    };
    let (guarded, _) = operators(setup);
    let pair = log_in(&guarded, "correct horse").await.unwrap();
    assert_eq!(admit(&guarded, "GET", &[("cookie", &pair)]).unwrap().actor.name, "password");
    assert_eq!(log_in(&guarded, "wrong horse").await, Err(Kind::WrongToken));
    assert_eq!(check(&guarded, "GET", &[("authorization", "Bearer correct horse")]), Err(Kind::WrongToken));
}

#[tokio::test]
async fn whoever_guesses_waits_and_a_right_login_costs_nothing() {
    let guarded = guarded();
    let from = Some(IpAddr::from([10, 0, 0, 9]));
    let (right, wrong) = (Secret::new("secret".to_owned()), Secret::new("guess".to_owned()));
    for _ in 0..50 {
        assert!(guarded.log_in(&right, &HeaderMap::new(), from).await.is_ok());
    }
    let mut answers = vec![];
    for _ in 0..12 {
        answers.push(guarded.log_in(&wrong, &HeaderMap::new(), from).await.unwrap_err().kind());
    }
    assert_eq!(answers[9], Kind::WrongToken);
    assert_eq!(answers[10], Kind::TooManyTries);
    let limited = guarded.log_in(&right, &HeaderMap::new(), from).await.unwrap_err().into_response();
    assert!(limited.headers().contains_key(header::RETRY_AFTER));
    assert!(guarded.log_in(&right, &HeaderMap::new(), Some(IpAddr::from([10, 0, 0, 10]))).await.is_ok());
}

#[tokio::test]
async fn a_login_ends_the_session_that_the_browser_came_with() {
    let guarded = guarded();
    let before = log_in(&guarded, "secret").await.unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, before.parse().unwrap());
    let after = guarded.log_in(&Secret::new("secret".to_owned()), &headers, None).await.unwrap().0;
    assert_eq!(check(&guarded, "GET", &[("cookie", &before)]), Err(Kind::NoToken));
    assert_eq!(check(&guarded, "GET", &[("cookie", after.split(';').next().unwrap())]), Ok(()));
    assert_eq!(check(&guarded, "GET", &[("cookie", "provisioning_session=chosen-by-somebody")]), Err(Kind::NoToken));
}

#[tokio::test]
async fn with_tls_the_cookie_belongs_to_this_very_host() {
    let url = "https://prov.lab".parse().unwrap();
    let clock = Arc::new(Hands::default());
    let setup = Access::Token(TokenDigest::of("secret")).into();
    let guarded = Operators::new(setup, url, clock, Arc::new(SystemEntropy));
    let cookie = guarded.log_in(&Secret::new("secret".to_owned()), &HeaderMap::new(), None).await.unwrap().0;
    assert!(cookie.starts_with("__Host-provisioning_session=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(cookie.contains("Path=/;") && !cookie.contains("Domain"), "{cookie}");
    let plain = cookie.split(';').next().unwrap().replacen("__Host-", "", 1);
    assert_eq!(check(&guarded, "GET", &[("cookie", &plain)]), Err(Kind::NoToken));
}
