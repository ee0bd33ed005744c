//! What is served to machines: a list of byte runs, in memory or in the stored image, whose length is known.
//!
//! Whoever writes it to a socket decides how: `body` reads and hands on, a listener may use `sendfile` instead.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use provisioning_core::model::Sha256Digest;
use sha2::{Digest, Sha256};

use super::body::ArtifactBody;
use super::cpio::{self, TooLarge};
use super::inspect::Inspection;
use super::iso9660::Extent;
use super::patch::{self, PatchError, Piece};

/// The name under which the stock initrd finds its installation medium (`reference/pxe-boot.md`).
const MEMBER: &str = "proxmox.iso";

/// An imported image, open and inspected. Cloning it shares the handle.
#[derive(Clone, Debug)]
pub struct StoredImage {
    /// The whole stock image; only ever read by position.
    pub file: Arc<File>,
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
    /// Where its parts lie.
    pub inspection: Arc<Inspection>,
}

/// A run of bytes.
#[derive(Clone)]
pub enum Segment {
    /// In memory. May hold a token, so that `Debug` shows the length only.
    Bytes(Bytes),
    /// In a file.
    File {
        /// The file, shared by all who serve from it.
        file: Arc<File>,
        /// Where the run begins.
        offset: u64,
        /// Its length.
        len: u64,
    },
}

impl Segment {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The part of it that lies in `range`, which must not reach beyond its end.
    fn slice(&self, range: Range<u64>) -> Self {
        let index = |at: u64| usize::try_from(at).expect("a position inside a slice in memory is a usize");
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(index(range.start)..index(range.end))),
            Self::File { file, offset, .. } => {
                Self::File { file: Arc::clone(file), offset: offset + range.start, len: range.end - range.start }
            }
        }
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::File { offset, len, .. } => write!(f, "File({offset}+{len})"),
        }
    }
}

/// Something that can be downloaded.
#[derive(Clone, Debug)]
pub struct Artifact {
    segments: Vec<Segment>,
    len: u64,
    etag: Arc<str>,
}

impl Artifact {
    /// The stock kernel.
    pub fn kernel(image: &StoredImage) -> Self {
        Self::new(image, vec![stock(image, image.inspection.kernel)])
    }

    /// The stock initrd, and behind it the image with this mode file in its root, as the cpio member `proxmox.iso`.
    pub fn initrd(image: &StoredImage, mode_file: &[u8]) -> Result<Self, ArtifactError> {
        let initrd = image.inspection.initrd;
        let iso = patched(image, mode_file)?;
        let wrapping = cpio::wrap(MEMBER, iso.iter().map(Segment::len).sum())?;
        let mut before = vec![0; cpio::padding(initrd.len)];
        before.extend(wrapping.before);
        let mut segments = vec![stock(image, initrd), Segment::Bytes(before.into())];
        segments.extend(iso);
        segments.push(Segment::Bytes(wrapping.behind.into()));
        Ok(Self::new(image, segments))
    }

    /// The image with this mode file in its root, by itself.
    pub fn iso(image: &StoredImage, mode_file: &[u8]) -> Result<Self, ArtifactError> {
        Ok(Self::new(image, patched(image, mode_file)?))
    }

    fn new(image: &StoredImage, mut segments: Vec<Segment>) -> Self {
        segments.retain(|segment| !segment.is_empty());
        let len = segments.iter().map(Segment::len).sum();
        Self { etag: etag(image.sha256, &segments).into(), segments, len }
    }

    /// The part in `range`, drawn in to the artifact's end, under the ETag of the whole, as HTTP wants it.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let mut segments = Vec::new();
        let mut start = 0;
        for segment in &self.segments {
            let end = start + segment.len();
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                segments.push(segment.slice(from - start..to - start));
            }
            start = end;
        }
        let len = segments.iter().map(Segment::len).sum();
        Self { segments, len, etag: Arc::clone(&self.etag) }
    }

    /// How many bytes it has: its `Content-Length`.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A strong entity tag, quotes included: equal only for equal bytes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Its runs, in order, none of them empty.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// A response body that streams it. `on_served` is told how many bytes each frame has as it is handed on.
    pub fn into_body(self, on_served: impl FnMut(u64) + Send + 'static) -> ArtifactBody {
        ArtifactBody::new(self.segments, Box::new(on_served))
    }
}

/// Digest of the image and of every run. The mode file's token is in it, but a digest does not give it back.
fn etag(image: Sha256Digest, segments: &[Segment]) -> String {
    let mut digest = Sha256::new().chain_update(image.to_string());
    for segment in segments {
        digest.update(segment.len().to_le_bytes());
        match segment {
            Segment::Bytes(bytes) => digest.update([&[0], &bytes[..]].concat()),
            Segment::File { offset, .. } => digest.update([&[1], &offset.to_le_bytes()[..]].concat()),
        }
    }
    format!("\"{}\"", Sha256Digest::new(digest.finalize().into()))
}

fn stock(image: &StoredImage, Extent { offset, len }: Extent) -> Segment {
    Segment::File { file: Arc::clone(&image.file), offset, len }
}

fn patched(image: &StoredImage, mode_file: &[u8]) -> Result<Vec<Segment>, ArtifactError> {
    let pieces = patch::add_mode_file(&image.inspection, mode_file)?.pieces();
    let segment = |piece| match piece {
        Piece::Stock(Range { start, end }) => stock(image, Extent { offset: start, len: end - start }),
        Piece::New(bytes) => Segment::Bytes(bytes.into()),
    };
    Ok(pieces.into_iter().map(segment).collect())
}

/// Why an artifact can not be made of an image.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The mode file can not be added.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The patched image can not be wrapped.
    #[error("the image is too large to be netbooted")]
    TooLarge(#[from] TooLarge),
}
