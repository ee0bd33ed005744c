//! The two files as JSON schemas (draft 2020-12), for editors that complete and check while one types.
//!
//! A schema sees less than the reader: which keys exclude or need each other is said where a schema can say it.

use serde_json::{Map, Value, json};

use super::keys::{Document, Group, Key, Otherwise, Shape};

/// The schema of a file.
pub fn schema(document: Document) -> Value {
    let mut root = object(document, "");
    let (title, about) = match document {
        Document::Main => ("provisioning.yaml", "The configuration of the provisioning server."),
        Document::ServerTypes => ("server-types.yaml", "The hardware classes of the provisioning server."),
    };
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!(title);
    root["description"] = json!(about);
    root["type"] = json!("object");
    root
}

/// What may stand below a key.
fn object(document: Document, above: &str) -> Value {
    let mut properties = Map::new();
    let mut rules: Vec<Value> = vec![];
    let below = |name: &str| name.rsplit_once('.').unwrap_or(("", name)).0 == above;
    for key in document.keys().filter(|key| below(key.name)) {
        add_key(key, &mut properties, &mut rules);
    }
    let mut required = vec![];
    for group in document.groups().iter().filter(|group| !group.name.is_empty() && below(group.name)) {
        let name = group.name.rsplit('.').next().unwrap_or(group.name);
        if name == "*" {
            return classes(document, group);
        }
        if must_be_there(document, group) {
            required.push(name);
        }
        properties.insert(name.to_owned(), described(group, document));
    }
    let mut value = json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        rules.push(json!({ "required": required }));
    }
    if above == "server_types.*" {
        let ways = ["boot_disk", "disk_list", "disk_filter"];
        rules.push(json!({ "oneOf": ways.map(|way| json!({ "required": [way] })) }));
    }
    if !rules.is_empty() {
        value["allOf"] = json!(rules);
    }
    value
}

/// Hardware classes by keys of the operator's own.
fn classes(document: Document, group: &Group) -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": "^[a-z0-9][a-z0-9_-]*$" },
        "additionalProperties": described(group, document),
    })
}

fn described(group: &Group, document: Document) -> Value {
    let mut below = object(document, group.name);
    if must_be_there(document, group) {
        below["type"] = json!("object");
    }
    if group.is_list {
        below["type"] = json!("object");
        return json!({ "type": ["array", "null"], "description": group.about, "items": below });
    }
    below["description"] = json!(group.about);
    below
}

/// Whether a file without this group lacks something.
fn must_be_there(document: Document, group: &Group) -> bool {
    let is_optional_part = group.is_list || group.name.starts_with("server_types.");
    let requires = group.keys.iter().any(|key| key.otherwise == Otherwise::Required);
    (requires && !is_optional_part) || (document == Document::ServerTypes && group.name == "server_types")
}

fn add_key(key: &Key, properties: &mut Map<String, Value>, rules: &mut Vec<Value>) {
    let name = key.last();
    let mut value = of_shape(key.shape);
    value["description"] = json!(key.about);
    match key.otherwise {
        Otherwise::Default(default) => value["default"] = parsed(default),
        Otherwise::Said(words) => value["description"] = json!(format!("{} Without it: {words}.", key.about)),
        Otherwise::Required => {}
    }
    let is_required = key.otherwise == Otherwise::Required;
    if key.shape == Shape::Secret {
        let file = format!("{name}_file");
        let about = format!("The file that holds {name}: {}", key.about);
        let of_file = json!({ "type": ["string", "null"], "description": about, "examples": [key.example] });
        properties.insert(file.clone(), of_file);
        rules.push(json!({ "not": { "type": "object", "required": [name, file] } }));
        if is_required {
            rules.push(json!({ "anyOf": [{ "required": [name] }, { "required": [file] }] }));
        }
    } else {
        value["examples"] = json!([parsed(key.example)]);
        if is_required {
            rules.push(json!({ "required": [name] }));
        }
    }
    properties.insert(name.to_owned(), value);
}

/// What a value may be; nothing behind a key is the same as no key.
fn of_shape(shape: Shape) -> Value {
    match shape {
        Shape::Text("") | Shape::Path | Shape::Secret => json!({ "type": ["string", "null"] }),
        Shape::Text(pattern) => json!({ "type": ["string", "null"], "pattern": pattern }),
        Shape::Word(words) => {
            let words = words.iter().map(|word| json!(word)).chain([Value::Null]);
            json!({ "enum": words.collect::<Vec<_>>() })
        }
        Shape::Truth => json!({ "type": ["boolean", "null"] }),
        Shape::Whole(least, most) => json!({ "type": ["integer", "null"], "minimum": least, "maximum": most }),
        // As loose as the reader: a number and its unit, once or several times.
        Shape::Time => json!({ "type": ["string", "null"], "pattern": "^[0-9P].*[A-Za-z]$" }),
        Shape::List(pattern) => {
            json!({ "type": ["array", "null"], "items": { "type": "string", "pattern": pattern } })
        }
        Shape::Words(words) => json!({ "type": ["array", "null"], "items": { "enum": words } }),
        Shape::Map(pattern) => json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": pattern },
            "additionalProperties": { "type": "string" },
        }),
    }
}

/// A value of the table as JSON.
fn parsed(yaml: &str) -> Value {
    // The reader's own rules: `no` is a keyboard.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(yaml, options).unwrap_or_else(|_| json!(yaml))
}
