//! The images: whether each ISO is there, and is still what was imported.

use std::io::Read as _;
use std::path::Path;

use indicatif::ProgressBar;
use provisioning_core::model::{Image, Sha256Digest};
use sha2::{Digest as _, Sha256};

use super::Check;
use crate::config::Config;
use crate::wire::upkeep::Examined;

const NAME: &str = "images";
/// Bytes that are read and hashed at once.
const BLOCK: usize = 1 << 20;

pub(super) async fn check(config: &Config, database: Option<&Examined>, quick: bool, progress: &ProgressBar) -> Check {
    let Some(database) = database else { return Check::skipped(NAME, "the database does not tell of them") };
    if database.images.is_empty() {
        let what_to_do = "import a Proxmox VE ISO: provisioning image import FILE";
        return Check::warning(NAME, "no image was imported: no host can be installed", what_to_do);
    }
    let (folder, images) = (config.server.data_dir.join("images"), database.images.clone());
    progress.set_length(if quick { 0 } else { images.iter().map(|image| image.size_bytes).sum() });
    let bar = progress.clone();
    let faults = tokio::task::spawn_blocking(move || {
        let faults = images.iter().filter_map(|image| fault(&folder, image, quick, &bar));
        faults.collect::<Vec<String>>()
    });
    match faults.await {
        Err(error) => Check::failed(NAME, error.to_string(), "run provisioning doctor again"),
        Ok(faults) if faults.is_empty() => {
            let how = if quick { "of the right size" } else { "byte for byte what was imported" };
            Check::ok(NAME, format!("{} images are there, {how}", database.images.len()))
        }
        Ok(faults) => {
            let what_to_do = "import it again: provisioning image import FILE puts the file back in its place";
            Check::failed(NAME, faults.join("; "), what_to_do)
        }
    }
}

/// What is wrong with an image's file.
fn fault(folder: &Path, image: &Image, quick: bool, progress: &ProgressBar) -> Option<String> {
    let (name, path) = (&image.name, folder.join(format!("{}.iso", image.sha256)));
    let size = match std::fs::metadata(&path) {
        Ok(found) => found.len(),
        Err(error) => return Some(format!("{name}: {}: {error}", path.display())),
    };
    if size != image.size_bytes {
        let (path, expected) = (path.display(), image.size_bytes);
        return Some(format!("{name}: {path} has {size} bytes, and {expected} were imported"));
    }
    if quick {
        return None;
    }
    match digest(&path, progress) {
        Ok(found) if found == image.sha256 => None,
        Ok(found) => {
            Some(format!("{name}: {} has the SHA-256 {found}: it was changed since it was imported", path.display()))
        }
        Err(error) => Some(format!("{name}: {} cannot be read: {error}", path.display())),
    }
}

fn digest(path: &Path, progress: &ProgressBar) -> std::io::Result<Sha256Digest> {
    let (mut file, mut block, mut digest) = (std::fs::File::open(path)?, vec![0; BLOCK], Sha256::new());
    loop {
        match file.read(&mut block)? {
            0 => return Ok(Sha256Digest::new(digest.finalize().into())),
            read => {
                digest.update(&block[..read]);
                progress.inc(read as u64);
            }
        }
    }
}
