//! The API on pages for people: every route with its parameters and answers, and every problem.

use askama::Template;
use axum::response::Response;
use serde_json::Value;

use super::headers::add_security_headers;
use super::page::html;
use crate::http::problem::Kind;

#[derive(Template)]
#[template(path = "api.html")]
struct ApiPage {
    title: String,
    version: String,
    description: String,
    groups: Vec<Group>,
}

#[derive(Template)]
#[template(path = "problems.html")]
struct ProblemsPage {
    problems: Vec<ProblemView>,
}

/// The routes of one kind of caller or thing.
struct Group {
    name: String,
    description: String,
    routes: Vec<Route>,
}

struct Route {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    needs_token: bool,
    parameters: Vec<Parameter>,
    body: Vec<Parameter>,
    body_types: String,
    answers: Vec<(String, String)>,
    problems: Vec<String>,
}

struct Parameter {
    name: String,
    place: String,
    is_required: bool,
    description: String,
}

struct ProblemView {
    slug: &'static str,
    uri: String,
    status: u16,
    title: &'static str,
    again: &'static str,
    routes: Vec<(String, String)>,
}

/// The whole API.
pub(crate) fn api_page(document: &Value) -> Response {
    let page = ApiPage {
        title: text(&document["info"]["title"]),
        version: text(&document["info"]["version"]),
        description: text(&document["info"]["description"]),
        groups: groups(document),
    };
    add_security_headers(html(&page))
}

/// Some problems, and which routes answer with them.
pub(crate) fn problems_page(document: &Value, kinds: &[Kind]) -> Response {
    let all: Vec<Route> = groups(document).into_iter().flat_map(|group| group.routes).collect();
    let view = |kind: &Kind| ProblemView {
        slug: kind.slug(),
        uri: kind.uri(),
        status: kind.status().as_u16(),
        title: kind.title(),
        again: again(kind.status().as_u16()),
        routes: all
            .iter()
            .filter(|route| route.problems.iter().any(|slug| slug == kind.slug()))
            .map(|route| (route.id.clone(), format!("{} {}", route.method, route.path)))
            .collect(),
    };
    add_security_headers(html(&ProblemsPage { problems: kinds.iter().map(view).collect() }))
}

/// Whether sending the same again can help.
fn again(status: u16) -> &'static str {
    match status {
        409 | 410 | 412 => "The same request can succeed once the state has changed: read it again and decide anew.",
        429 | 503 => "Send the same request again after the seconds of Retry-After.",
        500 | 507 => "The server's operator has to look: its log says more.",
        _ => "The same request will fail again: change it as its detail and fields say.",
    }
}

fn groups(document: &Value) -> Vec<Group> {
    let tags = document["tags"].as_array().into_iter().flatten();
    let groups = tags.map(|tag| {
        let name = text(&tag["name"]);
        let routes = routes(document, &name);
        Group { description: text(&tag["description"]), name, routes }
    });
    groups.filter(|group| !group.routes.is_empty()).collect()
}

fn routes(document: &Value, tag: &str) -> Vec<Route> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let tagged = operations.filter(|(_, _, operation)| operation["tags"][0] == tag);
    tagged.map(|(path, method, operation)| route(document, path, method, operation)).collect()
}

fn route(document: &Value, path: &str, method: &str, operation: &Value) -> Route {
    let parameters = operation["parameters"].as_array().into_iter().flatten().map(|parameter| Parameter {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        is_required: parameter["required"] == true,
        description: text(&parameter["description"]),
    });
    let answers = operation["responses"].as_object().into_iter().flatten();
    let answers = answers.filter(|(status, _)| status.starts_with(['2', '3']));
    let types = operation["requestBody"]["content"].as_object();
    Route {
        id: text(&operation["operationId"]),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]),
        needs_token: operation.get("security").is_some(),
        parameters: parameters.collect(),
        body: body(document, operation),
        body_types: types.map(|types| types.keys().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default(),
        answers: answers.map(|(status, answer)| (status.clone(), text(&answer["description"]))).collect(),
        problems: operation["x-problems"].as_array().into_iter().flatten().map(text).collect(),
    }
}

/// The fields of an operation's JSON body.
fn body(document: &Value, operation: &Value) -> Vec<Parameter> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let reference = choices.chain([schema]).find_map(|schema| schema["$ref"].as_str());
    let Some((_, name)) = reference.and_then(|reference| reference.rsplit_once('/')) else { return vec![] };
    let schema = &document["components"]["schemas"][name];
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = schema["properties"].as_object().into_iter().flatten().map(|(field, schema)| Parameter {
        name: field.clone(),
        place: "body".to_owned(),
        is_required: required.contains(&field.as_str()),
        description: text(&schema["description"]),
    });
    fields.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
