//! A real server on loopback, with everything in memory but the images, and a client for it.

use std::sync::Arc;

use provisioning_adapters::ssh::SshShell;
use provisioning_adapters::system::{SystemClock, SystemEntropy};
use provisioning_core::machine::Policy;
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::model::{PasswordHash, ServerType, Site};
use provisioning_core::orchestrator::Ports;
use provisioning_core::ports::{BootServer, NoInventory, NobodyToAsk, PersonAtThePowerButton};
use provisioning_server::config::load_server_types;
use provisioning_server::http::auth::{Access, TokenDigest};
use provisioning_server::http::census::ConnectionLimits;
use provisioning_server::http::listen;
use provisioning_server::http::metrics::Metrics;
use provisioning_server::images::import::ImageStore;
use provisioning_server::netboot::Netboot;
use provisioning_server::notify::Notify;
use provisioning_server::plan_log::PlanLog;
use provisioning_server::server::{Running, Server, Setup};
use provisioning_sim::real::iso::{IsoOptions, build};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The operators' token.
pub(crate) const TOKEN: &str = "prov_a-token-for-tests";

/// A server, and how to talk to it.
pub(crate) struct Lab {
    pub(crate) server: Running,
    pub(crate) base: String,
    pub(crate) client: Client,
    dir: TempDir,
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let status = response.status();
        let header = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let content_type = header.to_owned();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, content_type, body }
    }

    /// That it is this problem, about this field.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, slug: &str, field: Option<&str>) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        assert_eq!(self.body["type"], format!("/api/problems/{slug}"), "{self:?}");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body.get("field").and_then(Value::as_str), field, "{self:?}");
        self
    }
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(Access::Token(TokenDigest::of(TOKEN))).await
    }

    pub(crate) async fn start_with(access: Access) -> Self {
        Self::start_limited(access, ConnectionLimits::default()).await
    }

    pub(crate) async fn start_limited(access: Access, limits: ConnectionLimits) -> Self {
        Self::start_over(access, limits, MemoryStore::new(), Notify::none(), None).await
    }

    /// With so many download slots.
    pub(crate) async fn start_with_slots(slots: usize) -> Self {
        let access = Access::Token(TokenDigest::of(TOKEN));
        Self::start_over(access, ConnectionLimits::default(), MemoryStore::new(), Notify::none(), Some(slots)).await
    }

    /// Over a store that another lab may have had before.
    pub(crate) async fn start_telling(access: Access, store: MemoryStore, notify: Notify) -> Self {
        Self::start_over(access, ConnectionLimits::default(), store, notify, None).await
    }

    /// With another boot server than none.
    pub(crate) async fn start_with_boot_server(boot_server: Arc<dyn BootServer>) -> Self {
        let access = Access::Token(TokenDigest::of(TOKEN));
        let limits = ConnectionLimits::default();
        Self::start_beside(access, limits, MemoryStore::new(), Notify::none(), None, boot_server).await
    }

    async fn start_over(
        access: Access,
        limits: ConnectionLimits,
        store: MemoryStore,
        notify: Notify,
        max_streams: Option<usize>,
    ) -> Self {
        Self::start_beside(access, limits, store, notify, max_streams, Arc::new(PlanLog::default())).await
    }

    async fn start_beside(
        access: Access,
        limits: ConnectionLimits,
        store: MemoryStore,
        notify: Notify,
        max_streams: Option<usize>,
        boot_server: Arc<dyn BootServer>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tcp = listen::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let base = format!("http://{}", tcp.local_addr().unwrap());
        let ports = Ports {
            store: Arc::new(store),
            vault: Arc::new(MemoryVault::default()),
            boot_server,
            shell: Arc::new(SshShell::new()),
            member: Arc::new(NobodyToAsk),
            inventory: Arc::new(NoInventory),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            power: Arc::new(PersonAtThePowerButton),
        };
        let server = Server::new(Setup {
            ports,
            site: site(&base),
            policy: Policy::default(),
            server_types: server_types(&dir),
            images: ImageStore::open(dir.path()).await.unwrap(),
            access: access.into(),
            metrics: Metrics::default(),
            tls: None,
            netboot: Netboot::without_service(dir.path()),
            warnings: vec![],
            notify,
            max_streams,
            max_bandwidth: None,
        });
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { server: server.with_limits(limits).start(tcp, None).unwrap(), base, client, dir }
    }

    /// The folder of its files, boot programs among them.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// A request without an operator's token.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(TOKEN).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).bearer_auth(TOKEN).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    /// Registers a host; its id.
    pub(crate) async fn host(&self, name: &str, mac: &str) -> String {
        let body = json!({ "hostname": name, "mac": mac, "server_type": "lab" });
        let answer = self.post("/api/hosts", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Uploads a small Proxmox ISO.
    pub(crate) async fn upload(&self, bytes: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, "/api/images").bearer_auth(TOKEN);
        self.send(request.header("content-type", "application/octet-stream").body(bytes)).await
    }

    /// Arms a host; the token that its machine finds in the boot script.
    pub(crate) async fn armed(&self, host: &str, mac: &str) -> String {
        if self.get("/api/images").await.body["images"].as_array().unwrap().is_empty() {
            let answer = self.upload(small_iso()).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        }
        let answer = self.post(&format!("/api/hosts/{host}/rebuild"), &json!({})).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        let script = self.get(&format!("/ipxe/{mac}")).await.body;
        let rest = script.as_str().unwrap().split("/boot/").nth(1).unwrap();
        rest.split('/').next().unwrap().to_owned()
    }

    pub(crate) async fn phase(&self, host: &str) -> String {
        self.get(&format!("/api/hosts/{host}")).await.body["phase"].as_str().unwrap().to_owned()
    }

    /// What the journal says of a host, as text.
    pub(crate) async fn journal(&self, host: &str) -> String {
        self.get(&format!("/api/hosts/{host}/journal")).await.body["entries"].to_string()
    }
}

pub(crate) fn small_iso() -> Vec<u8> {
    build(&IsoOptions { filler_bytes: 64 << 10, ..IsoOptions::default() })
}

fn site(base: &str) -> Site {
    let hash: PasswordHash = format!("$6$0123456789abcdef${}", "x".repeat(86)).parse().unwrap();
    Site {
        public_url: base.parse().unwrap(),
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "lab.example".parse().unwrap(),
        country: "at".parse().unwrap(),
        timezone: "Europe/Vienna".parse().unwrap(),
        keyboard: "de".parse().unwrap(),
        mailto: "root@lab.example".parse().unwrap(),
        root_password_hash: hash,
        root_ssh_keys: vec![],
        static_network: None,
        cluster: None,
    }
}

fn server_types(dir: &TempDir) -> Vec<ServerType> {
    let path = dir.path().join("server-types.yaml");
    std::fs::write(&path, "server_types:\n  lab:\n    boot_disk: sda\n").unwrap();
    load_server_types(&path).unwrap()
}
