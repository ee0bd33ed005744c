//! `provisioning image …`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::client::{Chunks, Client, Payload};
use super::{Connection, table};

/// Bytes that are read and sent at once.
const CHUNK: usize = 256 * 1024;

#[derive(Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Import a stock Proxmox VE ISO, 8.2 or newer.
    #[command(after_help = "Examples:
  provisioning image import proxmox-ve_9.2-1.iso
  PROVISIONING_TOKEN=… provisioning image import proxmox-ve_9.2-1.iso --server http://10.0.0.2:8080")]
    Import {
        /// The ISO file.
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the imported images, the latest first.
    #[command(after_help = "Example:\n  provisioning image list --json")]
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: ImageCommand) -> anyhow::Result<()> {
    match command {
        ImageCommand::Import { file, connection } => import(&file, &connection).await,
        ImageCommand::List { json, connection } => list(json, &connection).await,
    }
}

async fn import(path: &Path, connection: &Connection) -> anyhow::Result<()> {
    let file = tokio::fs::File::open(path).await.with_context(|| path.display().to_string())?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        bail!("{} is no file", path.display());
    }
    let client = Client::open(connection).await?;
    let bar = ProgressBar::new(metadata.len());
    bar.set_style(ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")?);
    let progress = bar.clone();
    let chunks: Chunks = ReaderStream::with_capacity(file, CHUNK)
        .inspect(move |chunk| progress.inc(chunk.as_ref().map_or(0, |bytes| bytes.len() as u64)))
        .boxed();
    let answer = client.post("/api/images", Payload::File { chunks, length: metadata.len() }).await;
    bar.finish_and_clear();
    let image = answer?;
    let text = |key: &str| image.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let mut out = io::stdout().lock();
    writeln!(out, "{} (release {}) is ready to be installed", text("name"), text("release"))?;
    writeln!(out, "  id      {}", text("id"))?;
    writeln!(out, "  sha256  {}", text("sha256"))?;
    Ok(())
}

async fn list(json: bool, connection: &Connection) -> anyhow::Result<()> {
    let answer = Client::open(connection).await?.get("/api/images").await?;
    if json {
        return table::print_json(&answer);
    }
    let images = answer.get("images").and_then(Value::as_array).cloned().unwrap_or_default();
    let columns =
        [("NAME", "name"), ("RELEASE", "release"), ("BYTES", "size_bytes"), ("IMPORTED", "imported_at"), ("ID", "id")];
    table::print(&images, &columns)?;
    Ok(())
}
