//! A server that refuses every key and leaves no other way in, which OpenSSH never says in these words.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use provisioning_core::ports::KeyPair;
use russh::keys::PrivateKey;
use russh::server::{Config, Handler, run_stream};
use russh::{MethodKind, MethodSet};
use tokio::net::TcpListener;

struct Refusing;

impl Handler for Refusing {
    type Error = russh::Error;
}

/// Serves one connection with the host key given.
pub(crate) async fn serve_one(host_key: &KeyPair) -> SocketAddr {
    let config = Arc::new(Config {
        keys: vec![PrivateKey::from_openssh(host_key.private.expose()).unwrap()],
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::ZERO,
        ..Config::default()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        run_stream(config, stream, Refusing).await?.await
    });
    address
}
