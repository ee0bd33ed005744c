//! `/api/openapi.json` describes every route that programs and machines use, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::lab::{Lab, TOKEN};

/// Routes of `src/http` that the document leaves out, and why. All of `src/web` is for browsers.
const UNDESCRIBED: &[&str] = &[
    // Never ends, which no schema can say: `/api/events` describes the stream.
    "/events", // Forms of the login page.
    "/login", "/logout",
];

async fn document(lab: &Lab) -> Value {
    let answer = lab.send(lab.request(Method::GET, "/api/openapi.json")).await;
    assert_eq!((answer.status, answer.content_type.as_str()), (StatusCode::OK, "application/json"));
    answer.body
}

/// Path, method and description of each operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (path.clone(), method.to_uppercase(), operation.clone()))
    });
    all.collect()
}

#[tokio::test]
async fn each_described_path_takes_exactly_the_described_methods() {
    let lab = Lab::start().await;
    let document = document(&lab).await;
    for path in document["paths"].as_object().unwrap().keys() {
        let mut described: BTreeSet<String> =
            document["paths"][path].as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if described.contains("GET") {
            described.insert("HEAD".to_owned());
        }
        let filled = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
        let filled = filled.collect::<Vec<_>>().join("/");
        let method = Method::from_bytes(b"PURGE").unwrap();
        let request = lab.request(method, &filled).bearer_auth(TOKEN);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allow = answer.headers()["allow"].to_str().unwrap().to_owned();
        let taken: BTreeSet<String> = allow.split(',').map(|method| method.trim().to_owned()).collect();
        assert_eq!(taken, described, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn each_route_for_programs_and_machines_is_described() {
    let lab = Lab::start().await;
    let document = document(&lab).await;
    let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut routes = BTreeSet::new();
    routes_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"), &mut routes);
    assert!(routes.contains("/login"), "the sources are read: {routes:?}");
    for path in UNDESCRIBED {
        assert!(routes.remove(*path), "{path} is no route any more");
    }
    let undescribed: Vec<_> = routes.iter().filter(|path| !described.contains(path.as_str())).collect();
    assert!(undescribed.is_empty(), "describe these with #[utoipa::path], or say why not: {undescribed:?}");
}

/// The paths of all `.route("…")` calls.
fn routes_below(folder: &Path, routes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes_below(&path, routes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text: String = std::fs::read_to_string(&path).unwrap().split_whitespace().collect();
            let calls = text.split(".route(\"").skip(1);
            routes.extend(calls.filter_map(|call| Some(call.split_once('"')?.0.to_owned())));
        }
    }
}

#[tokio::test]
async fn every_operation_names_its_problems_and_every_problem_has_a_page() {
    let lab = Lab::start().await;
    let document = document(&lab).await;
    let mut ids = BTreeSet::new();
    let mut slugs = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id), "{method} {path} has another operation's id");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}");
        assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')), "{path}");
        slugs.extend(operation["x-problems"].as_array().unwrap().iter().map(|slug| slug.as_str().unwrap().to_owned()));
    }
    assert!(slugs.contains("precondition-failed") && slugs.contains("not-authenticated"), "{slugs:?}");
    for slug in slugs {
        let page = lab.send(lab.request(Method::GET, &format!("/api/problems/{slug}"))).await;
        assert_eq!(page.status, StatusCode::OK, "{slug}");
        assert!(page.body.as_str().unwrap().contains(&slug), "{slug}");
    }
    lab.send(lab.request(Method::GET, "/api/problems/nonsense")).await.is_problem(404, "no-such-path", None);
}

#[tokio::test]
async fn no_handler_names_a_problem_that_there_is_not() {
    let lab = Lab::start().await;
    let document = document(&lab).await;
    let written = lab_problems();
    let known: BTreeSet<String> =
        provisioning_server::http::problem::Kind::ALL.iter().map(|k| k.slug().to_owned()).collect();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "schemathesis and others read 3.1");
    assert!(written.len() > 10, "the sources are read: {written:?}");
    assert_eq!(written.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What stands behind `"x-problems"` in the sources.
fn lab_problems() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")).unwrap() {
        let path = entry.unwrap().path();
        let text = if path.is_file() { std::fs::read_to_string(&path).unwrap() } else { String::new() };
        for rest in text.split("extensions((\"x-problems\" = json!([").skip(1) {
            let list = rest.split(']').next().unwrap_or_default();
            found.extend(list.split(',').map(|slug| slug.trim().trim_matches('"').to_owned()));
        }
    }
    found
}

#[tokio::test]
async fn the_api_is_on_a_page_that_names_every_route() {
    let lab = Lab::start().await;
    let document = document(&lab).await;
    let page = lab.send(lab.request(Method::GET, "/api")).await;
    assert!(page.content_type.starts_with("text/html"), "{}", page.content_type);
    let text = page.body.as_str().unwrap();
    for (path, method, _) in operations(&document) {
        assert!(text.contains(&format!("<code>{method} {path}</code>")), "{method} {path}");
    }
    assert!(!text.contains("http://") && !text.contains("https://"), "the page loads nothing from elsewhere");
}

#[tokio::test]
async fn the_document_is_sent_once_to_whoever_keeps_it() {
    let lab = Lab::start().await;
    let first = lab.request(Method::GET, "/api/openapi.json").send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let again = lab.request(Method::GET, "/api/openapi.json").header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}
