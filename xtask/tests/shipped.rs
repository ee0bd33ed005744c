//! What is shipped beside the program (workflows, compose file, image, package) says what it must, and agrees on the version.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const GITHUB: &str = ".github/workflows/ci.yml";
const GITEA: &str = ".gitea/workflows/build.yml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace").to_path_buf()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The workflow's jobs, by name.
fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().expect("a workflow has jobs").iter()
}

fn steps(workflow: &Value) -> impl Iterator<Item = &Value> {
    jobs(workflow).flat_map(|(name, job)| job["steps"].as_array().unwrap_or_else(|| panic!("{name} has steps")))
}

#[test]
fn workflows_read_the_repository_and_nothing_else() {
    for path in [GITHUB, GITEA] {
        let workflow = yaml(path);
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{path}");
        for (name, job) in jobs(&workflow) {
            assert!(job.get("permissions").is_none(), "{path}: {name} takes rights of its own");
            assert!(job["timeout-minutes"].is_u64(), "{path}: {name} may run for ever");
        }
        for step in
            steps(&workflow).filter(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("/checkout@")))
        {
            assert_eq!(step["with"]["persist-credentials"], false, "{path}: a checkout leaves its credentials behind");
        }
    }
}

#[test]
fn actions_are_of_one_release_each() {
    for path in [GITHUB, GITEA] {
        for uses in steps(&yaml(path)).filter_map(|step| step["uses"].as_str()) {
            let release = uses.split_once("@v").map(|(_, release)| release.split('.').collect::<Vec<_>>());
            let numbers = release.unwrap_or_else(|| panic!("{path}: {uses} names no release"));
            assert!(
                numbers.len() == 3 && numbers.iter().all(|n| n.parse::<u32>().is_ok()),
                "{path}: {uses} may change"
            );
        }
    }
}

#[test]
fn a_job_needs_jobs_that_are_there_and_a_step_does_one_thing() {
    for path in [GITHUB, GITEA] {
        let workflow = yaml(path);
        for (name, job) in jobs(&workflow) {
            for need in job["needs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(workflow["jobs"].get(need).is_some(), "{path}: {name} needs {need}, which is not there");
            }
        }
        for step in steps(&workflow) {
            assert!(step["run"].is_string() != step["uses"].is_string(), "{path}: {step}");
        }
    }
}

#[test]
fn every_change_is_checked_and_only_tags_are_pushed() {
    for path in [GITHUB, GITEA] {
        let workflow = yaml(path);
        let runs =
            |command: &str| steps(&workflow).any(|step| step["run"].as_str().is_some_and(|run| run.contains(command)));
        assert!(runs("bash .ci/run") && runs("docker build") && runs("docker push"), "{path}");
        for (name, job) in jobs(&workflow) {
            if job["steps"].to_string().contains("docker push") {
                assert_eq!(job["if"], "startsWith(github.ref, 'refs/tags/v')", "{path}: {name}");
                assert!(job["needs"].to_string().contains("test"), "{path}: {name} pushes what was not checked");
            }
        }
    }
}

#[test]
fn no_registry_is_written_down_and_no_secret_gets_into_a_command_line() {
    for path in [GITHUB, GITEA] {
        for step in steps(&yaml(path)) {
            let run = step["run"].as_str().unwrap_or_default();
            assert!(!run.contains("${{"), "{path}: an expression is pasted into a script: {run}");
            assert!(!run.contains("--password ") && !run.contains("-p "), "{path}: {run}");
        }
        assert!(!text(path).contains(".io/") && text(path).contains("vars.REGISTRY"), "{path}");
    }
}

#[test]
fn the_container_is_given_three_rights_and_no_more() {
    let compose = yaml("docker-compose.yml");
    let service = &compose["services"]["provisioning"];
    assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(service["cap_add"], serde_json::json!(["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW"]));
    assert_eq!(service["read_only"], true);
    assert!(service.get("privileged").is_none());
    let dockerfile = text("Dockerfile");
    assert_eq!(dockerfile.matches("setcap cap_net_bind_service,cap_net_raw,cap_net_admin=p ").count(), 2);
    let last_user = dockerfile.lines().rfind(|line| line.starts_with("USER "));
    assert_eq!(last_user, Some("USER 10001:10001"));
}

#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(text("Dockerfile").matches(&format!("ARG VERSION={version}\n")).count(), 2, "Dockerfile");
    assert!(text("CHANGELOG.md").contains(&format!("\n## [{version}]")), "CHANGELOG.md");
    assert!(
        text("deploy/debian/changelog").starts_with(&format!("provisioning ({version}-1) ")),
        "deploy/debian/changelog"
    );
}

#[test]
fn nothing_gets_into_the_image_that_was_not_asked_for() {
    let ignored = text(".dockerignore");
    let rules: Vec<&str> = ignored.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(rules.first(), Some(&"*"), "everything is left out first");
    assert!(!rules.iter().any(|rule| rule.starts_with("!.git") || *rule == "!."));
}
