//! Another site's page, a cookie that somebody planted, and somebody who guesses.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::lab::{Lab, TOKEN};

async fn log_in(lab: &Lab, headers: &[(&str, &str)]) -> String {
    let mut request = lab.request(Method::POST, "/login").json(&json!({ "token": TOKEN }));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn another_sites_page_changes_nothing_in_a_browser_that_is_logged_in() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    let cookie = log_in(&lab, &[]).await;
    let changes = [
        (Method::POST, "/api/hosts".to_owned()),
        (Method::PATCH, format!("/api/hosts/{host}")),
        (Method::DELETE, format!("/api/hosts/{host}")),
        (Method::POST, format!("/api/hosts/{host}/rebuild")),
        (Method::POST, "/api/images".to_owned()),
        (Method::POST, "/api/tokens".to_owned()),
        (Method::POST, "/login".to_owned()),
        (Method::POST, "/logout".to_owned()),
    ];
    let origin_of_ours = lab.base.clone();
    let foreign: [&[(&str, &str)]; 6] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("origin", origin_of_ours.as_str())],
        &[("origin", "http://127.0.0.1")],
    ];
    for (method, path) in &changes {
        for headers in foreign {
            let mut request = lab.request(method.clone(), path).header("cookie", &cookie);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            // A form of another site comes without asking first.
            let request = request.header("content-type", "text/plain").body("token=x");
            lab.send(request).await.is_problem(403, "foreign-origin", None);
        }
    }
    assert_eq!(lab.phase(&host).await, "registered");
    let still = lab.request(Method::GET, "/api/hosts").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(still.status(), StatusCode::OK, "it was not logged out either");
}

#[tokio::test]
async fn a_planted_cookie_never_becomes_a_session() {
    let lab = Lab::start().await;
    let planted = "provisioning_session=chosen-by-an-attacker";
    let own = log_in(&lab, &[("cookie", planted)]).await;
    assert_ne!(own, planted);
    let with = |cookie: &str| lab.request(Method::GET, "/api/hosts").header("cookie", cookie);
    lab.send(with(planted)).await.is_problem(401, "not-authenticated", None);
    let again = log_in(&lab, &[("cookie", &own)]).await;
    lab.send(with(&own)).await.is_problem(401, "not-authenticated", None);
    assert_eq!(lab.send(with(&again)).await.status, StatusCode::OK);
    let logout = lab.request(Method::POST, "/logout").header("cookie", &again).send().await.unwrap();
    assert!(logout.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    lab.send(with(&again)).await.is_problem(401, "not-authenticated", None);
}

#[tokio::test]
async fn whoever_guesses_is_told_to_wait_and_whoever_knows_is_not() {
    let lab = Lab::start().await;
    let mut told_to_wait = 0;
    for guess in 0..40 {
        let login = lab.request(Method::POST, "/login").json(&json!({ "token": format!("prov_guess-{guess}") }));
        let answer = login.send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            told_to_wait += 1;
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
        } else {
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        }
    }
    assert!(told_to_wait >= 28, "{told_to_wait} of 40");
    let form = lab.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let form = form.body("token=guess").send().await.unwrap();
    assert_eq!(form.headers()["location"], "/login?error=later");
    for _ in 0..60 {
        let status = lab.request(Method::GET, "/api/hosts").bearer_auth("guess").send().await.unwrap().status();
        assert!(matches!(status.as_u16(), 401 | 429), "{status}");
    }
    assert_eq!(lab.get("/api/hosts").await.status, StatusCode::OK);
    let noted = lab.get("/api/audit?limit=1000").await.body["entries"].as_array().unwrap().len();
    assert!(noted <= 30, "{noted} entries: the journal is not theirs to fill");
}
