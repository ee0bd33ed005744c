//! Reads just as much of an ISO 9660 volume as serving one takes: where a path's bytes lie.
//!
//! The image is an operator's upload, so nothing in it is believed: every position is checked against the file's
//! end, every list has a limit, and a walk is as long as the path asked for, so that no loop can hold it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes in a sector, the unit of all positions.
pub const SECTOR: u64 = 2048;
const SECTOR_LEN: usize = 2048;
/// Where the primary volume descriptor lies.
pub const DESCRIPTOR_OFFSET: u64 = 16 * SECTOR;
/// As many bytes from the start as it takes to tell an ISO 9660 image from other files.
pub const HEAD_BYTES: u64 = DESCRIPTOR_OFFSET + SECTOR;
/// A directory of a thousand packages takes about 200 KiB.
pub(super) const DIRECTORY_BYTES_MAX: u64 = 4 << 20;
/// Continuation areas read for one directory, each counted with at least one sector.
const CONTINUATION_BYTES_MAX: u64 = 8 << 20;

/// Bytes that are read by position, so that many readers share one handle.
pub trait ReadAt {
    /// Fills `buffer` from `offset` on; reaching the end before it is full is an error.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// How many bytes there are.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let source = start.and_then(|start| self.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// A run of bytes in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// What a directory record stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file that lies in one piece.
    File,
    /// A file of several extents, which only files of 4 GiB and more need. Its bytes can not be found here.
    Pieces,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name as Linux shows it: the Rock Ridge name, else the plain one in lower case.
    pub name: String,
    /// Its name as ISO 9660 has it, such as `LINUX26.;1`.
    pub identifier: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its bytes, inside the image.
    pub extent: Extent,
    /// The record as it stands in the directory.
    pub record: Vec<u8>,
}

/// A volume whose descriptor makes sense and whose bytes are all there.
#[derive(Debug)]
pub struct Volume<'a, S: ?Sized> {
    source: &'a S,
    size: u64,
    claimed: u64,
    root: Extent,
    /// Bytes before the first system-use entry of each record; `None` without Rock Ridge.
    rock_ridge: Option<usize>,
}

impl<'a, S: ReadAt + ?Sized> Volume<'a, S> {
    /// Reads the volume descriptor and the root's first record.
    ///
    /// # Errors
    /// [`IsoError::NotIso`] for other files, [`IsoError::Truncated`] when the end is missing.
    pub fn open(source: &'a S) -> Result<Self, IsoError> {
        let size = source.size()?;
        let mut start = vec![0; usize::try_from(size.min(HEAD_BYTES)).unwrap_or_default()];
        source.read_exact_at(&mut start, 0)?;
        let descriptor = descriptor(&start)?;
        let claimed = u64::from(le32(descriptor, 80)) * SECTOR;
        if size < claimed {
            return Err(IsoError::Truncated { present: size, claimed });
        }
        let root = extent(&descriptor[156..]);
        let mut volume = Self { source, size, claimed, root, rock_ridge: None };
        volume.rock_ridge = volume.find_rock_ridge()?;
        Ok(volume)
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that the volume descriptor speaks of; at most [`Volume::size`].
    pub fn claimed(&self) -> u64 {
        self.claimed
    }

    /// Where the root directory lies.
    pub fn root(&self) -> Extent {
        self.root
    }

    /// Bytes to skip at the start of a record's system-use area; `None` when the volume has no Rock Ridge.
    pub fn rock_ridge(&self) -> Option<usize> {
        self.rock_ridge
    }

    /// The entry at a path such as `boot/linux26`; `None` when there is none.
    pub fn find(&self, path: &str) -> Result<Option<Entry>, IsoError> {
        let mut directory = self.root;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            let Some(entry) = self.entries(directory)?.into_iter().find(|entry| entry.name == part) else {
                return Ok(None);
            };
            if parts.peek().is_none() {
                return Ok(Some(entry));
            }
            if entry.kind != Kind::Directory {
                return Ok(None);
            }
            directory = entry.extent;
        }
        Ok(None)
    }

