//! Takes images in and hands them out again: `DATA_DIR/images/<sha256>.iso`, each one whole or not at all.
//!
//! A file appears under its name only after every byte was hashed, flushed and inspected, so that a crash leaves
//! nothing behind but a `.part` file, which the next start removes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use provisioning_core::model::{Image, ImageId, Sha256Digest, Timestamp};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::artifact::StoredImage;
use super::cpio::MEMBER_BYTES_MAX;
use super::inspect::{CdInfo, InspectError, inspect};
use super::iso9660::{self, HEAD_BYTES};

/// Bytes that are read, hashed and written at once.
const BLOCK: usize = 1 << 20;
const PART: &str = "part";

/// The folder of stored images. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ImageStore {
    folder: Arc<Path>,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes taken in.
    pub done: u64,
    /// Bytes there are; an upload need not say.
    pub total: Option<u64>,
}

/// An image that is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What it says of itself.
    pub info: CdInfo,
    /// The digest of its bytes, and its name in the store.
    pub sha256: Sha256Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Whether the same bytes were in the store before.
    pub was_there: bool,
}

impl Imported {
    /// What the rest of the system keeps of it.
    pub fn into_image(self, id: ImageId, imported_at: Timestamp) -> Image {
        Image {
            id,
            name: self.info.name(),
            release: self.info.release,
            iso_release: self.info.iso_release,
            sha256: self.sha256,
            size_bytes: self.size_bytes,
            imported_at,
        }
    }
}

impl ImageStore {
    /// Opens the store below `data_dir`: makes its folder, and removes what broken imports have left there.
    pub async fn open(data_dir: &Path) -> Result<Self, ImportError> {
        let folder = data_dir.join("images");
        blocking(move || {
            let prepared = std::fs::create_dir_all(&folder).and_then(|()| remove_leftovers(&folder));
            prepared.map_err(|source| ImportError::Write { path: folder.clone(), source })?;
            Ok(Self { folder: folder.into() })
        })
        .await
    }

    /// Copies the image at `path` into the store. It is inspected before the first byte is copied, and again after.
    pub async fn import_file(
        &self,
        path: PathBuf,
        mut on_progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Imported, ImportError> {
        let store = self.clone();
        blocking(move || {
            let unreadable = |source| ImportError::Read { path: path.clone(), source };
            let mut source = File::open(&path).map_err(unreadable)?;
            if !source.metadata().map_err(unreadable)?.is_file() {
                return Err(ImportError::NotAFile { path });
            }
            let total = inspect(&source)?.size_bytes;
            let mut incoming = Incoming::create(store)?;
            let mut block = vec![0; BLOCK];
            loop {
                match source.read(&mut block).map_err(unreadable)? {
                    0 => break,
                    read => incoming.write(&block[..read])?,
                }
                on_progress(Progress { done: incoming.written, total: Some(total) });
            }
            incoming.finish()
        })
        .await
    }

    /// Takes an image from a stream of bytes, such as an upload; `total` is its announced length.
    ///
    /// What is no ISO 9660 image at all is refused after its first MiB.
    pub async fn import_stream<S, E>(
        &self,
        stream: S,
        total: Option<u64>,
        mut on_progress: impl FnMut(Progress) + Send,
    ) -> Result<Imported, ImportError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let store = self.clone();
        let mut incoming = blocking(move || Incoming::create(store)).await?;
        let mut stream = std::pin::pin!(stream);
        let mut block = BytesMut::with_capacity(BLOCK);
        while let Some(bytes) = stream.next().await {
            block.extend_from_slice(&bytes.map_err(|error| ImportError::Upload(error.into()))?);
            if block.len() >= BLOCK {
                let full = block.split().freeze();
                incoming = blocking(move || incoming.write(&full).map(|()| incoming)).await?;
                on_progress(Progress { done: incoming.written, total });
            }
        }
        let imported = blocking(move || {
            incoming.write(&block)?;
            incoming.finish()
        })
        .await?;
        on_progress(Progress { done: imported.size_bytes, total });
        Ok(imported)
    }

    /// Opens a stored image for serving.
    ///
    /// # Errors
    /// [`OpenError::Missing`] and [`OpenError::Resized`] when somebody has been at the file.
    pub async fn load(&self, image: &Image) -> Result<StoredImage, OpenError> {
        let (path, sha256, expected) = (self.path(image.sha256), image.sha256, image.size_bytes);
        let opened = spawn_blocking(move || {
            let unreadable = |source: io::Error| match source.kind() {
                io::ErrorKind::NotFound => OpenError::Missing { path: path.clone() },
                _ => OpenError::Read { path: path.clone(), source },
            };
            let file = File::open(&path).map_err(unreadable)?;
            let present = file.metadata().map_err(unreadable)?.len();
            if present != expected {
                return Err(OpenError::Resized { path, present, expected });
            }
            let inspection = Arc::new(inspect(&file)?);
            Ok(StoredImage { file: Arc::new(file), sha256, inspection })
        });
        opened.await.map_err(|_| OpenError::Stopped)?
    }

