//! The first-boot script, run by a real shell against an HTTP server on loopback, by each of the programs that it can
//! send with.
#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test itself may")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::serve::Listener;
use provisioning_core::model::{BootToken, CertFingerprint, HostId, OperationId, PhoneHome, Timestamp};
use provisioning_core::render::{FirstBootScript, first_boot_script};
use sha2::Digest as _;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// What the script calls besides the program that sends.
const TOOLS: [&str; 11] = ["awk", "cat", "getent", "ip", "mktemp", "openssl", "rm", "sed", "sh", "timeout", "tr"];

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

/// A certificate of its own for each server, as `server.tls.self_signed` makes one.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    fingerprint: CertFingerprint,
}

impl TlsListener {
    fn over(tcp: TcpListener) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let fingerprint = CertFingerprint::new(sha2::Sha256::digest(made.cert.der()).into());
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.into()], key);
        Self { tcp, acceptor: Arc::new(config.unwrap()).into(), fingerprint }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.tcp.accept().await.unwrap();
            // Whoever only looks at the certificate, or does not like it, hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Booted {
    async fn with(sender: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::against(listener, &url, None, sender)
    }

    /// Against a TLS server, with the certificate that the script was told of: its own, or another one.
    async fn pinning(sender: &str, told: impl FnOnce(CertFingerprint) -> CertFingerprint) -> Self {
        let listener = TlsListener::over(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("https://{}", listener.tcp.local_addr().unwrap());
        let fingerprint = told(listener.fingerprint);
        Self::against(listener, &url, Some(fingerprint), sender)
    }

    fn against(
        listener: impl Listener<Addr = SocketAddr>,
        url: &str,
        tls_fingerprint: Option<CertFingerprint>,
        sender: &str,
    ) -> Self {
        let memory = Shared::default();
        let public_url = url.parse().unwrap();
        let app = Router::new().fallback(phone_home).with_state(memory.clone());
        tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });

        let at = Timestamp::from_millis(1_700_000_000_000);
        let token = BootToken::new(OperationId::new(at, [1; 10]), [2; 16]);
        let host = HostId::new(at, [3; 10]);
        let text =
            first_boot_script(&FirstBootScript { public_url: &public_url, host, token: &token, tls_fingerprint });
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

async fn is_heard_after_a_busy_answer(booted: Booted) {
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
    is_heard_after_a_busy_answer(Booted::with("curl").await).await;
}

#[tokio::test]
async fn wget_is_heard_after_a_busy_answer() {
    is_heard_after_a_busy_answer(Booted::with("wget").await).await;
}

#[tokio::test]
async fn perl_is_heard_after_a_busy_answer() {
    is_heard_after_a_busy_answer(Booted::with("perl").await).await;
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

/// The token goes to the server with the certificate that the script was told of, and to no other.
async fn trusts_one_certificate(sender: &str) {
    is_heard_after_a_busy_answer(Booted::pinning(sender, |own| own).await).await;

    let booted = Booted::pinning(sender, |_| CertFingerprint::new([7; 32])).await;
    let output = booted.boot().await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(booted.memory.lock().unwrap().received.len(), 0, "nothing was sent to a stranger");
    assert!(!booted.read("arguments").contains(&booted.token.expose()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_trusts_the_certificate_that_it_was_told_of() {
    trusts_one_certificate("curl").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wget_trusts_the_certificate_that_it_was_told_of() {
    trusts_one_certificate("wget").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perl_trusts_the_certificate_that_it_was_told_of() {
    trusts_one_certificate("perl").await;
}