    /// A directory's entries in their order, without `.` and `..`.
    pub fn entries(&self, directory: Extent) -> Result<Vec<Entry>, IsoError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut budget = CONTINUATION_BYTES_MAX;
        for record in records(&self.read(directory, DIRECTORY_BYTES_MAX)?, directory.offset)? {
            let identifier = identifier(&record);
            if matches!(identifier, [0 | 1]) {
                continue;
            }
            let extent = self.check(extent(&record))?;
            let kind = match record[25] {
                flags if flags & 0x02 != 0 => Kind::Directory,
                flags if flags & 0x80 != 0 => Kind::Pieces,
                _ => Kind::File,
            };
            // The last piece of a file has no flag of its own; it is known by the piece before it.
            if let Some(piece) = entries.last_mut().filter(|e| e.kind == Kind::Pieces && e.identifier == identifier) {
                piece.record.extend_from_slice(&record);
                continue;
            }
            let name = match self.rock_ridge {
                Some(skip) => self.alternate_name(system_use(&record, skip), &mut budget)?,
                None => None,
            };
            let name = name.unwrap_or_else(|| plain_name(identifier));
            entries.push(Entry { name, identifier: identifier.to_vec(), kind, extent, record });
        }
        Ok(entries)
    }

    /// Reads a run of bytes, of which there may be `limit` at most.
    pub fn read(&self, extent: Extent, limit: u64) -> Result<Vec<u8>, IsoError> {
        let Extent { offset, len } = self.check(extent)?;
        let fits = usize::try_from(len).ok().filter(|_| len <= limit);
        let mut bytes = vec![0; fits.ok_or(IsoError::TooLarge { at: offset, len, limit })?];
        self.source.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Refuses what reaches beyond the file's end.
    fn check(&self, extent: Extent) -> Result<Extent, IsoError> {
        // Neither sum nor product can overflow: both come from 32-bit fields.
        let end = extent.offset + extent.len;
        if end > self.size { Err(IsoError::Truncated { present: self.size, claimed: end }) } else { Ok(extent) }
    }

    /// Rock Ridge shows itself by an `SP` entry in the root's record of itself.
    fn find_rock_ridge(&self) -> Result<Option<usize>, IsoError> {
        let bytes = self.read(self.root, DIRECTORY_BYTES_MAX)?;
        let own = records(&bytes, self.root.offset)?.into_iter().next();
        let own =
            own.ok_or(IsoError::Damaged { what: "the root directory has no record of itself", at: self.root.offset })?;
        Ok(match system_use(&own, 0) {
            [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => Some(usize::from(*skip)),
            _ => None,
        })
    }

    /// The `NM` parts of a record and of the areas that its `CE` entries lead to.
    fn alternate_name(&self, system_use: &[u8], budget: &mut u64) -> Result<Option<String>, IsoError> {
        let mut name: Option<Vec<u8>> = None;
        let mut area = system_use.to_vec();
        loop {
            let mut next = None;
            let mut rest = &area[..];
            while let [a, b, len, _version, ..] = *rest {
                let Some((entry, behind)) = rest.split_at_checked(usize::from(len)).filter(|_| len >= 4) else { break };
                match ([a, b], entry) {
                    ([b'N', b'M'], [_, _, _, _, _flags, part @ ..]) => {
                        name.get_or_insert_default().extend_from_slice(part);
                    }
                    ([b'C', b'E'], _) if entry.len() == 28 => next = Some(continuation(entry)),
                    ([b'S', b'T'], _) => break,
                    _ => {}
                }
                rest = behind;
            }
            let Some(extent) = next else { break };
            *budget = budget
                .checked_sub(extent.len.max(SECTOR))
                .ok_or(IsoError::Damaged { what: "continuation areas without end", at: extent.offset })?;
            area = self.read(extent, SECTOR)?;
        }
        Ok(name.map(|name| String::from_utf8_lossy(&name).into_owned()))
    }
}

/// The volume descriptor, from the first [`HEAD_BYTES`] of a file: the cheapest check that it is an image at all.
///
/// # Errors
/// [`IsoError::NotIso`] when it is none.
pub fn descriptor(head: &[u8]) -> Result<&[u8], IsoError> {
    let sector = usize::try_from(DESCRIPTOR_OFFSET).ok().and_then(|start| head.get(start..start + SECTOR_LEN));
    let sector = sector.ok_or(IsoError::NotIso { why: "it is too short" })?;
    if !sector.starts_with(b"\x01CD001") {
        return Err(IsoError::NotIso { why: "it has no primary volume descriptor in sector 16" });
    }
    if sector[128..130] != [0, 8] {
        return Err(IsoError::NotIso { why: "its blocks are not of 2048 bytes" });
    }
    Ok(sector)
}

/// Cuts a directory into its records; they never cross a sector's end.
pub(super) fn records(directory: &[u8], offset: u64) -> Result<Vec<Vec<u8>>, IsoError> {
    let mut records = Vec::new();
    for (number, sector) in (0..).zip(directory.chunks(SECTOR_LEN)) {
        let mut rest = sector;
        while let Some(&len) = rest.first().filter(|len| **len != 0) {
            let damaged = IsoError::Damaged { what: "a directory record", at: offset + number * SECTOR };
            let (record, behind) = rest
                .split_at_checked(usize::from(len))
                .filter(|(record, _)| record.len() > 33 && record.len() >= 33 + usize::from(record[32]))
                .ok_or(damaged)?;
            records.push(record.to_vec());
            rest = behind;
        }
    }
    Ok(records)
}

/// A record's name field. The record must come from [`records`].
pub(super) fn identifier(record: &[u8]) -> &[u8] {
    &record[33..33 + usize::from(record[32])]
}

/// What follows a record's name, from the first system-use entry on.
fn system_use(record: &[u8], skip: usize) -> &[u8] {
    let start = (33 + usize::from(record[32])).next_multiple_of(2) + skip;
    record.get(start..).unwrap_or_default()
}

fn extent(record: &[u8]) -> Extent {
    Extent { offset: u64::from(le32(record, 2)) * SECTOR, len: u64::from(le32(record, 10)) }
}

fn continuation(entry: &[u8]) -> Extent {
    let offset = u64::from(le32(entry, 4)) * SECTOR + u64::from(le32(entry, 12));
    Extent { offset, len: u64::from(le32(entry, 20)) }
}

fn plain_name(identifier: &[u8]) -> String {
    let name = String::from_utf8_lossy(identifier).to_ascii_lowercase();
    let unversioned = name.split(';').next().unwrap_or_default();
    unversioned.trim_end_matches('.').to_owned()
}

/// The first half of a number that is stored in both byte orders.
fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Why a file can not be read as an ISO 9660 image.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// It is something else.
    #[error("not an ISO 9660 image: {why}")]
    NotIso {
        /// What is wrong.
        why: &'static str,
    },
    /// Its end is missing: a download that broke off, most likely.
    #[error("the image is truncated: {present} bytes are there, {claimed} are claimed; fetch it again")]
    Truncated {
        /// The file's size.
        present: u64,
        /// What the image itself speaks of.
        claimed: u64,
    },
    /// A structure makes no sense.
    #[error("the image is damaged near byte {at}: {what}")]
    Damaged {
        /// The structure.
        what: &'static str,
        /// Where it lies.
        at: u64,
    },
    /// Something that is read whole is too large for that.
    #[error("the image is damaged at byte {at}: {len} bytes where at most {limit} belong")]
    TooLarge {
        /// Where it lies.
        at: u64,
        /// Its size.
        len: u64,
        /// What is allowed.
        limit: u64,
    },
    /// Reading failed.
    #[error("the image could not be read")]
    Read(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use provisioning_sim::real::iso::{IsoFs, IsoOptions, build};

    use super::*;

    fn small() -> Vec<u8> {
        build(&IsoOptions { filler_bytes: 5_000, ..IsoOptions::default() })
    }

    #[test]
    fn every_file_is_found_where_an_independent_reader_finds_it() {
        let image = small();
        let volume = Volume::open(&image[..]).unwrap();
        let mut files = 0;
        for expected in IsoFs::open(&image).unwrap().list().unwrap() {
            let entry = volume.find(&expected.path).unwrap().expect(&expected.path);
            assert_eq!(entry.kind == Kind::Directory, expected.is_directory, "{}", expected.path);
            if entry.kind == Kind::File {
                assert!(volume.read(entry.extent, 1 << 20).unwrap() == expected.content, "{}", expected.path);
                files += 1;
            }
        }
        assert!(files > 15);
        assert_eq!(volume.claimed(), image.len() as u64);
    }

    #[test]
    fn paths_that_do_not_exist_are_not_found() {
        let image = small();
        let volume = Volume::open(&image[..]).unwrap();
        for path in ["", "/", "boot/linux", "EULA/x", "boot/linux26/x", "BOOT/LINUX26.;1"] {
            assert_eq!(volume.find(path).unwrap(), None, "{path:?}");
        }
    }

    #[test]
    fn other_files_are_called_what_they_are() {
        let message = |bytes: &[u8]| Volume::open(bytes).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message(b"short"), "not an ISO 9660 image: it is too short");
        assert!(message(&vec![0; 100_000]).starts_with("not an ISO 9660 image: it has no primary volume descriptor"));
        let image = small();
        let claimed = image.len();
        assert_eq!(
            message(&image[..claimed - 2048]),
            format!(
                "the image is truncated: {} bytes are there, {claimed} are claimed; fetch it again",
                claimed - 2048
            )
        );
    }

    #[test]
    fn a_chain_of_continuation_areas_that_bites_its_tail_ends_in_an_error() {
        let mut image = small();
        // The long package name lies in a continuation area; make that area's CE lead to itself.
        let at = image.windows(4).position(|w| w == b"CE\x1c\x01").unwrap();
        let area = usize::try_from(continuation(&image[at..at + 28]).offset).unwrap();
        let loops_back = image[at..at + 28].to_vec();
        image[area..area + 28].copy_from_slice(&loops_back);
        let volume = Volume::open(&image[..]).unwrap();
        let mut budget = CONTINUATION_BYTES_MAX;
        let err = volume.alternate_name(&loops_back, &mut budget).unwrap_err();
        assert!(matches!(err, IsoError::Damaged { what: "continuation areas without end", .. }), "{err}");
    }
}