    /// Removes a stored image; it is no error when it is gone. Downloads that are under way can finish.
    pub async fn remove(&self, sha256: Sha256Digest) -> Result<(), ImportError> {
        let path = self.path(sha256);
        blocking(move || match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ImportError::Write { path, source }),
            _ => Ok(()),
        })
        .await
    }

    fn path(&self, sha256: Sha256Digest) -> PathBuf {
        self.folder.join(format!("{sha256}.iso"))
    }
}

/// A file that is being taken in. Dropped before it is finished, it is removed.
struct Incoming {
    store: ImageStore,
    part: PartFile,
    digest: Sha256,
    written: u64,
}

impl Incoming {
    fn create(store: ImageStore) -> Result<Self, ImportError> {
        let part = PartFile::create(&store.folder)?;
        Ok(Self { store, part, digest: Sha256::new(), written: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        if self.written == 0 && bytes.len() as u64 >= HEAD_BYTES {
            iso9660::descriptor(bytes).map_err(InspectError::Iso)?;
        }
        self.written += bytes.len() as u64;
        if self.written > u64::from(MEMBER_BYTES_MAX) {
            return Err(InspectError::TooLarge { size: self.written }.into());
        }
        self.digest.update(bytes);
        self.part.file.write_all(bytes).map_err(|source| self.part.failed(source))
    }

    fn finish(self) -> Result<Imported, ImportError> {
        let info = inspect(&self.part.file)?.info;
        self.part.file.sync_all().map_err(|source| self.part.failed(source))?;
        let sha256 = Sha256Digest::new(self.digest.finalize().into());
        let path = self.store.path(sha256);
        let was_there = std::fs::metadata(&path).is_ok_and(|found| found.len() == self.written);
        if !was_there {
            self.part.keep_as(&path)?;
        }
        Ok(Imported { info, sha256, size_bytes: self.written, was_there })
    }
}

/// A file under a name of its own, locked so that no other process takes it for a leftover.
struct PartFile {
    path: PathBuf,
    file: File,
}

impl PartFile {
    fn create(folder: &Path) -> Result<Self, ImportError> {
        let mut random = [0; 8];
        let drawn = getrandom::fill(&mut random).map_err(io::Error::other);
        let path = folder.join(format!("incoming-{:016x}.{PART}", u64::from_ne_bytes(random)));
        let created = drawn.and_then(|()| {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
            file.lock()?;
            Ok(file)
        });
        match created {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(ImportError::Write { path, source }),
        }
    }

    /// Gives it its lasting name, and makes sure that the name outlives a power cut.
    fn keep_as(&self, path: &Path) -> Result<(), ImportError> {
        let renamed = std::fs::rename(&self.path, path);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let synced = renamed.and_then(|()| File::open(folder)?.sync_all());
        synced.map_err(|source| ImportError::Write { path: path.to_owned(), source })
    }

    fn failed(&self, source: io::Error) -> ImportError {
        ImportError::Write { path: self.path.clone(), source }
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        // Gone already when it was kept; and what can not be removed now is removed at the next start.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Removes part files whose import has died; a living one holds a lock.
fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_dead = || File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if path.extension().is_some_and(|e| e == PART) && is_dead() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImportError> + Send + 'static,
) -> Result<T, ImportError> {
    spawn_blocking(work).await.map_err(|_| ImportError::Stopped)?
}

/// Why an image was not taken in. The store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file can not be used.
    #[error(transparent)]
    Refused(#[from] InspectError),
    /// The path is of a folder or a device.
    #[error("{} is no regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("{} could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store's folder could not be written to: full, most likely.
    #[error("{} could not be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The upload broke off.
    #[error("the upload broke off")]
    Upload(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server is stopping.
    #[error("the import was stopped with the server")]
    Stopped,
}

/// Why a stored image can not be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file is gone.
    #[error("{} is gone: import the image again", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is not as long as it was when it was imported.
    #[error("{} has {present} bytes, {expected} were imported: remove the image and import it again", path.display())]
    Resized {
        /// The file.
        path: PathBuf,
        /// Its length now.
        present: u64,
        /// Its length when it was imported.
        expected: u64,
    },
    /// The file could not be read.
    #[error("{} could not be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no longer what was imported.
    #[error(transparent)]
    Refused(#[from] InspectError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}
