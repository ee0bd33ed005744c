//! `/api/openapi.json`: the document of all routes for programs, made from the handlers' own descriptions.
//!
//! A handler names the problems that are its own; those that come with being an operator's route, with a body or
//! with parameters are added here, so that no route forgets one. Problems become responses by their status.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use provisioning_core::model::Sha256Digest;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::{Body, FieldFault, Kind};
use super::segment::Segment;
use crate::web;

/// What every operator's route can answer.
const GUARDED: &[Kind] = &[
    Kind::NoToken,
    Kind::WrongToken,
    Kind::ExpiredToken,
    Kind::RevokedToken,
    Kind::ForeignOrigin,
    Kind::TooManyTries,
    Kind::TryLater,
    Kind::Internal,
    Kind::StoreCorrupt,
];
/// What every route that reads a JSON object can answer.
const READS_JSON: &[Kind] =
    &[Kind::MalformedJson, Kind::WrongContentType, Kind::BodyTooLarge, Kind::BodyBroke, Kind::InvalidFields];
/// The tag of the routes that machines use: they read bodies and parameters leniently.
const MACHINES: &str = "machines";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "provisioning",
        description = "Turns bare machines into members of a Proxmox VE cluster. Operators send \
            `Authorization: Bearer TOKEN`; machines carry the token of their operation. Errors are \
            `application/problem+json` (RFC 9457): match on `type`. Fields may be added to any answer; ignore those \
            that you do not know.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    components(schemas(Body<'static>, FieldFault)),
    tags(
        (name = "hosts", description = "Machines that are provisioned"),
        (name = "operations", description = "Tries to bring a host to ready"),
        (name = "discovered", description = "Machines on the network, and what keeps them from booting"),
        (name = "images", description = "Imported Proxmox VE ISOs"),
        (name = "events", description = "The journal"),
        (name = "access", description = "Operators' tokens, and what was done with them"),
        (name = "notify", description = "Webhooks to services of your own"),
        (name = "server", description = "The server itself"),
        (name = "machines", description = "What firmware, installers and hosts use"),
        (name = "reference", description = "This document, and pages that explain it"),
    ),
)]
struct Head;

/// Made when it is first asked for: most servers are never asked, and it takes a megabyte.
static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    Document::new([super::operators_routes(), super::public_routes()].map(OpenApiRouter::into_openapi))
});

/// The document, as it is served.
struct Document {
    value: Value,
    text: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// Of all routes that describe themselves.
    fn new(routers: [utoipa::openapi::OpenApi; 2]) -> Self {
        let mut whole = Head::openapi();
        for described in routers {
            whole.merge(described);
        }
        let mut value = serde_json::to_value(&whole).expect("a document of texts and numbers is JSON");
        complete(&mut value);
        let text = serde_json::to_vec(&value).expect("JSON can be written");
        let etag = format!("\"{}\"", Sha256Digest::new(Sha256::digest(&text).into()));
        let etag = HeaderValue::from_str(&etag).expect("hexadecimal digits fit into a header");
        Self { value, text: text.into(), etag }
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(document))
        .routes(routes!(api))
        .routes(routes!(problems))
        .routes(routes!(problem))
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "reference", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, headers(("ETag" = String))),
        (status = 304, description = "It is unchanged")))]
async fn document(headers: HeaderMap) -> Response {
    let document = &*DOCUMENT;
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == document.etag);
    let etag = [(header::ETAG, document.etag.clone())];
    if known {
        return (StatusCode::NOT_MODIFIED, etag).into_response();
    }
    (etag, [(header::CONTENT_TYPE, "application/json")], document.text.clone()).into_response()
}

/// The API on a page for people.
#[utoipa::path(get, path = "/api", tag = "reference", operation_id = "api_page",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")))]
async fn api() -> Response {
    web::api_page(&DOCUMENT.value)
}

/// All problems on a page for people.
#[utoipa::path(get, path = "/api/problems", tag = "reference", operation_id = "problems_page",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")))]
async fn problems() -> Response {
    web::problems_page(&DOCUMENT.value, Kind::ALL)
}

/// One problem on a page for people: where its `type` leads.
#[utoipa::path(get, path = "/api/problems/{slug}", tag = "reference", operation_id = "problem_page",
    params(("slug" = String, Path, description = "The last part of the problem's type")),
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
    extensions(("x-problems" = json!(["no-such-path"]))))]
async fn problem(Segment(slug): Segment, uri: axum::http::Uri) -> Response {
    match Kind::by_slug(&slug) {
        Some(kind) => web::problems_page(&DOCUMENT.value, &[kind]),
        None => super::error::no_such_path(uri).await,
    }
}

