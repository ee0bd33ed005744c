//! The peer for files and small answers: nginx with two workers and `sendfile`, on a folder of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::process::Process;

/// How its files are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `sendfile on; tcp_nopush on;`, as distributions ship it.
    Usual,
    /// What was measured to be its best on this kind of load: small turns, no corking.
    Best,
}

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    /// The processes.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    _dir: TempDir,
}

impl Nginx {
    /// Serves the files of `root`.
    ///
    /// # Errors
    /// When nginx is not installed or does not start.
    pub fn start(root: &Path, setting: Setting) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let sending = match setting {
            Setting::Usual => "tcp_nopush on;",
            Setting::Best => "tcp_nopush off; sendfile_max_chunk 1m;",
        };
        let (dir_text, root) = (dir.path().display(), root.display());
        let config = format!(
            "daemon off; worker_processes 2; pid {dir_text}/pid; error_log {dir_text}/error warn; user root;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; sendfile on; {sending} keepalive_requests 1000000000;\n\
             server {{ listen {address} backlog=4096; root {root}; }} }}\n"
        );
        let file = dir.path().join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command.arg("-p").arg(dir.path()).arg("-c").arg(&file).arg("-e").arg(dir.path().join("error"));
        let process = Process::start(&mut command, address, &dir.path().join("log"))
            .context("nginx is the peer: apt-get install nginx-light")?;
        Ok(Self { process, address, _dir: dir })
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
