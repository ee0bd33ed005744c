//! `cargo xtask sbom`: what the released program is made of, for those who must know (CycloneDX 1.6, JSON).
//!
//! The same sources give the same bytes: no time and no random number stands in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::shell::Shell;

/// The program that is released.
const PROGRAM: &str = "provisioning-server";
/// The system it is released for; what others would need is not in it.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Where the bill goes.
#[derive(Debug, clap::Args)]
pub(crate) struct SbomArgs {
    /// Write it into this file, instead of to the terminal
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the bill of materials.
///
/// # Errors
/// When cargo does not tell, or the file cannot be written.
pub(crate) fn run(shell: &Shell, args: &SbomArgs) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        return write(shell, out);
    }
    println!("{}", bill_of(shell)?);
    Ok(())
}

/// Writes the bill of materials into a file.
pub(crate) fn write(shell: &Shell, out: &Path) -> anyhow::Result<()> {
    fs::write(out, bill_of(shell)? + "\n").with_context(|| out.display().to_string())
}

fn bill_of(shell: &Shell) -> anyhow::Result<String> {
    let metadata =
        shell.cargo_quietly(&["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM])?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let lock = fs::read_to_string(shell.root().join("Cargo.lock")).context("Cargo.lock")?;
    Ok(serde_json::to_string_pretty(&bill(&metadata, &lock)?)?)
}

/// The bill, of what `cargo metadata` says and of the digests in the lock file.
fn bill(metadata: &Value, lock: &str) -> anyhow::Result<Value> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let program = packages.values().find(|package| package["name"] == PROGRAM);
    let program = *program.with_context(|| format!("cargo metadata knows no {PROGRAM}"))?;
    let digests = digests(lock);
    let (mut seen, mut open) = (BTreeSet::new(), vec![text(&program["id"])]);
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            open.extend(nodes.get(id).into_iter().flat_map(|node| linked(node)));
        }
    }
    let reference = |id: &str| packages.get(id).map(|package| purl(package)).unwrap_or_default();
    let mut components: Vec<Value> = vec![];
    let mut dependencies: Vec<Value> = vec![];
    for id in &seen {
        let package = packages.get(id).with_context(|| format!("cargo metadata does not describe {id}"))?;
        let mut needs: Vec<String> = nodes.get(id).into_iter().flat_map(|node| linked(node)).map(reference).collect();
        needs.sort();
        dependencies.push(json!({ "ref": purl(package), "dependsOn": needs }));
        if package["name"] != PROGRAM {
            components.push(component(package, "library", &digests));
        }
    }
    let by = |field: &'static str| move |value: &Value| text(&value[field]).to_owned();
    components.sort_by_key(by("bom-ref"));
    dependencies.sort_by_key(by("ref"));
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(program, "application", &digests) },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    list.as_array().into_iter().flatten().map(|entry| (text(&entry["id"]), entry)).collect()
}

/// The packages that are linked into a package: neither its tests' nor its build script's.
fn linked(node: &Value) -> impl Iterator<Item = &str> {
    let is_normal = |kind: &Value| kind["kind"].is_null();
    let dependencies = node["deps"].as_array().into_iter().flatten();
    let normal =
        dependencies.filter(move |one| one["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(is_normal)));
    normal.map(|one| text(&one["pkg"]))
}

fn component(package: &Value, kind: &str, digests: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(&package["name"]).to_owned(), text(&package["version"]).to_owned());
    let mut component = json!({
        "type": kind, "bom-ref": purl(package), "name": name, "version": version, "purl": purl(package),
    });
    if let Some(licence) = package["license"].as_str() {
        // Older manifests part alternatives by a slash, which SPDX does not know.
        component["licenses"] = json!([{ "expression": licence.replace('/', " OR ").replace("  ", " ") }]);
    }
    if let Some(about) = package["description"].as_str() {
        component["description"] = json!(about.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    if let Some(digest) = digests.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": digest }]);
    }
    component
}

/// How all the world names a package: `pkg:cargo/serde@1.0.0`.
fn purl(package: &Value) -> String {
    // A plus sign has a meaning of its own there.
    format!("pkg:cargo/{}@{}", text(&package["name"]), text(&package["version"]).replace('+', "%2B"))
}

/// The SHA-256 of each package's archive, by name and version; ours have none.
fn digests(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
        line.map(ToOwned::to_owned)
    };
    let blocks = lock.split("[[package]]");
    blocks
        .filter_map(|block| Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?)))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\nchecksum = \"ab12\"\n\n[[package]]\nname = \"provisioning-server\"\nversion = \"0.1.0\"\n";

    fn metadata() -> Value {
        let dep = |pkg: &str, kind: Value| json!({ "pkg": pkg, "dep_kinds": [{ "kind": kind }] });
        json!({
            "packages": [
                { "id": "s", "name": "provisioning-server", "version": "0.1.0", "license": "Apache-2.0 OR MIT" },
                { "id": "a", "name": "a", "version": "1.0.0+x", "license": "MIT/Apache-2.0", "description": "one\n two" },
                { "id": "b", "name": "b", "version": "2.0.0" },
                { "id": "t", "name": "only-for-tests", "version": "1.0.0" },
            ],
            "resolve": { "nodes": [
                { "id": "s", "deps": [dep("a", Value::Null), dep("t", json!("dev"))] },
                { "id": "a", "deps": [dep("b", Value::Null), dep("t", json!("build"))] },
                { "id": "b", "deps": [] },
                { "id": "t", "deps": [] },
            ] },
        })
    }

    #[test]
    fn the_bill_names_what_is_linked_and_nothing_else() {
        let bill = bill(&metadata(), LOCK).unwrap();
        let names: Vec<&str> = bill["components"].as_array().unwrap().iter().map(|c| text(&c["name"])).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(bill["metadata"]["component"]["purl"], "pkg:cargo/provisioning-server@0.1.0");
        let first = &bill["components"][0];
        assert_eq!(first["purl"], "pkg:cargo/a@1.0.0%2Bx");
        assert_eq!(first["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(first["description"], "one two");
        assert_eq!(first["hashes"][0]["content"], "ab12");
        assert_eq!(
            bill["dependencies"][0],
            json!({ "ref": "pkg:cargo/a@1.0.0%2Bx", "dependsOn": ["pkg:cargo/b@2.0.0"] })
        );
    }

    #[test]
    fn a_workspace_without_the_program_is_refused() {
        let error = bill(&json!({ "packages": [], "resolve": { "nodes": [] } }), "").unwrap_err().to_string();
        assert_eq!(error, "cargo metadata knows no provisioning-server");
    }
}
