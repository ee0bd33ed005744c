//! What an operation was given and what it said: as text, as a table where it is JSON, and against the run before.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use provisioning_core::model::{Artefact, ArtefactKind, Hostname, OperationId};
use serde_json::Value;

use super::super::Web;
use super::super::diff::Diff;
use super::super::moment::Moment;
use super::super::page::{PageError, find_host};

/// So many rows of a report are shown as a table; the text has them all.
const ROWS_MAX: usize = 300;

/// A text that an operation left.
pub(super) struct ArtefactView {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) at: Moment,
    pub(super) text: String,
    /// Where it can be downloaded, and under which name it is then saved.
    pub(super) href: String,
    /// What it says, as a table; empty for what is no JSON.
    pub(super) rows: Vec<Row>,
    pub(super) is_cut: bool,
    pub(super) change: Option<Change>,
}

/// A line of a report as a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) value: String,
}

/// What is different from the run before.
pub(super) enum Change {
    /// The run before did not come so far.
    IsNew,
    /// Nothing is.
    None,
    /// This.
    Lines(Diff),
}

impl ArtefactView {
    /// An artefact, and what `old` of the run before was in its place.
    pub(super) fn of(
        artefact: Artefact,
        operation: Option<OperationId>,
        host: &Hostname,
        old: Option<&Artefact>,
        has_previous: bool,
    ) -> Self {
        let mut rows = rows(&artefact.text);
        let is_cut = rows.len() > ROWS_MAX;
        rows.truncate(ROWS_MAX);
        let kind = artefact.kind;
        let text = readable(artefact.text);
        let change = match old {
            Some(old) => {
                let diff = Diff::of(&readable(old.text.clone()), &text);
                Some(if diff.is_same() { Change::None } else { Change::Lines(diff) })
            }
            None => has_previous.then_some(Change::IsNew),
        };
        let operation = operation.map(|id| id.to_string()).unwrap_or_default();
        let href = format!("/hosts/{host}/operations/{operation}/{}", file_name(kind));
        Self { key: kind.as_str(), title: title(kind), at: Moment(artefact.at), text, href, rows, is_cut, change }
    }
}

/// What an artefact is called.
fn title(kind: ArtefactKind) -> &'static str {
    match kind {
        ArtefactKind::BootScript => "Boot script (iPXE)",
        ArtefactKind::SystemInfo => "What the installer said of the machine",
        ArtefactKind::Answer => "Answer file",
        ArtefactKind::FirstBootScript => "First-boot script",
        ArtefactKind::InstallReport => "The installer's report (webhook)",
        ArtefactKind::JoinTranscript => "Join transcript (SSH)",
        ArtefactKind::Request => "The request that started it",
        ArtefactKind::PhoneHome => "The host's phone-home",
        ArtefactKind::RefusedRequest => "The last request for an answer file that was refused",
    }
}

/// The name under which it is downloaded.
pub(super) fn file_name(kind: ArtefactKind) -> &'static str {
    match kind {
        ArtefactKind::BootScript => "boot.ipxe",
        ArtefactKind::SystemInfo => "system-info.json",
        ArtefactKind::Answer => "answer.toml",
        ArtefactKind::FirstBootScript => "first-boot.sh",
        ArtefactKind::InstallReport => "webhook.json",
        ArtefactKind::JoinTranscript => "join.txt",
        ArtefactKind::Request => "request.json",
        ArtefactKind::PhoneHome => "phone-home.json",
        ArtefactKind::RefusedRequest => "refused-request.json",
    }
}

/// JSON is laid out over lines; any other text stays as it is.
pub(super) fn readable(text: String) -> String {
    match serde_json::from_str::<Value>(&text) {
        Ok(value) if value.is_object() => serde_json::to_string_pretty(&value).unwrap_or(text),
        _ => text,
    }
}

/// The leaves of a JSON object with the way to them: `disks 1, size` and what stands there.
fn rows(text: &str) -> Vec<Row> {
    let mut rows = vec![];
    if let Ok(Value::Object(fields)) = serde_json::from_str(text) {
        for (name, value) in &fields {
            gather(&mut rows, words(name), value);
        }
    }
    rows
}

fn gather(rows: &mut Vec<Row>, name: String, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (below, value) in fields {
                gather(rows, format!("{name}, {}", words(below)), value);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                gather(rows, format!("{name} {}", at + 1), item);
            }
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            rows.push(Row { name, value: items.join(", ") });
        }
        leaf => rows.push(Row { name, value: plain(leaf) }),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A key as people write it.
fn words(key: &str) -> String {
    key.replace(['_', '-'], " ")
}

/// `GET /hosts/{host}/operations/{operation}/{file}`: one artefact as a file.
pub(in crate::web) async fn download(
    State(web): State<Web>,
    Path((asked, operation, file)): Path<(String, String, String)>,
) -> Result<Response, PageError> {
    let host = find_host(&web, &asked).await?.host;
    let artefacts = of_host(&web, host.id, &operation).await?;
    let artefact = artefacts.into_iter().find(|artefact| file_name(artefact.kind) == file);
    let artefact = artefact.ok_or(PageError::NoSuchArtefact)?;
    Ok(attachment(&format!("{}-{file}", host.name), "text/plain; charset=utf-8", artefact.text.into_bytes()))
}

/// What an operation of this host has left.
pub(super) async fn of_host(
    web: &Web,
    host: provisioning_core::model::HostId,
    operation: &str,
) -> Result<Vec<Artefact>, PageError> {
    let store = web.orchestrator.store();
    let id = operation.parse::<OperationId>().map_err(|_| PageError::NoSuchArtefact)?;
    let operation = store.operation(id).await?.filter(|operation| operation.host == host);
    let operation = operation.ok_or(PageError::NoSuchArtefact)?;
    Ok(store.artefacts(operation.id).await?)
}

/// A file that browsers save. Never shown as a page: machines have written parts of it.
pub(super) fn attachment(name: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = ([(header::CONTENT_TYPE, kind)], bytes).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_other_text_left_alone() {
        assert_eq!(readable(r#"{"a":1}"#.to_owned()), "{\n  \"a\": 1\n}");
        for text in ["[global]\nkeyboard = \"de\"\n", "12", "{broken", ""] {
            assert_eq!(readable(text.to_owned()), text);
        }
    }

    #[test]
    fn a_report_becomes_rows_with_the_way_to_each_value() {
        let text = r#"{"debug":false,"disks":[{"size":5,"is_bootdisk":true}],"filesystem":"ext4","fqdns":["a","b"]}"#;
        let told: Vec<(String, String)> = rows(text).into_iter().map(|row| (row.name, row.value)).collect();
        let expected = [
            ("debug", "no"),
            ("disks 1, is bootdisk", "yes"),
            ("disks 1, size", "5"),
            ("filesystem", "ext4"),
            ("fqdns", "a, b"),
        ];
        assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(rows("[global]"), []);
    }
}
