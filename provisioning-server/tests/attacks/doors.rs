//! Every path and method without a token, with a wrong one, and with one that may only look.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::lab::{Lab, TOKEN};

/// What is open to everybody, and answers whoever has no token of an operator. All others are operators' paths.
const PUBLIC: [&str; 17] = [
    "/healthz",
    "/readyz",
    "/login",
    "/logout",
    "/assets/{*path}",
    "/favicon.svg",
    "/ipxe/{mac}",
    "/boot/{token}/{file}",
    "/netboot/{file}",
    "/api/boot/answer",
    "/api/hosts/{id}/installed",
    "/api/hosts/{id}/first-boot-script",
    "/api/hosts/{id}/phone-home",
    "/api",
    "/api/openapi.json",
    "/api/problems",
    "/api/problems/{slug}",
];

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Every path that a router of ours has, read from the sources: a route that is added later is tried as well.
fn routes() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    for folder in ["http", "web", "images"] {
        rust_files(&source.join(folder), &mut files);
    }
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for begin in [".route(\"", "path = \""] {
            let paths = text.split(begin).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(paths.filter(|path| path.starts_with('/')).map(str::to_owned));
        }
    }
    found
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The path with something in the place of its parameters.
fn filled(template: &str) -> String {
    let parts = template.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn nobody_without_a_token_is_let_in_by_any_path_and_method() {
    let lab = Lab::start().await;
    let routes = routes();
    assert!(routes.len() > 25 && routes.contains("/api/tokens") && routes.contains("/hosts/{host}"), "{routes:?}");
    for template in routes.iter().filter(|template| !PUBLIC.contains(&template.as_str())) {
        let path = filled(template);
        let mut refused = 0;
        for method in METHODS {
            for token in [None, Some("prov_of-somebody-else"), Some("")] {
                let mut request = lab.request(method.clone(), &path).json(&json!({}));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                let status = request.send().await.unwrap().status();
                refused += usize::from(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS));
                assert!(matches!(status.as_u16(), 401 | 405 | 429), "{method} {path} with {token:?}: {status}");
            }
        }
        assert!(refused >= 3, "{path} asks nobody for a token");
    }
}

#[tokio::test]
async fn public_paths_give_nothing_to_those_who_only_guess() {
    let lab = Lab::start().await;
    let host = lab.host("pve-01", "52:54:00:00:00:01").await;
    lab.armed(&host, "52:54:00:00:00:01").await;
    let open = ["/healthz", "/readyz", "/login", "/favicon.svg", "/api", "/api/openapi.json", "/api/problems"];
    for template in PUBLIC {
        for method in METHODS {
            let path = filled(template).replace("/hosts/x/", &format!("/hosts/{host}/"));
            let response = lab.request(method.clone(), &path).json(&json!({})).send().await.unwrap();
            let status = response.status();
            let may_succeed = method == Method::GET && open.contains(&template);
            let is_log_out = template == "/logout" && status == StatusCode::SEE_OTHER;
            assert!(status.is_client_error() || may_succeed || is_log_out, "{method} {path}: {status}");
            let text = response.text().await.unwrap();
            assert!(!text.contains("#!ipxe") && !text.contains("root-password"), "{method} {path}: {text}");
        }
    }
    assert_eq!(lab.phase(&host).await, "pxe_booted", "nothing of it has moved the host");
}

#[tokio::test]
async fn a_token_that_may_look_changes_nothing_by_any_path_and_method() {
    let lab = Lab::start().await;
    lab.host("pve-01", "52:54:00:00:00:01").await;
    let made = lab.post("/api/tokens", &json!({ "name": "monitoring", "scope": "read" })).await;
    let token = made.body["token"].as_str().unwrap().to_owned();
    let before = lab.get("/api/hosts").await.body;
    for template in routes().iter().filter(|template| !PUBLIC.contains(&template.as_str())) {
        for method in METHODS.into_iter().filter(|method| *method != Method::GET) {
            let path = filled(template).replace("/hosts/x", "/hosts/pve-01");
            let status = lab.request(method.clone(), &path).bearer_auth(&token).json(&json!({})).send().await.unwrap();
            let status = status.status();
            assert!(matches!(status.as_u16(), 403 | 405), "{method} {path}: {status}");
        }
    }
    let looked = lab.send(lab.request(Method::GET, "/api/hosts").bearer_auth(&token)).await;
    assert_eq!((looked.status, &looked.body["hosts"]), (StatusCode::OK, &before["hosts"]));
    let events = lab.request(Method::GET, "/events").bearer_auth(&token).send().await.unwrap();
    assert_eq!(events.status(), StatusCode::OK);
}

#[tokio::test]
async fn every_answer_forbids_browsers_to_make_more_of_it() {
    let lab = Lab::start().await;
    let paths =
        ["/", "/login", "/api/hosts", "/api/tokens", "/healthz", "/nowhere", "/ipxe/x", "/favicon.svg", "/images"];
    for path in paths {
        let response = lab.request(Method::GET, path).bearer_auth(TOKEN).send().await.unwrap();
        let header =
            |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert!(!header("referrer-policy").is_empty(), "{path}");
        assert!(matches!(header("cache-control").as_str(), "no-store" | "no-cache"), "{path}");
    }
}
