//! Requests as no well-behaved client would send them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::lab::Lab;

/// What came back.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A connection to the server.
pub(crate) async fn connect(lab: &Lab) -> TcpStream {
    TcpStream::connect(lab.server.address()).await.unwrap()
}

/// Sends bytes and reads until the server hangs up; `None` when it says nothing.
pub(crate) async fn send(lab: &Lab, bytes: &[u8]) -> Option<RawAnswer> {
    let mut stream = connect(lab).await;
    // The server may hang up before it has read all of it.
    stream.write_all(bytes).await.ok();
    let mut said = vec![];
    stream.read_to_end(&mut said).await.ok();
    let said = String::from_utf8_lossy(&said).into_owned();
    let status = said.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    Some(RawAnswer { status, head: head.to_owned(), body: body.to_owned() })
}

/// A request for a target that is sent as it stands here.
pub(crate) async fn get(lab: &Lab, target: &str, headers: &str) -> Option<RawAnswer> {
    send(lab, format!("GET {target} HTTP/1.1\r\nhost: prov\r\nconnection: close\r\n{headers}\r\n").as_bytes()).await
}
