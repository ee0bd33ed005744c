//! The accept loops: TCP for everybody, with or without TLS, and a Unix socket for whoever may open it.
//!
//! axum's own `serve` has neither a limit on how long a request's head may take nor a backlog of our choosing, and it
//! would let whoever opens many connections and says nothing keep out all others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::auth::Peer;
use super::census::{Census, Seat};
use super::farewell::{Installers, Requests};
use super::pace::Paced;

/// Connections that may wait to be accepted: a rack that is switched on at once.
pub(crate) const BACKLOG: i32 = 4096;
/// How long the head of a request may take, and an idle connection be kept.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes: longer ones are answered by 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a TLS handshake may take.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long to rest when the system is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Opens the TCP port.
///
/// # Errors
/// When it is taken, or the address is not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted connections inherit it: machines that lost their power are noticed in the end.
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG.unsigned_abs())
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

/// Where connections come in.
pub enum Door {
    /// From the network, in clear.
    Plain(TcpListener),
    /// From the network, over TLS.
    Tls(TcpListener, TlsAcceptor),
    /// From whoever may open the control socket.
    Control(UnixListener),
}

/// A connection that was accepted.
enum Caller {
    Tcp(TcpStream, SocketAddr, Option<TlsAcceptor>),
    Unix(UnixStream),
}

impl Door {
    async fn accept(&self) -> io::Result<Caller> {
        match self {
            Self::Plain(tcp) => tcp.accept().await.map(|(stream, from)| Caller::Tcp(stream, from, None)),
            Self::Tls(tcp, acceptor) => {
                tcp.accept().await.map(|(stream, from)| Caller::Tcp(stream, from, Some(acceptor.clone())))
            }
            Self::Control(unix) => unix.accept().await.map(|(stream, _)| Caller::Unix(stream)),
        }
    }
}

impl Caller {
    /// Who is counted; the control socket's peers are not.
    fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, from, _) => Some(from.ip().to_canonical()),
            Self::Unix(_) => None,
        }
    }
}

/// Serves a door's connections until `stopping`, then finishes what is under way.
pub async fn serve(door: Door, router: Router, census: Census, stopping: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let installers = Installers::new();
    let mut stop = pin!(stopped(stopping.clone()));
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = door.accept() => match accepted {
                Ok(caller) => {
                    // Nobody is told: whoever holds so many connections open would not listen.
                    let Some(seat) = census.enter(caller.source()) else { continue };
                    let requests = Requests::new(&installers);
                    connections.spawn(hosted(caller, seat, router.clone(), stopping.clone(), requests));
                }
                Err(error) => rest(&error).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(door);
    let finished = async { while connections.join_next().await.is_some() {} };
    if !installers.see_off(finished).await {
        tracing::warn!("stopped with requests under way");
    }
}

/// Waits until the server stops.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the server is gone: stopped as well.
    stopping.wait_for(|stopping| *stopping).await.ok();
}

/// A connection that was given up before it was accepted is nothing; running out of descriptors passes.
async fn rest(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted && error.kind() != io::ErrorKind::ConnectionReset {
        tracing::warn!(%error, "could not accept a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// A connection as long as its seat is not needed by somebody who has more to say.
async fn hosted(caller: Caller, seat: Seat, router: Router, stopping: watch::Receiver<bool>, requests: Requests) {
    let seat = Arc::new(seat);
    let evicted = seat.evicted();
    let life = async {
        match caller {
            Caller::Unix(stream) => connection(stream, Peer::Control, &seat, router, stopping, requests).await,
            Caller::Tcp(stream, from, tls) => {
                // Small answers shall not wait for more; a socket that refuses this works all the same.
                stream.set_nodelay(true).ok();
                let peer = Peer::Network(from);
                let Some(tls) = tls else { return connection(stream, peer, &seat, router, stopping, requests).await };
                match tokio::time::timeout(HANDSHAKE_TIME_MAX, tls.accept(stream)).await {
                    Ok(Ok(stream)) => connection(stream, peer, &seat, router, stopping, requests).await,
                    Ok(Err(error)) => tracing::debug!(?peer, %error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(?peer, "a TLS handshake took too long"),
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = evicted => tracing::debug!("an idle connection made room"),
        () = life => {}
    }
}

async fn connection<S>(
    stream: S,
    peer: Peer,
    seat: &Arc<Seat>,
    router: Router,
    stopping: watch::Receiver<bool>,
    requests: Requests,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let requests = Arc::new(requests);
    let asked = Arc::clone(&requests);
    let service = service_fn(move |request: Request<Incoming>| {
        asked.begin(request.uri().path());
        let busy = seat.busy();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let (router, asked) = (router.clone(), Arc::clone(&asked));
        async move {
            let response = router.oneshot(request).await;
            asked.end();
            response.map(|response| response.map(|body| Body::new(busy.until_sent(body))))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).max_buf_size(HEAD_BYTES_MAX);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(Paced::new(stream)), service));
    let mut farewell = pin!(async {
        stopped(stopping).await;
        requests.may_close().await;
    });
    let outcome = tokio::select! {
        biased;
        outcome = &mut serving => outcome,
        () = &mut farewell => {
            // A connection that has not asked would be closed by this at once: it had its time to ask.
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(?peer, %error, "a connection ended early");
    }
}
