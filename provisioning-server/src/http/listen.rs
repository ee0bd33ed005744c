//! The accept loops: TCP for everybody, a Unix socket for whoever may open it.
//!
//! axum's own `serve` has neither a limit on how long a request's head may take nor a backlog of our choosing.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::auth::Peer;

/// Connections that may wait to be accepted: a rack that is switched on at once.
const BACKLOG: u32 = 4096;
/// How long the head of a request may take, and an idle connection be kept.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long requests under way are waited for when the server stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// How long to rest when the system is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the TCP port.
///
/// # Errors
/// When it is taken, or the address is not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Opens the control socket, for this user alone. A file that a dead server has left is replaced: call it only while
/// the data directory is locked.
///
/// # Errors
/// When the directory cannot be written to.
pub fn bind_control(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;

    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves connections of both kinds until `stopping`, then finishes what is under way.
pub async fn serve(tcp: TcpListener, control: Option<UnixListener>, router: Router, stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stop = pin!(stopped(stopping.clone()));
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = tcp.accept() => match accepted {
                Ok((stream, address)) => {
                    // Small answers shall not wait for more; a socket that refuses this works all the same.
                    stream.set_nodelay(true).ok();
                    connections.spawn(connection(stream, Peer::Network(address), router.clone(), stopping.clone()));
                }
                Err(error) => rest(&error).await,
            },
            accepted = accept_control(control.as_ref()) => match accepted {
                Ok(stream) => {
                    connections.spawn(connection(stream, Peer::Control, router.clone(), stopping.clone()));
                }
                Err(error) => rest(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop((tcp, control));
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIME_MAX, finished).await.is_err() {
        tracing::warn!("stopped with requests under way");
    }
}

/// Waits until the server stops.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the server is gone: stopped as well.
    stopping.wait_for(|stopping| *stopping).await.ok();
}

async fn accept_control(control: Option<&UnixListener>) -> io::Result<tokio::net::UnixStream> {
    match control {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// A connection that was given up before it was accepted is nothing; running out of descriptors passes.
async fn rest(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted && error.kind() != io::ErrorKind::ConnectionReset {
        tracing::warn!(%error, "could not accept a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

async fn connection<S>(stream: S, peer: Peer, router: Router, stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stop = pin!(stopped(stopping));
    let outcome = tokio::select! {
        biased;
        outcome = &mut serving => outcome,
        () = &mut stop => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(?peer, %error, "a connection ended early");
    }
}
