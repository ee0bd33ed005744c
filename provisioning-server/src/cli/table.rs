//! Lists and values for the terminal.

use std::io::{self, Write as _};

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

/// Prints rows of an API's list below their titles; `columns` are pairs of title and field.
pub(super) fn print(rows: &[Value], columns: &[(&str, &str)]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        table.add_row(columns.iter().map(|(_, field)| cell(row.get(field))));
    }
    writeln!(io::stdout().lock(), "{table}")
}

/// Prints fields of one thing, a line each; absent ones are left out.
pub(super) fn print_fields(thing: &Value, fields: &[(&str, &str)]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (title, field) in fields {
        match thing.get(field) {
            None | Some(Value::Null) => {}
            value => writeln!(out, "{title:<13} {}", cell(value))?,
        }
    }
    Ok(())
}

/// Prints JSON for programs.
pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// Prints a line.
pub(super) fn say(line: impl AsRef<str>) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{}", line.as_ref())?;
    Ok(())
}

/// A field's text.
pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or("?").to_owned()
}

/// A name as part of a URL: what no name has is percent-encoded, so that it cannot become another path.
pub(super) fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(" "),
        Some(Value::Object(object)) => cell(object.get("message").or(object.get("error"))),
        Some(other) => other.to_string(),
    }
}
