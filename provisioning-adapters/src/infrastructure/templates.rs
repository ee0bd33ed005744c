//! Path, headers and body from templates over a record.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;

use provisioning_core::model::{Fqdn, HostId, Hostname, OperationId, Secret, ServerTypeKey, Timestamp};
use provisioning_core::ports::InventoryRecord;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tera::{Context, ErrorKind, EscapeFn, Kwargs, State, Tera, Value};

use super::config::{InfrastructureConfig, InfrastructureFault};

const DEFAULT_BODY: &str = r#"{
  "key": {{ key | json }},
  "hostname": {{ hostname | json }},
  "fqdn": {{ fqdn | json }},
  "ip": {{ ip | json }},
  "macs": {{ macs | json }},
  "server_type": {{ server_type | json }},
  "gpu": {{ gpu | json }},
  "host_id": {{ host_id | json }},
  "operation_id": {{ operation_id | json }}
}"#;

/// The name under which each engine knows its one template.
const TEMPLATE: &str = "template";

/// The parts of a request.
pub(super) struct Rendered {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// The templates of a request, known to render.
#[derive(Debug)]
pub(super) struct Templates {
    path: Tera,
    headers: Vec<(HeaderName, Tera)>,
    body: Tera,
    server_type_map: BTreeMap<ServerTypeKey, String>,
}

impl Templates {
    /// Reads all templates and renders each with samples.
    pub(super) fn new(config: &InfrastructureConfig) -> Result<Self, InfrastructureFault> {
        let headers = config.headers.iter().map(|(name, value)| header(name, value));
        let templates = Self {
            path: engine("path", &config.path, percent_encoded)?,
            headers: headers.collect::<Result<_, _>>()?,
            body: engine("body", config.body.as_deref().unwrap_or(DEFAULT_BODY), json_escaped)?,
            server_type_map: config.server_type_map.clone(),
        };
        let samples = samples();
        for sample in &samples {
            templates.render(sample)?;
        }
        for server_type in templates.server_type_map.keys() {
            templates.render(&InventoryRecord { server_type: server_type.clone(), ..samples[0].clone() })?;
        }
        Ok(templates)
    }

    /// Renders the request for a record.
    pub(super) fn render(&self, record: &InventoryRecord) -> Result<Rendered, InfrastructureFault> {
        let context = self.context(record)?;
        let path = rendered("path", &self.path, &context)?;
        if !path.starts_with('/') || path.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '#') {
            let problem = "it must render to a path that begins with / and has no blank and no #".to_owned();
            return Err(InfrastructureFault::Template { part: "path".to_owned(), line: 1, problem });
        }
        let body = rendered("body", &self.body, &context)?;
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
            let (line, column) = (error.line(), error.column());
            let problem = format!(
                "it renders to something that is not JSON (at column {column}): print texts between quotes, \
                 or with the filter json, as in \"gpu\": {{{{ gpu | json }}}}"
            );
            return Err(InfrastructureFault::Template { part: "body".to_owned(), line, problem });
        }
        Ok(Rendered { path, headers: self.headers(record, &context)?, body })
    }

    fn headers(&self, record: &InventoryRecord, context: &Context) -> Result<HeaderMap, InfrastructureFault> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let not_allowed = |name: &str| InfrastructureFault::Header {
            name: name.to_owned(),
            problem: "it renders to a value that HTTP does not allow: line breaks, control characters or non-ASCII",
        };
        let key = HeaderValue::from_str(&key(record)).map_err(|_| not_allowed("idempotency-key"))?;
        headers.insert(HeaderName::from_static("idempotency-key"), key);
        for (name, template) in &self.headers {
            let text = Secret::new(rendered(&part(name), template, context)?);
            let ascii = text.expose().is_ascii();
            let mut value = HeaderValue::from_str(text.expose())
                .ok()
                .filter(|_| ascii)
                .ok_or_else(|| not_allowed(name.as_str()))?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        Ok(headers)
    }

    fn context(&self, record: &InventoryRecord) -> Result<Context, InfrastructureFault> {
        let mapped = self.server_type_map.get(&record.server_type).map(String::as_str);
        let variables = Variables {
            key: key(record),
            hardware_id: record.hardware_id.as_ref().map(ToString::to_string),
            hostname: record.hostname.as_str(),
            fqdn: record.fqdn.as_str(),
            ip: record.ip.to_string(),
            mac: record.macs.first().map(ToString::to_string),
            macs: record.macs.iter().map(ToString::to_string).collect(),
            server_type: mapped.unwrap_or(record.server_type.as_str()),
            server_type_key: record.server_type.as_str(),
            gpu: record.gpu.as_deref(),
            host_id: record.host.to_string(),
            operation_id: record.operation.to_string(),
        };
        Context::from_serialize(&variables).map_err(|error| fault("path", &error))
    }
}

