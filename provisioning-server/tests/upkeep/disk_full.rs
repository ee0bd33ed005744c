//! A disk that runs full under a running server, and room again: nothing is half-done, and all goes on by itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use provisioning_server::wire::upkeep::examine_database;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use super::site::{Site, has_namespaces};

const TOKEN: &str = "operators-token-of-the-upkeep-tests";
const PATIENCE: Duration = Duration::from_secs(40);
const MAC: &str = "52:54:00:00:00:01";

/// A server whose data directory is a file system of its own, of 12 MiB.
struct Server {
    child: Child,
    site: Site,
    http: Client,
}

impl Server {
    /// On a file system in memory.
    async fn start() -> Self {
        Self::start_on("mount -t tmpfs -o size=12m,mode=700 tmpfs data").await.expect("memory can be mounted")
    }

    /// On what `mount` puts over the data directory; `None` when the machine cannot do that.
    async fn start_on(mount: &str) -> Option<Self> {
        let site = Site::new();
        site.reconfigure("credentials:", &format!("auth:\n  admin_token: {TOKEN}\ncredentials:"));
        let script = format!(
            "{{ {mount}; }} > /dev/null 2>&1 || {{ echo cannot mount > log; exit; }}; chmod 700 data; exec {} serve 2> log",
            env!("CARGO_BIN_EXE_provisioning")
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).current_dir(site.dir.path()).stdin(Stdio::null());
        let server = Self { child: command.spawn().unwrap(), site, http: Client::new() };
        server.until(async || ["serving", "cannot mount"].iter().any(|word| server.log().contains(word))).await;
        (!server.log().contains("cannot mount")).then_some(server)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.site.dir.path().join("log")).unwrap_or_default()
    }

    /// A file of its data directory, which only it and its process see.
    fn data(&self, file: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(self.site.data(file).strip_prefix("/").unwrap())
    }

    async fn until(&self, so: impl AsyncFn() -> bool) {
        let mut ticks = interval(Duration::from_millis(50));
        let waiting = async {
            while !so().await {
                ticks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, waiting).await.is_ok(), "it never came to it: {}", self.log());
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = format!("http://127.0.0.1:{}{path}", self.site.port);
        let mut request = self.http.request(method, url).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn register(&self, n: u16) -> Response {
        let mac = if n == 1 { MAC.to_owned() } else { format!("52:54:00:01:{:02x}:{:02x}", n >> 8, n & 0xff) };
        let host = json!({ "hostname": format!("pve-{n:04}"), "mac": mac, "server_type": "lab" });
        self.call(Method::POST, "/api/hosts", Some(host)).await
    }

    /// Leaves no byte of room.
    fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.data("fill")).unwrap();
        for size in [1 << 20, 1 << 16, 1 << 12] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    async fn phase(&self, host: &str) -> String {
        let host: Value = self.call(Method::GET, &format!("/api/hosts/{host}"), None).await.json().await.unwrap();
        host["phase"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGKILL).ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn a_full_disk_holds_everybody_and_room_lets_them_go_on() {
    if !has_namespaces() {
        return;
    }
    let server = Server::start().await;
    let iso = fs::read(server.site.dir.path().join("small.iso")).unwrap();
    let import = async || {
        let request = server.http.post(format!("http://127.0.0.1:{}/api/images", server.site.port)).bearer_auth(TOKEN);
        request.header("content-type", "application/octet-stream").body(iso.clone()).send().await.unwrap()
    };
    assert_eq!(import().await.status(), StatusCode::CREATED);
    assert_eq!(server.register(1).await.status(), StatusCode::CREATED);
    let rebuilt = server.call(Method::POST, "/api/hosts/pve-0001/rebuild", Some(json!({}))).await;
    assert!(rebuilt.status().is_success(), "{}", rebuilt.text().await.unwrap());

    server.fill();
    // What the write-ahead log has room for goes on.
    let (mut last, mut n) = (server.register(2).await, 2);
    while last.status() == StatusCode::CREATED {
        n += 1;
        assert!(n < 5_000, "the disk is full at some time");
        last = server.register(n).await;
    }
    assert_eq!(last.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(last.headers().contains_key("retry-after"));
    let problem: Value = last.json().await.unwrap();
    assert_eq!(problem["type"], "/api/problems/not-writable");
    assert!(problem["detail"].as_str().unwrap().contains("the disk is full"), "{problem}");
    assert!(problem["what_to_do"].as_str().unwrap().contains("make room"), "{problem}");

    let script = server.call(Method::GET, &format!("/ipxe/{MAC}"), None).await;
    assert_eq!(script.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(script.headers().contains_key("retry-after"), "iPXE asks again");
    assert_eq!(server.phase("pve-0001").await, "pxe_ready", "and reading goes on");
    let parts = || fs::read_dir(server.data("images")).unwrap().count();
    let refused = server.http.post(format!("http://127.0.0.1:{}/api/images", server.site.port)).bearer_auth(TOKEN);
    let refused = refused.header("content-type", "application/octet-stream").body(other_iso(&server.site)).send().await;
    assert_eq!(refused.unwrap().status(), StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(parts(), 1, "nothing is left of an import that found no room");

    fs::remove_file(server.data("fill")).unwrap();
    server.until(async || server.register(n).await.status() == StatusCode::CREATED).await;
    let script = server.call(Method::GET, &format!("/ipxe/{MAC}"), None).await;
    assert_eq!(script.status(), StatusCode::OK);
    assert_eq!(server.phase("pve-0001").await, "pxe_booted");
    let page: Value = server.call(Method::GET, "/api/hosts?limit=1000", None).await.json().await.unwrap();
    assert!(
        page["hosts"].as_array().unwrap().len().min(999) == usize::from(n).min(999),
        "those that were told so are there"
    );
    assert_eq!(examine_database(&server.data("provisioning.db")).unwrap().damage, None);
    let log = server.log();
    assert_eq!(log.matches("the database takes no writes: the disk is full").count(), 1, "it is said once: {log}");
    assert!(log.contains("the database takes writes again"), "{log}");
}

/// Another image, of some size.
fn other_iso(site: &Site) -> Vec<u8> {
    use provisioning_sim::real::iso::{IsoOptions, write_file};
    let path = site.dir.path().join("other.iso");
    write_file(&IsoOptions { filler_bytes: 4 << 20, ..IsoOptions::default() }, &path).unwrap();
    fs::read(path).unwrap()
}

/// What a kernel does with a disk that fails: the file system becomes read-only under its users.
#[tokio::test]
async fn a_disk_that_becomes_read_only_is_told_as_that_and_reading_goes_on() {
    if !has_namespaces() {
        return;
    }
    let mount = "truncate -s 24M disk && mkfs.ext4 -q disk && mount -o loop disk data";
    let Some(server) = Server::start_on(mount).await else {
        return eprintln!("NOT CHECKED on a disk of its own: this needs a loop device and ext4");
    };
    assert_eq!(server.register(1).await.status(), StatusCode::CREATED);
    let abort = format!("mount -o remount,abort {}", server.site.data("").display());
    let pid = server.child.id().to_string();
    let entered = Command::new("nsenter").args(["-t", &pid, "-m", "sh", "-c", &abort]).status().unwrap();
    assert!(entered.success());
    let refused = server.register(2).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["type"], "/api/problems/not-writable");
    assert!(problem["detail"].as_str().unwrap().contains("the file system is read-only"), "{problem}");
    assert!(problem["what_to_do"].as_str().unwrap().contains("mount it for writing"), "{problem}");
    assert_eq!(server.phase("pve-0001").await, "registered", "reading goes on");
}

#[test]
fn a_read_only_disk_is_named_at_the_start_and_nothing_is_changed() {
    if !has_namespaces() {
        return;
    }
    let site = Site::new();
    let script = format!(
        "mount --bind data data && mount -o remount,ro,bind data && exec {} serve",
        env!("CARGO_BIN_EXE_provisioning")
    );
    let output =
        Command::new("unshare").args(["-m", "sh", "-c", &script]).current_dir(site.dir.path()).output().unwrap();
    let said = super::site::text(&output);
    assert!(!output.status.success() && said.contains("Read-only file system"), "{said}");
    assert!(said.contains(&*Path::new("data").to_string_lossy()), "{said}");
}
