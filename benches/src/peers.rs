//! Peers that are programs of our own in other languages, built or installed when they are needed.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::nginx::free_port;
use crate::process::Process;

/// What the Python peer is made of.
const PYTHON_PACKAGES: [&str; 2] = ["fastapi==0.115.6", "uvicorn==0.34.0"];

/// A peer that listens.
#[derive(Debug)]
pub struct Peer {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A plain hub for event streams in Go (`peers/hub.go`).
///
/// # Errors
/// When Go is not installed, or it does not start.
pub fn go_hub() -> anyhow::Result<Peer> {
    let program = made_in()?.join("hub");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(source("hub.go")).env("GO111MODULE", "off");
    run(&mut build).context("the peer for event streams needs Go: apt-get install golang-go")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    start(Command::new(program).arg(address.to_string()), address)
}

/// A server of answer files in Python (`peers/answers.py`), in an environment of its own.
///
/// # Errors
/// When Python or its packages can not be had, or it does not start.
pub fn python_answers() -> anyhow::Result<Peer> {
    let folder = made_in()?.join("python");
    let python = folder.join("bin/python");
    if !folder.join("complete").exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).context("the peer needs Python's venv")?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PYTHON_PACKAGES))
            .context("the peer's packages can not be installed")?;
        std::fs::write(folder.join("complete"), PYTHON_PACKAGES.join("\n"))?;
    }
    let port = free_port()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    start(Command::new(&python).arg(source("answers.py")).arg(port.to_string()), address)
}

fn start(command: &mut Command, address: SocketAddr) -> anyhow::Result<Peer> {
    let log = made_in()?.join("peer.log");
    Ok(Peer { process: Process::start(command, address, &log)?, address })
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?} can not be started"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

fn made_in() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/peers");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} can not be made", folder.display()))?;
    Ok(folder)
}
