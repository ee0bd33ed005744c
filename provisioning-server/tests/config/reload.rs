//! `server-types.yaml` is taken up while the server runs, however it is edited; a bad edit changes nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::program::{Serving, configured, provisioning};

const TOKEN: &str = "a-token-for-the-tests-of-reloading";
const ANEW: &str = "read the server types anew";
const KEPT: &str = "kept the server types as they were";

/// A file with these hardware classes.
fn classes(names: &[&str]) -> String {
    let classes: Vec<String> = names.iter().map(|name| format!("  {name}:\n    boot_disk: sda\n")).collect();
    format!("server_types:\n{}", classes.concat())
}

/// A running server, and where it answers.
struct Server {
    serving: Serving,
    base: String,
}

impl Server {
    fn start(dir: &Path) -> Self {
        let mut command = provisioning(&["serve"], dir);
        command.env("PROVISIONING__SERVER__LISTEN", "127.0.0.1:0").env("PROVISIONING__AUTH__ADMIN_TOKEN", TOKEN);
        command.env("PROVISIONING__LOGGING__FORMAT", "json");
        let serving = Serving::start(command);
        let line: Value = serde_json::from_str(&serving.logs("\"serving\"")).unwrap();
        let address = line["address"].as_str().unwrap();
        Self { base: format!("http://{address}"), serving }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::Client::new().get(format!("{}{path}", self.base)).bearer_auth(TOKEN).send().await.unwrap()
    }

    /// The keys of the hardware classes in force, and what is wrong with the file.
    async fn in_force(&self) -> (Vec<String>, Vec<String>) {
        let body: Value = self.get("/api/server-types").await.json().await.unwrap();
        let texts = |value: &Value, pick: fn(&Value) -> &Value| {
            value.as_array().unwrap().iter().map(|item| pick(item).as_str().unwrap().to_owned()).collect()
        };
        (texts(&body["server_types"], |item| &item["key"]), texts(&body["faults"], |item| item))
    }
}

#[tokio::test]
async fn each_way_of_editing_is_taken_up_and_a_bad_edit_keeps_the_old() {
    let dir = configured();
    let (path, beside) = (dir.path().join("server-types.yaml"), dir.path().join(".server-types.yaml.swp"));
    let server = Server::start(dir.path());

    fs::write(&path, classes(&["lab", "in-place"])).unwrap();
    server.serving.logs(ANEW);
    assert_eq!(server.in_force().await.0, ["in-place", "lab"]);

    fs::write(&beside, classes(&["lab", "renamed"])).unwrap();
    fs::rename(&beside, &path).unwrap();
    server.serving.logs(ANEW);
    assert_eq!(server.in_force().await.0, ["lab", "renamed"]);

    fs::write(&path, "server_types:\n  lab: { boot_disc: sda }\n").unwrap();
    server.serving.logs(KEPT);
    let (keys, faults) = server.in_force().await;
    assert_eq!(keys, ["lab", "renamed"], "a bad edit changes nothing");
    assert!(faults.iter().any(|fault| fault.contains("did you mean boot_disk?")), "{faults:?}");
    assert!(server.get("/healthz").await.status().is_success());

    fs::remove_file(&path).unwrap();
    assert!(server.serving.logs("there is no such file").contains(KEPT));
    assert_eq!(server.in_force().await.0, ["lab", "renamed"]);

    fs::write(&path, classes(&["made-again"])).unwrap();
    server.serving.logs(ANEW);
    server.serving.logs("in order again");
    let (keys, faults) = server.in_force().await;
    assert_eq!((keys, faults), (vec!["made-again".to_owned()], vec![]));
}

#[tokio::test]
async fn a_volume_of_settings_that_changes_by_a_link_is_taken_up() {
    let dir = configured();
    let path = dir.path().join("server-types.yaml");
    for (version, name) in [("v1", "one"), ("v2", "two")] {
        fs::create_dir(dir.path().join(version)).unwrap();
        fs::write(dir.path().join(version).join("server-types.yaml"), classes(&[name])).unwrap();
    }
    fs::remove_file(&path).unwrap();
    symlink("v1", dir.path().join("..data")).unwrap();
    symlink("..data/server-types.yaml", &path).unwrap();
    let server = Server::start(dir.path());
    assert_eq!(server.in_force().await.0, ["one"]);

    symlink("v2", dir.path().join("..next")).unwrap();
    fs::rename(dir.path().join("..next"), dir.path().join("..data")).unwrap();
    server.serving.logs(ANEW);
    assert_eq!(server.in_force().await.0, ["two"]);
}

#[tokio::test]
async fn a_hang_up_reads_the_file_again() {
    let dir = configured();
    let server = Server::start(dir.path());
    kill(server.serving.pid(), Signal::SIGHUP).unwrap();
    server.serving.logs("the server types are as they were");
    assert_eq!(server.in_force().await.0, ["lab"]);
}
