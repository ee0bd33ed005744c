//! What a server's log says of its hosts: each line that is about one names it, and its operation.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::history::History;
use crate::server::Server;

/// Our own modules, whose lines are looked at; what libraries say within is told of with the same names, or of nobody.
const OURS: &str = "provisioning_";

/// Reads the log of a server whose fleet came to ready.
pub(crate) fn check(server: &Server, found: &History) {
    let text = std::fs::read_to_string(server.log()).unwrap();
    let lines: Vec<Value> = text.lines().filter(|line| line.starts_with('{')).map(parsed).collect();
    let ours = |line: &&Value| line["target"].as_str().is_some_and(|target| target.starts_with(OURS));
    let names: BTreeMap<String, String> =
        found.hosts.iter().map(|record| (record.host.id.to_string(), record.host.name.to_string())).collect();
    for line in lines.iter().filter(ours) {
        names_whom_it_is_about(line, found, &names);
    }
    for operation in &found.operations {
        let of_it: Vec<&Value> =
            lines.iter().filter(|line| line["operation"] == operation.id.to_string().as_str()).collect();
        let name = &names[&operation.host.to_string()];
        assert!(of_it.iter().all(|line| line["host"] == name.as_str()), "{name}: {of_it:#?}");
        let said = |words: &str| of_it.iter().filter(|line| line["message"] == words).count();
        assert_eq!(said("the host is ready"), 1, "{name}");
        assert!(said("the host moves on") >= 7, "{name}: {of_it:#?}");
        assert!(said("logged in") >= 3, "lines of SSH belong to the operation too");
        assert!(said("answered") >= 5, "so do the requests of its machine");
        let asked = of_it.iter().filter(|line| line["route"] == "/ipxe/{mac}" && line["message"] == "answered");
        assert!(asked.clone().count() >= 1 && asked.clone().all(|line| line["mac"].is_string()), "{name}");
    }
}

/// A line that speaks of a host, in whatever field, has its name in the one where it is looked for; one that speaks of an
/// operation, both.
fn names_whom_it_is_about(line: &Value, found: &History, names: &BTreeMap<String, String>) {
    let text = line.to_string();
    for record in &found.hosts {
        let host = &record.host;
        let mut marks = vec![host.id.to_string()];
        marks.extend(host.macs.iter().map(ToString::to_string));
        if marks.iter().any(|mark| text.contains(mark)) {
            assert_eq!(line["host"], host.name.as_str(), "{line}");
        }
    }
    for operation in &found.operations {
        if text.contains(&operation.id.to_string()) {
            assert_eq!(line["operation"], operation.id.to_string().as_str(), "{line}");
            assert_eq!(line["host"], names[&operation.host.to_string()].as_str(), "{line}");
        }
    }
    let is_about_one = ["work", "event"].iter().any(|name| line.get(*name).is_some());
    assert!(!is_about_one || (line["host"].is_string() && line["operation"].is_string()), "{line}");
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
