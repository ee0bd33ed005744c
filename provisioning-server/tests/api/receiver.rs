//! A service that is told of events, and that fails, sleeps or redirects as it is bidden.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the service does with a message.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    Takes,
    Fails,
    /// Answers nothing, for ever.
    Sleeps,
    Redirects(String),
}

/// A message that was taken.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signature: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

#[derive(Clone)]
struct Desk {
    manner: Arc<Mutex<Manner>>,
    taken: mpsc::UnboundedSender<Received>,
    tries: watch::Sender<u32>,
}

/// The service; it ends with its test.
pub(crate) struct Receiver {
    base: String,
    manner: Arc<Mutex<Manner>>,
    taken: mpsc::UnboundedReceiver<Received>,
    tries: watch::Receiver<u32>,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let manner = Arc::new(Mutex::new(manner));
        let (sender, taken) = mpsc::unbounded_channel();
        let (counter, tries) = watch::channel(0);
        let desk = Desk { manner: Arc::clone(&manner), taken: sender, tries: counter };
        let router = Router::new().route("/{*path}", post(receive)).with_state(desk);
        let serving = tokio::spawn(async move { axum::serve(listener, router.into_make_service()).await.unwrap() });
        Self { base, manner, taken, tries, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// From now on it does this.
    pub(crate) fn now(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The next messages that it takes.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Received> {
        let mut received = vec![];
        while received.len() < count {
            let next = timeout(PATIENCE, self.taken.recv()).await;
            received.push(next.unwrap_or_else(|_| panic!("only {received:#?}")).unwrap());
        }
        received
    }

    /// Waits until so many further messages came that it did not take.
    pub(crate) async fn tries(&self, count: u32) {
        let mut tries = self.tries.clone();
        let begun = *tries.borrow();
        timeout(PATIENCE, tries.wait_for(|tries| *tries >= begun + count)).await.unwrap().unwrap();
    }

    /// Whether nothing came that it took.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.taken.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let manner = desk.manner.lock().unwrap().clone();
    if !matches!(manner, Manner::Takes) {
        desk.tries.send_modify(|tries| *tries += 1);
    }
    match manner {
        Manner::Takes => {
            let text = |name: &str| headers[name].to_str().unwrap().to_owned();
            let received = Received {
                id: text("webhook-id"),
                timestamp: text("webhook-timestamp").parse().unwrap(),
                signature: text("webhook-signature"),
                text: String::from_utf8(body.to_vec()).unwrap(),
                body: serde_json::from_slice(&body).unwrap(),
            };
            desk.taken.send(received).ok();
            StatusCode::OK.into_response()
        }
        Manner::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Manner::Sleeps => std::future::pending().await,
        Manner::Redirects(to) => Redirect::temporary(&to).into_response(),
    }
}
