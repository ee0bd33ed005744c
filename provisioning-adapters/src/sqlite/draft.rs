//! Files that come to their place whole or not at all: a draft under a name of its own, then one step.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that is being made beside its place. Dropped before it is in place, it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    is_placed: bool,
}

impl Draft {
    /// An empty file with mode 0600, on the file system of `place`.
    pub(super) fn beside(place: &Path) -> io::Result<Self> {
        // A name that no other process or task writes to.
        let mut suffix = [0; 8];
        getrandom::fill(&mut suffix)?;
        let path = suffixed(place, &format!(".{:016x}.part", u64::from_be_bytes(suffix)));
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, is_placed: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place, over what is there.
    pub(super) fn replace(mut self, place: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        fs::rename(&self.path, place)?;
        self.is_placed = true;
        sync_folder_of(place)
    }

    /// Puts it in its place, if nothing is there.
    pub(super) fn put(self, place: &Path) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        match fs::hard_link(&self.path, place) {
            Ok(()) => sync_folder_of(place),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // A file system without links, such as a USB stick's.
            Err(_) if fs::symlink_metadata(place).is_err() => self.replace(place),
            Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_placed {
            for suffix in ["", "-journal", "-wal", "-shm"] {
                fs::remove_file(suffixed(&self.path, suffix)).ok();
            }
        }
    }
}

/// The path with something behind its last name.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What a folder lists outlives a power cut only once the folder itself is on the disk.
pub(super) fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
