//! What the lab's machines boot, built once by `xtask/lab/image/build.sh` and kept until a script of it changes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::shell::Shell;
use crate::summary::seconds;

/// The files of one build.
#[derive(Debug)]
pub(crate) struct Images {
    folder: PathBuf,
}

impl Images {
    /// Finds the build of the scripts as they are, or makes it (under a minute) and removes older ones.
    pub(crate) fn ready(shell: &Shell) -> anyhow::Result<Self> {
        let recipe = shell.root().join("xtask/lab/image");
        let kept = shell.root().join("target/lab/images");
        fs::create_dir_all(&kept).with_context(|| kept.display().to_string())?;
        // Two labs at once build once.
        let lock = File::create(kept.join("lock")).context("the lab's images cannot be locked")?;
        lock.lock()?;
        let key = key(&recipe)?;
        let folder = kept.join(&key);
        if !folder.is_dir() {
            for old in folders(&kept)? {
                fs::remove_dir_all(&old).with_context(|| old.display().to_string())?;
            }
            println!("building what the lab's machines boot, from Debian packages; kept for the next time");
            let begun = Instant::now();
            let part = kept.join(format!("{key}.part"));
            fs::create_dir(&part)?;
            let (script, target) = (recipe.join("build.sh"), part.display().to_string());
            shell.run(&script.display().to_string(), &[&target], &[])?;
            fs::rename(&part, &folder)?;
            println!("what the machines boot was built in {}", seconds(begun.elapsed()));
        }
        Ok(Self { folder })
    }

    /// The Proxmox-like ISO around the installer double.
    pub(crate) fn iso(&self) -> PathBuf {
        self.folder.join("proxmox-ve_9.2-1.iso")
    }

    /// A disk as the installer double writes it, not yet configured.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    /// The folder of the iPXE programs.
    pub(crate) fn ipxe(&self) -> PathBuf {
        self.folder.join("ipxe")
    }
}

/// A digest of all files of the recipe, names and contents.
fn key(recipe: &Path) -> anyhow::Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(recipe)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| file.display().to_string())?;
        digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        digest.update((content.len() as u64).to_le_bytes());
        digest.update(content);
    }
    let digest = digest.finalize();
    let first = digest.first_chunk().expect("a SHA-256 digest has 32 bytes");
    Ok(format!("{:016x}", u64::from_be_bytes(*first)))
}

fn folders(parent: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(parent)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_script_makes_another_key() {
        let recipe = Shell::at_workspace_root().root().join("xtask/lab/image");
        let copy = std::env::temp_dir().join(format!("lab-recipe-{}", std::process::id()));
        fs::create_dir_all(&copy).unwrap();
        for file in fs::read_dir(&recipe).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        assert_eq!(key(&copy).unwrap(), key(&recipe).unwrap());
        fs::write(copy.join("pvecm.sh"), "#!/bin/sh\n").unwrap();
        assert_ne!(key(&copy).unwrap(), key(&recipe).unwrap());
        fs::remove_dir_all(&copy).unwrap();
    }
}
