//! A small inventory service on loopback that remembers what it was sent and answers as it is told.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use provisioning_adapters::infrastructure::{InfrastructureClient, InfrastructureConfig};
use provisioning_core::conformance::InventoryFixture;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Method, path and query.
    pub(crate) line: String,
    headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
        values[0].to_str().unwrap()
    }
}

#[derive(Default)]
struct Memory {
    received: Vec<Received>,
    paths: BTreeSet<String>,
    answer: Option<(u16, String)>,
    silent: bool,
}

type Shared = Arc<Mutex<Memory>>;

pub(crate) struct Service {
    address: SocketAddr,
    memory: Shared,
    task: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let memory = Shared::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(receive).with_state(memory.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, app.into_make_service()).await.unwrap();
        });
        Self { address, memory, task }
    }

    pub(crate) async fn stop(mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.memory().received.clone()
    }

    /// From now on every answer has this status and body.
    pub(crate) fn answers(&self, status: u16, body: &str) {
        self.memory().answer = Some((status, body.to_owned()));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl InventoryFixture for Service {
    type Inventory = InfrastructureClient;

    async fn fresh(&self) -> InfrastructureClient {
        let config = InfrastructureConfig { timeout: Duration::from_secs(3), ..InfrastructureConfig::new(self.url()) };
        InfrastructureClient::new(&config).expect("the configuration is good")
    }

    fn hosts(&self) -> usize {
        self.memory().paths.len()
    }

    fn refuse(&self, words: &str) {
        self.answers(422, words);
    }

    fn fall_silent(&self) {
        self.memory().silent = true;
    }
}

async fn receive(State(memory): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path_and_query().unwrap().to_string();
    let (silent, answer) = {
        let mut memory = memory.lock().unwrap();
        memory.received.push(Received {
            line: format!("{} {path}", parts.method),
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        memory.paths.insert(path);
        (memory.silent, memory.answer.clone())
    };
    if silent {
        std::future::pending::<()>().await;
    }
    let (status, text) = answer.unwrap_or((200, String::new()));
    (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], text).into_response()
}
