//! What all pages have in common: headers, assets, errors, the login page.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use http_body_util::BodyExt as _;

use super::super::headers::CONTENT_SECURITY_POLICY;
use super::super::login_page;
use super::lab::Lab;
use super::{get, get_with};

#[tokio::test]
async fn every_answer_forbids_what_does_not_come_from_us() {
    let lab = Lab::new();
    let paths =
        ["/", "/images", "/register", "/hosts/none", "/fragments/hosts?ids=", "/assets/app.js", "/assets/none.js"];
    for path in paths {
        let answer = get(&lab, path).await;
        assert_eq!(answer.headers[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY, "{path}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
    assert_eq!(get(&lab, "/").await.headers[header::CACHE_CONTROL], "no-store");
}

#[tokio::test]
async fn no_page_has_a_script_or_style_that_the_policy_would_refuse() {
    let lab = Lab::new();
    lab.image("proxmox-ve_9.2-1").await;
    lab.host(1, lab.ready(1)).await;
    let paths =
        ["/", "/images", "/register", "/activity", "/settings", "/hosts/pve-01", "/hosts/pve-01/rebuild", "/none"];
    for path in paths {
        let text = get(&lab, path).await.text;
        assert!(!text.contains("<style") && !text.contains(" style="), "{path} has a style");
        assert!(!text.contains(" onclick") && !text.contains("javascript:"), "{path} has a script");
        let scripts = text.matches("<script").count();
        let from_files = text.matches(r#"<script src="/assets/"#).count()
            + text.matches(r#"<script type="module" src="/assets/app.js"></script>"#).count();
        assert_eq!(scripts, from_files, "{path}");
    }
}

#[tokio::test]
async fn assets_have_their_types_and_are_sent_once() {
    let lab = Lab::new();
    let types = [
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/phases.css", "text/css; charset=utf-8"),
        ("/assets/live.js", "text/javascript; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ];
    for (path, kind) in types {
        let first = get(&lab, path).await;
        assert_eq!((first.status, &first.headers[header::CONTENT_TYPE]), (StatusCode::OK, &kind.parse().unwrap()));
        let etag = first.headers[header::ETAG].to_str().unwrap();
        let again = get_with(&lab, path, &[("if-none-match", &format!("\"other\", W/{etag}"))]).await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        let changed = get_with(&lab, path, &[("if-none-match", "\"other\"")]).await;
        assert_eq!((changed.status, changed.text), (StatusCode::OK, first.text), "{path}");
    }
}

#[tokio::test]
async fn nothing_outside_the_assets_is_served() {
    let lab = Lab::new();
    for path in ["/assets/..%2fCargo.toml", "/assets/../Cargo.toml", "/assets/app", "/assets/%2fetc%2fpasswd.css"] {
        assert_eq!(get(&lab, path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn every_module_that_a_script_imports_is_there() {
    let lab = Lab::new();
    let mut wanted = vec!["app.js".to_owned()];
    let mut seen = vec![];
    while let Some(name) = wanted.pop() {
        let script = get(&lab, &format!("/assets/{name}")).await;
        assert_eq!(script.status, StatusCode::OK, "{name}");
        let imports = script.text.lines().filter_map(|line| line.split_once(" from \"./")?.1.strip_suffix("\";"));
        wanted.extend(imports.map(str::to_owned).filter(|import| !seen.contains(import) && *import != name));
        seen.push(name);
    }
    for name in
        ["live.js", "fleet.js", "list.js", "notices.js", "picks.js", "frame.js", "host.js", "images.js", "sheets.js"]
    {
        assert!(seen.iter().any(|seen| seen == name), "{name} is imported by nobody");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_said_to_be_so_and_its_name_is_only_text() {
    let answer = get(&Lab::new(), "/hosts/%3Cscript%3Ealert(1)%3C%2Fscript%3E").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text.contains("No such host"));
    assert!(!answer.text.contains("<script>"), "{}", answer.text);
}

#[tokio::test]
async fn the_login_page_asks_for_a_token_and_says_what_was_wrong() {
    let response = login_page(Some("<i>not</i> a token")).into_response();
    assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], CONTENT_SECURITY_POLICY);
    let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(text.contains(r#"<form class="card" method="post" action="/login">"#));
    assert!(text.contains(r#"type="password" name="token""#));
    assert!(text.contains("not") && !text.contains("<i>"), "{text}");
}
