//! A server's folder, a socket that outlives the server, and the server on it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

/// The operators' token.
pub(crate) const TOKEN: &str = "operators-token-of-the-service-tests";
/// How long a debug build on a busy machine may take to start or to stop.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is killed with the test.
pub(crate) struct Site {
    dir: TempDir,
    pub(crate) address: SocketAddr,
    socket: Option<TcpListener>,
    child: Option<Child>,
}

impl Site {
    /// With a socket that stays open, whatever becomes of the server.
    pub(crate) fn on_a_kept_socket() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut site = Self::at(address);
        site.socket = Some(socket);
        site
    }

    /// On a port that nobody has.
    pub(crate) fn on_a_free_port() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self::at(address)
    }

    fn at(address: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self { dir, address, socket: None, child: None };
        site.write("server-types.yaml", "server_types:\n  lab:\n    boot_disk: sda\n");
        site.configure("", "");
        site
    }

    /// Writes the configuration with more lines in `server` and at the end.
    pub(crate) fn configure(&self, server: &str, more: &str) {
        let address = self.address;
        let scheme = if server.contains("tls:") { "https" } else { "http" };
        let hash = format!("$6$servicetests$./{}", "Kq".repeat(42));
        self.write(
            "provisioning.yaml",
            &format!(
                "server:\n  public_url: {scheme}://{address}\n  listen: {address}\n  data_dir: data\n{server}\
                 credentials:\n  root_password_hash: '{hash}'\nauth:\n  admin_token: {TOKEN}\n{more}"
            ),
        );
    }

    /// Writes a file of the folder, for this user alone.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let mut options = File::options();
        let file = options.create(true).truncate(true).write(true).mode(0o600).open(self.dir.path().join(name));
        std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The program with arguments, in this folder; what it says goes to the end of the log.
    fn program(&self, before: &[&str], args: &[&str]) -> Command {
        let words = [before, &[env!("CARGO_BIN_EXE_provisioning")], args].concat();
        let mut command = Command::new(words[0]);
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        command.args(&words[1..]).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    /// `serve`, ready to be started: on the kept socket, as a service manager does it, if there is one.
    pub(crate) fn serve(&self) -> Command {
        let Some(socket) = &self.socket else { return self.program(&[], &["serve"]) };
        // Descriptor 3 and the process's own number: what only the process itself can set up.
        let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$; export LISTEN_PID; exec \"$@\"";
        let mut command = self.program(&["sh", "-c", script, "sh"], &["serve"]);
        command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "main");
        command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        command
    }

    /// `serve` through another program that comes before it.
    pub(crate) fn serve_by(&self, before: &[&str]) -> Command {
        self.program(before, &["serve"])
    }

    /// Starts `serve`; does not wait for it.
    pub(crate) fn start(&mut self) {
        let command = self.serve();
        self.run(command);
    }

    pub(crate) fn run(&mut self, mut command: Command) {
        self.child = Some(command.spawn().unwrap());
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the server runs");
        kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Sends a signal and waits until the server has ended.
    pub(crate) async fn end(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.ended().await
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        let mut looks = interval(Duration::from_millis(20));
        let ended = async {
            loop {
                looks.tick().await;
                if let Some(status) = child.try_wait().unwrap() {
                    return status;
                }
            }
        };
        timeout(PATIENCE, ended).await.expect("the server ends")
    }

    /// Waits until the log says it.
    pub(crate) async fn says(&self, text: &str) {
        let mut looks = interval(Duration::from_millis(50));
        let said = async {
            while !self.log().contains(text) {
                looks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, said).await.is_ok(), "the server does not say {text:?}: {}", self.log());
    }

    fn log_file(&self) -> PathBuf {
        self.path().join("log")
    }

    /// Everything that the server has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Asks the API; the answer must be of this status.
    pub(crate) async fn api(
        &self,
        client: &Client,
        method: Method,
        path: &str,
        body: &Value,
        status: StatusCode,
    ) -> Value {
        let request = client.request(method, self.url(path)).bearer_auth(TOKEN).json(body);
        let answer = request.send().await.unwrap();
        let found = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(found, status, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// Uploads an image and arms so many hosts; their MACs.
    pub(crate) async fn with_armed_hosts(&self, client: &Client, hosts: u16) -> Vec<String> {
        let upload = client.post(self.url("/api/images")).bearer_auth(TOKEN);
        let upload = upload.header("content-type", "application/octet-stream").body(crate::lab::small_iso());
        assert_eq!(upload.send().await.unwrap().status(), StatusCode::CREATED);
        let mut macs = vec![];
        for number in 0..hosts {
            let mac = format!("52:54:00:00:{:02x}:{:02x}", number >> 8, number & 0xff);
            let host = json!({ "hostname": format!("pve-{number:03}"), "mac": mac, "server_type": "lab" });
            self.api(client, Method::POST, "/api/hosts", &host, StatusCode::CREATED).await;
            let rebuild = format!("/api/hosts/pve-{number:03}/rebuild");
            self.api(client, Method::POST, &rebuild, &json!({}), StatusCode::ACCEPTED).await;
            macs.push(mac);
        }
        macs
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A client that opens a connection for each request, as firmware and installers do.
pub(crate) fn one_shot() -> Client {
    Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap()
}
