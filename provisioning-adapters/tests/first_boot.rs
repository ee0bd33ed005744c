//! The first-boot script, run by a real shell against an HTTP server on loopback, by each of the programs that it can
//! send with.
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use provisioning_core::model::{BootToken, HostId, OperationId, PhoneHome, Timestamp};
use provisioning_core::render::{FirstBootScript, first_boot_script};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What the script calls besides the program that sends.
const TOOLS: [&str; 10] = ["awk", "cat", "getent", "ip", "mktemp", "openssl", "rm", "sed", "sh", "tr"];

#[derive(Debug)]
struct Received {
    line: String,
    authorization: String,
    content_type: String,
    body: String,
}

#[derive(Default)]
struct Memory {
    received: Vec<Received>,
    /// How many requests are still to be answered by 503.
    refusals: usize,
}

type Shared = Arc<Mutex<Memory>>;

async fn phone_home(State(memory): State<Shared>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name| parts.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let mut memory = memory.lock().unwrap();
    memory.received.push(Received {
        line: format!("{} {}", parts.method, parts.uri),
        authorization: header("authorization"),
        content_type: header("content-type"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    match memory.refusals.checked_sub(1) {
        Some(left) => {
            memory.refusals = left;
            StatusCode::SERVICE_UNAVAILABLE
        }
        None => StatusCode::OK,
    }
}

/// A booted host: a directory with the script and its tools, among them one that sends.
struct Booted {
    directory: TempDir,
    memory: Shared,
    token: BootToken,
    host: HostId,
}

impl Booted {
    async fn with(sender: &str) -> Self {
        let memory = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let public_url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let app = Router::new().fallback(phone_home).with_state(memory.clone());
        tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });

        let at = Timestamp::from_millis(1_700_000_000_000);
        let token = BootToken::new(OperationId::new(at, [1; 10]), [2; 16]);
        let host = HostId::new(at, [3; 10]);
        let text = first_boot_script(&FirstBootScript { public_url: &public_url, host, token: &token });
        let booted = Self { directory: tempfile::tempdir().unwrap(), memory, token, host };
        fs::create_dir(booted.path("bin")).unwrap();
        for tool in TOOLS {
            symlink(program(tool), booted.path("bin").join(tool)).unwrap();
        }
        booted.install("proxmox-first-boot", &text);
        // Waits are counted, not waited for; and whoever sends leaves its command line behind.
        booted.install("bin/sleep", "#!/bin/sh\necho \"$1\" >>\"${0%/bin/sleep}/waits\"\n");
        let recorded = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >>\"${{0%/bin/*}}/arguments\"\nexec {} \"$@\"\n",
            program(sender).display()
        );
        booted.install(&format!("bin/{sender}"), &recorded);
        booted
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn install(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Runs the script as systemd does: directly, with an argument, and hardly any environment.
    async fn boot(&self) -> Output {
        let mut script = tokio::process::Command::new(self.path("proxmox-first-boot"));
        script.arg("fully-up").env_clear().env("PATH", self.path("bin")).env("TMPDIR", self.directory.path());
        script.output().await.unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Names of what lies beside the script; temporary files would.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn program(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is missing from this machine: install the Debian package that has it"))
}

async fn is_heard_after_a_busy_answer(sender: &str) {
    let booted = Booted::with(sender).await;
    booted.memory.lock().unwrap().refusals = 1;
    let output = booted.boot().await;
    assert!(output.status.success(), "{output:?}");

    let received = std::mem::take(&mut booted.memory.lock().unwrap().received);
    assert_eq!(received.len(), 2, "once in vain, then once and no more");
    assert_eq!(booted.read("waits"), "10\n");
    for request in &received {
        assert_eq!(request.line, format!("POST /api/hosts/{}/phone-home", booted.host));
        assert_eq!(request.authorization, format!("Bearer {}", booted.token.expose()));
        assert_eq!(request.content_type, "application/json");
        let said = PhoneHome::from_json(request.body.as_bytes()).expect("the server can read it");
        assert_eq!(said.ip, "127.0.0.1".parse::<std::net::IpAddr>().unwrap());
    }
    assert!(!booted.read("arguments").contains(&booted.token.expose()), "{}", booted.read("arguments"));
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains(&booted.token.expose()), "the journal tells no token");
    assert_eq!(booted.left(), ["arguments", "bin", "waits"], "the script and its files are gone");
}

#[tokio::test]
async fn curl_is_heard_after_a_busy_answer() {
    is_heard_after_a_busy_answer("curl").await;
}

#[tokio::test]
async fn wget_is_heard_after_a_busy_answer() {
    is_heard_after_a_busy_answer("wget").await;
}

#[tokio::test]
async fn perl_is_heard_after_a_busy_answer() {
    is_heard_after_a_busy_answer("perl").await;
}

#[tokio::test]
async fn a_server_that_never_listens_leaves_the_script_for_the_next_boot() {
    let booted = Booted::with("curl").await;
    booted.memory.lock().unwrap().refusals = usize::MAX;
    let output = booted.boot().await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the provisioning server was not reached"));
    assert_eq!(booted.memory.lock().unwrap().received.len(), 60);
    assert_eq!(booted.read("waits"), "10\n".repeat(59), "ten minutes in all");
    assert_eq!(booted.left(), ["arguments", "bin", "proxmox-first-boot", "waits"]);
    booted.memory.lock().unwrap().refusals = 0;
    assert!(booted.boot().await.status.success());
    assert!(!booted.path("proxmox-first-boot").exists());
}
