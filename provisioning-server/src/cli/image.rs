//! `provisioning image …`

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use futures_util::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::client::{Chunks, Client, Payload};
use super::table::{encoded, say, text};
use super::{Connection, ask, table};

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
        /// The image as JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// List the imported images, the latest first.
    #[command(after_help = "Example:\n  provisioning image list --json")]
    List {
        /// Only images whose name or release holds this text.
        #[arg(long)]
        text: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Remove an image that no running operation installs.
    #[command(after_help = "Example:\n  provisioning image remove proxmox-ve_8.4-1")]
    Remove {
        /// The image's name or id.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) async fn run(command: ImageCommand) -> anyhow::Result<()> {
    match command {
        ImageCommand::Import { file, json, connection } => import(&file, json, &connection).await,
        ImageCommand::List { text, json, connection } => list(text.as_deref(), json, &connection).await,
        ImageCommand::Remove { name, yes, connection } => {
            ask::confirm(&format!("The image {name} will be removed from the server."), yes)?;
            Client::open(&connection).await?.delete(&format!("/api/images/{}", encoded(&name))).await?;
            say(format!("{name} is removed"))
        }
    }
}

async fn import(path: &Path, json: bool, connection: &Connection) -> anyhow::Result<()> {
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
    if json {
        return table::print_json(&image);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{} (release {}) is ready to be installed", text(&image, "name"), text(&image, "release"))?;
    writeln!(out, "  id      {}", text(&image, "id"))?;
    writeln!(out, "  sha256  {}", text(&image, "sha256"))?;
    Ok(())
}

async fn list(text: Option<&str>, json: bool, connection: &Connection) -> anyhow::Result<()> {
    let query = text.map(|text| format!("?text={}", encoded(text))).unwrap_or_default();
    let images: Vec<Value> = Client::open(connection).await?.list("/api/images", &query, "images").await?;
    if json {
        return table::print_json(&json!({ "images": images }));
    }
    let columns =
        [("NAME", "name"), ("RELEASE", "release"), ("BYTES", "size_bytes"), ("IMPORTED", "imported_at"), ("ID", "id")];
    table::print(&images, &columns)?;
    Ok(())
}
