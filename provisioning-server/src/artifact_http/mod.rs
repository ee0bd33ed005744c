//! A small HTTP/1.1 listener for `/boot/…` alone, which sends files by `sendfile` where hyper would copy them.
//!
//! GET and HEAD, ranges and conditions, keep-alive; limits on heads, times and connections. What is answered is
//! decided by the same function as on the main listener ([`crate::http::artifacts::reply`]).

mod head;
mod send;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nix::sys::socket::{Shutdown, shutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use crate::http::App;
use crate::http::artifacts::{Reply, reply};
use crate::http::farewell::{FIRST_REQUEST_MAX, NEXT_REQUEST_MAX};
use crate::http::listen::stopped;
use crate::http::problem::{Kind, Problem};
use crate::http::request_span::{log_answer, request_span};
use head::{HEAD_MAX, RequestHead};

/// Connections at once. A rack of machines has one each; more than this wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long the head of a request may take, and an idle connection be kept.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long downloads under way are waited for when the server stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a client may go on talking after our last word.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// How long to rest when the system is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest text of a refusal, in bytes.
const TEXT_MAX: usize = 64 << 10;

/// What is served: the path itself holds a token, and is not logged.
const ROUTE: &str = "/boot/{token}/{file}";

/// Serves boot artifacts on `tcp` until `stopping`.
pub async fn serve(tcp: TcpListener, app: Arc<App>, stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut stop = pin!(stopped(stopping.clone()));
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            (accepted, place) = accept(&tcp, &places) => match accepted {
                Ok((stream, peer)) => {
                    let (app, stopping) = (Arc::clone(&app), stopping.clone());
                    connections.spawn(async move {
                        connection(stream, peer, &app, stopping).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection for a download");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(tcp);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_TIME_MAX, finished).await.is_err() {
        tracing::warn!("stopped with downloads under way");
    }
}

async fn accept(
    tcp: &TcpListener,
    places: &Arc<Semaphore>,
) -> (io::Result<(TcpStream, SocketAddr)>, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so that a place is all that can come of this.
    let place = Arc::clone(places).acquire_owned().await.ok();
    (tcp.accept().await, place)
}

async fn connection(stream: TcpStream, peer: SocketAddr, app: &App, stopping: watch::Receiver<bool>) {
    // Heads shall not wait for more; a socket that refuses this works all the same.
    stream.set_nodelay(true).ok();
    let mut unread = Vec::new();
    let mut limit = FIRST_REQUEST_MAX;
    loop {
        let stop = async {
            stopped(stopping.clone()).await;
            // Whoever is connected may have asked before we could say that we stop.
            sleep(limit).await;
        };
        let request = tokio::select! {
            biased;
            () = stop => return,
            read = timeout(HEAD_TIME_MAX, read_head(&stream, &mut unread)) => read,
        };
        limit = NEXT_REQUEST_MAX;
        let served = match request {
            Ok(Ok(Some(mut request))) => {
                request.keep_alive &= !*stopping.borrow();
                let span = request_span(request.method.as_str(), ROUTE, Some(peer.ip()));
                answer(&stream, app, &request).instrument(span).await.map(|()| request.keep_alive)
            }
            Ok(Ok(None)) | Err(_) => Ok(false),
            Ok(Err(error)) => Err(error),
        };
        match served {
            Ok(true) => {}
            Ok(false) => return linger(&stream).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "a download's connection ended early");
                return;
            }
        }
    }
}

/// Ends a connection so that the client gets what was sent last: closing it on bytes that were not read would reset
/// it, and the client might lose our answer.
async fn linger(stream: &TcpStream) {
    if shutdown(stream.as_raw_fd(), Shutdown::Write).is_err() {
        return;
    }
    let mut rest = [0; 4096];
    let unread = async {
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut rest) {
                Ok(0) => return,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                _ => {}
            }
        }
    };
    timeout(LINGER_MAX, unread).await.ok();
}

/// The next request's head; `None` when the client has gone or was refused. What came behind it stays in `unread`.
async fn read_head(stream: &TcpStream, unread: &mut Vec<u8>) -> io::Result<Option<RequestHead>> {
    loop {
        match head::parse(unread) {
            Ok(Some(request)) => {
                unread.drain(..request.len);
                return Ok(Some(request));
            }
            Ok(None) => {}
            Err(bad) => {
                let problem = Problem::new(Kind::MalformedRequest, bad.to_string()).into_response();
                refuse(stream, bad.status(), problem, false, true).await?;
                return Ok(None);
            }
        }
        stream.readable().await?;
        let mut chunk = [0; 1024];
        let room = chunk.len().min(HEAD_MAX - unread.len().min(HEAD_MAX)).max(1);
        match stream.try_read(&mut chunk[..room]) {
            Ok(0) => return Ok(None),
            Ok(read) => unread.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn answer(stream: &TcpStream, app: &App, request: &RequestHead) -> io::Result<()> {
    let keep_alive = request.keep_alive;
    let with_text = request.method != Method::HEAD;
    if request.method != Method::GET && request.method != Method::HEAD {
        let problem = Problem::new(Kind::MethodNotAllowed, "a download is made with GET or HEAD").into_response();
        return refuse(stream, problem.status(), problem, keep_alive, with_text).await;
    }
    let Some((token, file)) = request.path.strip_prefix("/boot/").and_then(|rest| rest.split_once('/')) else {
        let problem = Problem::new(Kind::NoSuchPath, "only /boot/… is served on this port").into_response();
        return refuse(stream, problem.status(), problem, keep_alive, with_text).await;
    };
    let began = Instant::now();
    match reply(app, token, file, &request.method, &request.headers).await {
        Ok(Reply { head, download }) => {
            log_answer(head.status, began.elapsed());
            let text = head::render(head.status, &head.headers, keep_alive);
            send::bytes(stream, &text, download.is_some()).await?;
            match download {
                Some(mut download) => {
                    let throttle = download.throttle.as_deref();
                    send::segments(stream, download.artifact.segments(), throttle, &mut *download.counter).await
                }
                None => Ok(()),
            }
        }
        Err(refusal) => {
            let response = refusal.into_response();
            log_answer(response.status(), began.elapsed());
            refuse(stream, response.status(), response, keep_alive, with_text).await
        }
    }
}

/// Sends an answer of a few words.
async fn refuse(
    stream: &TcpStream,
    status: StatusCode,
    response: Response,
    keep_alive: bool,
    with_text: bool,
) -> io::Result<()> {
    let (mut parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, TEXT_MAX).await.map_err(io::Error::other)?;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    let head = head::render(status, &parts.headers, keep_alive);
    send::bytes(stream, &head, with_text).await?;
    if with_text { send::bytes(stream, &text, false).await } else { Ok(()) }
}
