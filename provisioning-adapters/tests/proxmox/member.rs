//! A member's API on loopback: TLS with a certificate of its own, the two calls, and as much misbehaviour as is asked.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use axum::{Form, Json, Router};
use provisioning_adapters::proxmox::ProxmoxMember;
use provisioning_core::conformance::ClusterMemberFixture;
use provisioning_core::model::{ApiToken, CertFingerprint, MemberAddr, Secret};
use provisioning_core::ports::ClusterStatus;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub(crate) const TOKEN: &str = "provisioning@pve!join=6f1c7a52-1111-4000-8000-93d1a2b3c4d5";
pub(crate) const PASSWORD: &str = "quiet otter & 50% of its nodes=é";
pub(crate) const TICKET: &str = "PVE:root@pam:6562AAAA::c2lnbmF0dXJlKz09";

#[derive(Default)]
pub(crate) struct Memory {
    status: Value,
    pub(crate) requests: Vec<String>,
    refuses: bool,
    silent: bool,
    /// What is answered in place of everything else.
    pub(crate) answers: Option<(u16, String)>,
}

pub(crate) struct Member {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: CertFingerprint,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    memory: Arc<Mutex<Memory>>,
    task: tokio::task::JoinHandle<()>,
}

impl Member {
    pub(crate) async fn start() -> Self {
        let (acceptor, fingerprint) = certified();
        let acceptor = Arc::new(Mutex::new(acceptor));
        let memory = Arc::new(Mutex::new(Memory { status: json!([]), ..Memory::default() }));
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = Tls { tcp, acceptor: Arc::clone(&acceptor) };
        let app = Router::new()
            .route("/api2/json/cluster/status", get(status))
            .route("/api2/json/access/ticket", post(ticket))
            .with_state(Arc::clone(&memory));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, fingerprint, acceptor, memory, task }
    }

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    pub(crate) fn asked_with(&self, token: Option<&str>) -> ProxmoxMember {
        let member: MemberAddr = "127.0.0.1".parse().unwrap();
        let token: Option<ApiToken> = token.map(|token| token.parse().unwrap());
        let adapter = ProxmoxMember::new(&member, self.fingerprint, token.as_ref()).unwrap();
        adapter.with_port(&member, self.address.port())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A certificate for another name than the one that is called: a cluster's names say nothing.
fn certified() -> (TlsAcceptor, CertFingerprint) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["pve1.lab.example".to_owned()]).unwrap();
    let fingerprint = CertFingerprint::new(Sha256::digest(cert.der()).into());
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), fingerprint)
}

struct Tls {
    tcp: TcpListener,
    acceptor: Arc<Mutex<TlsAcceptor>>,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, peer) = self.tcp.accept().await.unwrap();
            let acceptor = self.acceptor.lock().unwrap().clone();
            // Whoever does not like the certificate leaves.
            if let Ok(stream) = acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl ClusterMemberFixture for Member {
    type Member = ProxmoxMember;

    async fn fresh(&self) -> ProxmoxMember {
        self.asked_with(Some(TOKEN))
    }

    fn shows(&self, status: &ClusterStatus) {
        let number = |truth| i64::from(truth);
        let mut entries: Vec<Value> = vec![];
        for (node, id) in status.nodes.iter().zip(1..) {
            entries.push(json!({"id": format!("node/{}", node.name), "ip": node.ip, "level": "", "local": 0,
                "name": node.name, "nodeid": id, "online": number(node.online), "type": "node"}));
        }
        entries.extend(status.name.as_ref().map(|name| {
            json!({"id": "cluster", "name": name, "nodes": status.nodes.len(), "quorate": number(status.quorate),
                "type": "cluster", "version": 3})
        }));
        // The order of the elements is arbitrary.
        entries.reverse();
        self.memory().status = Value::Array(entries);
    }

    fn password(&self) -> Secret<String> {
        Secret::new(PASSWORD.to_owned())
    }

    fn ticket(&self) -> String {
        TICKET.to_owned()
    }

    fn change_certificate(&self) {
        *self.acceptor.lock().unwrap() = certified().0;
    }

    fn requests(&self) -> usize {
        self.memory().requests.len()
    }

    fn refuse_credentials(&self) {
        self.memory().refuses = true;
    }

    fn fall_silent(&self) {
        self.memory().silent = true;
    }
}

async fn status(State(memory): State<Arc<Mutex<Memory>>>, headers: HeaderMap) -> Response {
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let is_ours = token == format!("PVEAPIToken={TOKEN}");
    let data = memory.lock().unwrap().status.clone();
    answer(&memory, format!("status {token}"), is_ours, data).await
}

async fn ticket(State(memory): State<Arc<Mutex<Memory>>>, Form(form): Form<Vec<(String, String)>>) -> Response {
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let is_ours = form.len() == 2 && field("username") == Some("root@pam") && field("password") == Some(PASSWORD);
    let data = json!({"username": "root@pam", "ticket": TICKET, "CSRFPreventionToken": "6562AAAA:x", "cap": {}});
    answer(&memory, format!("ticket {form:?}"), is_ours, data).await
}

async fn answer(memory: &Mutex<Memory>, request: String, is_ours: bool, data: Value) -> Response {
    let (silent, refuses, answers) = {
        let mut memory = memory.lock().unwrap();
        memory.requests.push(request);
        (memory.silent, memory.refuses, memory.answers.clone())
    };
    if silent {
        std::future::pending::<()>().await;
    }
    match answers {
        Some((status, text)) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        None if refuses || !is_ours => (StatusCode::UNAUTHORIZED, Json(json!({"data": null}))).into_response(),
        None => Json(json!({ "data": data })).into_response(),
    }
}