/// Adds what all routes have in common.
fn complete(document: &mut Value) {
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["components"]["securitySchemes"] = json!({
        "operator": { "type": "http", "scheme": "bearer", "description": "An operator's token; it begins with prov_" },
    });
    let mut bodies = BTreeSet::new();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for (method, operation) in paths.filter_map(Value::as_object_mut).flat_map(Map::iter_mut) {
        if let Some(operation) = operation.as_object_mut() {
            let kinds = kinds_of(method, operation);
            let slugs: Vec<&str> = kinds.iter().map(|kind| kind.slug()).collect();
            operation.insert("x-problems".to_owned(), json!(slugs));
            add_problems(operation, &kinds);
            bodies.extend(body_schemas(operation));
        }
    }
    for name in bodies {
        let schema = &mut document["components"]["schemas"][&name];
        if schema["properties"].is_object() {
            // Unknown fields are faults: a misspelt one would be ignored otherwise.
            schema["additionalProperties"] = false.into();
        }
    }
}

/// Every problem that an operation can answer with.
fn kinds_of(method: &str, operation: &Map<String, Value>) -> Vec<Kind> {
    let own = operation.get("x-problems").and_then(Value::as_array).into_iter().flatten();
    let mut kinds: Vec<Kind> = own.filter_map(|slug| Kind::by_slug(slug.as_str()?)).collect();
    if operation.contains_key("security") {
        kinds.extend(GUARDED);
        if method != "get" {
            kinds.extend([Kind::ReadOnly, Kind::NotWritable]);
        }
    }
    let is_in = |place: &str| {
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        parameters.into_iter().any(|parameter| parameter["in"] == place)
    };
    if is_in("path") || is_in("header") {
        kinds.push(Kind::MalformedRequest);
    }
    if operation.get("tags").is_none_or(|tags| *tags != json!([MACHINES])) {
        if is_in("query") {
            kinds.extend([Kind::InvalidFields, Kind::MalformedRequest]);
        }
        if operation.get("requestBody").is_some_and(|body| body["content"].get("application/json").is_some()) {
            kinds.extend(READS_JSON);
        }
    }
    let mut once = vec![];
    kinds.retain(|kind| {
        let is_new = !once.contains(kind);
        once.push(*kind);
        is_new
    });
    kinds
}

/// Problems as responses, one for each status.
fn add_problems(operation: &mut Map<String, Value>, kinds: &[Kind]) {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status().as_u16()).or_default().push(*kind);
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    for (status, kinds) in by_status {
        let lines: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}", kind.slug(), kind.title())).collect();
        let mut response = json!({
            "description": lines.join("; "),
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        let header = match status {
            401 => Some(("WWW-Authenticate", "string")),
            429 | 503 => Some(("Retry-After", "integer")),
            _ => None,
        };
        if let Some((name, kind)) = header {
            response["headers"] = json!({ name: { "schema": { "type": kind } } });
        }
        responses[status.to_string()] = response;
    }
}

/// The names of the schemas that an operation's JSON body has.
fn body_schemas(operation: &Map<String, Value>) -> Vec<String> {
    let Some(body) = operation.get("requestBody") else { return vec![] };
    let schema = &body["content"]["application/json"]["schema"];
    let choices = schema["oneOf"].as_array().cloned().unwrap_or_default();
    let all = choices.iter().chain([schema]).filter_map(|schema| schema["$ref"].as_str());
    all.filter_map(|reference| Some(reference.rsplit_once('/')?.1.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_route_with_a_body_has_the_problems_of_both() {
        let mut document = json!({
            "info": {}, "components": { "schemas": { "X": { "properties": {} } } },
            "paths": { "/x": { "post": {
                "security": [{ "operator": [] }], "tags": ["hosts"],
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/X" } } } },
                "x-problems": ["name-taken", "mac-taken"],
                "responses": { "200": { "description": "done" } },
            } } },
        });
        complete(&mut document);
        let responses = document["paths"]["/x"]["post"]["responses"].as_object().unwrap();
        let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
        assert_eq!(statuses, ["200", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"]);
        let conflict = responses["409"]["description"].as_str().unwrap();
        assert!(conflict.contains("name-taken") && conflict.contains("mac-taken"), "{conflict}");
        assert_eq!(document["components"]["schemas"]["X"]["additionalProperties"], false);
    }

    #[test]
    fn a_machines_route_answers_only_what_it_names() {
        let operation = json!({
            "tags": ["machines"], "x-problems": ["unknown-token"],
            "parameters": [{ "in": "query", "name": "token" }],
            "requestBody": { "content": { "application/json": {} } },
        });
        assert_eq!(kinds_of("post", operation.as_object().unwrap()), [Kind::UnknownToken]);
    }
}
