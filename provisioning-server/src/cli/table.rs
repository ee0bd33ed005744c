//! Lists for the terminal.

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

/// Prints JSON for programs.
pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
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