/// Under what the service knows the host: its hardware id, else our id.
fn key(record: &InventoryRecord) -> String {
    record.hardware_id.as_ref().map_or_else(|| record.host.to_string(), ToString::to_string)
}

#[derive(Serialize)]
struct Variables<'a> {
    key: String,
    hardware_id: Option<String>,
    hostname: &'a str,
    fqdn: &'a str,
    ip: String,
    mac: Option<String>,
    macs: Vec<String>,
    server_type: &'a str,
    server_type_key: &'a str,
    gpu: Option<&'a str>,
    host_id: String,
    operation_id: String,
}

fn header(name: &str, value: &Secret<String>) -> Result<(HeaderName, Tera), InfrastructureFault> {
    let problem = "its name is none that HTTP allows";
    let header = name.parse().map_err(|_| InfrastructureFault::Header { name: name.to_owned(), problem })?;
    let template = engine(&part(&header), value.expose(), unchanged)?;
    Ok((header, template))
}

fn part(header: &HeaderName) -> String {
    format!("headers.{header}")
}

fn engine(part: &str, text: &str, escape: EscapeFn) -> Result<Tera, InfrastructureFault> {
    let mut tera = Tera::new();
    tera.autoescape_on([""]); // every name ends with nothing: the escaping is always on
    tera.set_escape_fn(escape);
    // What is printed is escaped, whoever asks for it not to be.
    tera.register_filter("safe", |value: Value, _: Kwargs, _: &State<'_>| value);
    if part == "body" {
        tera.register_filter("json", |value: Value, _: Kwargs, _: &State<'_>| {
            let text = serde_json::to_string(&value);
            text.map(|json| Value::safe_string(&json)).map_err(|e| tera::Error::message(e.to_string()))
        });
    }
    tera.add_raw_template(TEMPLATE, text).map_err(|error| fault(part, &error))?;
    Ok(tera)
}

fn rendered(part: &str, template: &Tera, context: &Context) -> Result<String, InfrastructureFault> {
    template.render(TEMPLATE, context).map_err(|error| fault(part, &error))
}

/// The template's error without its text: a header's text holds secrets, and the engine quotes what it does not
/// understand.
fn fault(part: &str, error: &tera::Error) -> InfrastructureFault {
    let (line, message) = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            (report.span().start_line, report.message().to_owned())
        }
        other => unreported(&other.to_string()),
    };
    let problem = if part.starts_with("headers.") {
        "the template cannot be rendered ({{, {% and {# begin template code; write {{ \"{{\" }} for the signs themselves)"
            .to_owned()
    } else {
        message
    };
    InfrastructureFault::Template { part: part.to_owned(), line, problem }
}

/// Line and message of an error that the engine has rendered already, as it does for unknown filters:
/// `error: MESSAGE`, and below it ` --> NAME:LINE:COLUMN`.
fn unreported(text: &str) -> (usize, String) {
    let place = text.split_once(&format!("{TEMPLATE}:")).and_then(|(_, place)| place.split(':').next()?.parse().ok());
    let message = text.lines().next().unwrap_or_default();
    (place.unwrap_or(1), message.strip_prefix("error: ").unwrap_or(message).to_owned())
}

fn percent_encoded(text: &str, to: &mut dyn io::Write) -> io::Result<()> {
    text.bytes().try_for_each(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => to.write_all(&[byte]),
        _ => write!(to, "%{byte:02X}"),
    })
}

/// The inside of a JSON string.
fn json_escaped(text: &str, to: &mut dyn io::Write) -> io::Result<()> {
    let quoted = serde_json::to_string(text)?;
    to.write_all(&quoted.as_bytes()[1..quoted.len() - 1])
}

fn unchanged(text: &str, to: &mut dyn io::Write) -> io::Result<()> {
    to.write_all(text.as_bytes())
}

/// A record with everything in it and one with as little as possible. What an operator may write freely is written
/// so that it is no JSON outside of quotes.
fn samples() -> [InventoryRecord; 2] {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let hostname: Hostname = "sample".parse().expect("a DNS label");
    let fqdn: Fqdn = "sample.lab.example".parse().expect("a DNS name with a domain");
    let least = InventoryRecord {
        host: HostId::new(at, [1; 10]),
        operation: OperationId::new(at, [2; 10]),
        hardware_id: None,
        hostname,
        fqdn,
        ip: Ipv4Addr::new(192, 0, 2, 7).into(),
        macs: Vec::new(),
        server_type: "sample".parse().expect("a server type's key"),
        gpu: None,
    };
    let most = InventoryRecord {
        hardware_id: Some("sample-0001:2".parse().expect("a hardware id")),
        macs: ["52:54:00:00:00:01", "52:54:00:00:00:02"].map(|mac| mac.parse().expect("a MAC address")).into(),
        gpu: Some("\"},{'\\ & <sample> \u{7f}".to_owned()),
        ..least.clone()
    };
    [most, least]
}
