//! `docs/configuration.md`: every key on one page, made from the table of keys.

use super::keys::{Document, Group, Key, Otherwise, Shape};

const INTRODUCTION: &str = "\
# Configuration

The server reads two files: `provisioning.yaml`, and `server-types.yaml` beside it. `provisioning config init` writes both,
asking for what it cannot find out; `provisioning check-config` reports every fault at once, with its file, line and key, and
`provisioning check-config --explain` lists what is in force and where it comes from. This page is made from the table that
the server reads its keys by, as are the JSON schemas for editors:

```sh
provisioning config schema > provisioning.schema.json
provisioning config schema --server-types > server-types.schema.json
```

With `# yaml-language-server: $schema=provisioning.schema.json` as the first line of `provisioning.yaml`, many editors complete
and check its keys.

- **Paths** are relative to the folder of `provisioning.yaml`.
- **Times** are a number and its unit, such as `90s`, `20m` or `1h 30m`; at most 720h.
- **Secrets** stand behind their key, or in a file that the key with `_file` behind it names: `admin_token_file`. Such a file
  should be readable by the server's user alone; a last line break is not part of the secret.
- **Environment variables** count more than the file: `server.listen` is `PROVISIONING__SERVER__LISTEN`, with two underscores
  between the parts. A list is one variable with commas. The entries of `notify` cannot be set so.
- **Unknown keys are faults**, in the files and in variables, and so is a key that is written twice.

`server-types.yaml` is taken up while the server runs, when it changes and on SIGHUP; a bad edit changes nothing, and is told
of in the log, on the dashboard and by `GET /api/server-types`. So are the certificate and key of `server.tls`. All else is
read at the start.
";

/// The page.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (document, title) in [(Document::Main, "provisioning.yaml"), (Document::ServerTypes, "server-types.yaml")] {
        page.extend(["\n## ", title, "\n"]);
        for group in document.groups() {
            write_group(&mut page, group);
        }
    }
    page
}

fn write_group(page: &mut String, group: &Group) {
    let title = if group.name.is_empty() { "Other keys" } else { &format!("`{}`", group.name.replace('*', "KEY")) };
    page.extend(["\n### ", title, "\n"]);
    if !group.about.is_empty() {
        page.extend(["\n", group.about, "\n"]);
    }
    if group.keys.is_empty() {
        return;
    }
    page.push_str("\n| key | holds | without it | meaning |\n|---|---|---|---|\n");
    for key in group.keys {
        write_key(page, key);
    }
}

fn write_key(page: &mut String, key: &Key) {
    let name = match key.shape {
        Shape::Secret => format!("`{0}` or `{0}_file`", key.last()),
        _ => format!("`{}`", key.last()),
    };
    let otherwise = match key.otherwise {
        Otherwise::Required => "**required**".to_owned(),
        Otherwise::Default(value) => format!("`{value}`"),
        Otherwise::Said(words) => words.to_owned(),
    };
    let example = match key.shape {
        Shape::Word(_) | Shape::Truth | Shape::Secret => String::new(),
        _ => format!(" Such as `{}`.", key.example),
    };
    let cells = [name, holds(key.shape), otherwise, format!("{}{example}", key.about)];
    page.extend(["| ", &cells.map(|cell| cell.replace('|', "\\|")).join(" | "), " |\n"]);
}

fn holds(shape: Shape) -> String {
    let all = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match shape {
        Shape::Text(_) => "a text".to_owned(),
        Shape::Word(words) => all(words),
        Shape::Truth => "`true`, `false`".to_owned(),
        Shape::Whole(least, most) if most >= 1_000_000 => format!("a whole number from {least}"),
        Shape::Whole(least, most) => format!("a whole number, {least} to {most}"),
        Shape::Time => "a time".to_owned(),
        Shape::Path => "a path".to_owned(),
        Shape::Secret => "a secret".to_owned(),
        Shape::List(_) => "a list of texts".to_owned(),
        Shape::Words(words) => format!("a list of {}", all(words)),
        Shape::Map(_) => "texts below names".to_owned(),
    }
}
