//! Reads an ISO 9660 tree as Linux mounts it: Rock Ridge names when there are any, plain ones otherwise.

use std::ops::Range;

const SECTOR: usize = 2048;
/// Deeper trees are refused: Proxmox' has four levels, and a loop would have no end.
const DEPTH_MAX: usize = 16;
/// More files than any installer has; a few directories that hold each other many times over would have no end.
const ENTRIES_MAX: usize = 20_000;
const CONTINUATIONS_MAX: usize = 32;
/// What Linux allows a file's name to have, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A mounted image. All content is borrowed from its bytes.
#[derive(Clone, Debug)]
pub struct IsoFs<'a> {
    bytes: &'a [u8],
    root: Range<usize>,
    rock_ridge: bool,
}

/// One file or directory of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsoEntry<'a> {
    /// The path from the root, without a slash in front.
    pub path: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// A file's bytes; empty for a directory.
    pub content: &'a [u8],
}

struct Record {
    name: String,
    is_directory: bool,
    extent: Range<usize>,
}

impl<'a> IsoFs<'a> {
    /// Mounts the image: reads its primary volume descriptor.
    pub fn open(bytes: &'a [u8]) -> Result<Self, IsoReadError> {
        let descriptor = bytes.get(16 * SECTOR..17 * SECTOR).ok_or(IsoReadError::NoVolume)?;
        if !descriptor.starts_with(b"\x01CD001") {
            return Err(IsoReadError::NoVolume);
        }
        let claimed = le32(descriptor, 80)? * SECTOR;
        if claimed > bytes.len() {
            return Err(IsoReadError::CutOff { claimed, present: bytes.len() });
        }
        let root = extent(&descriptor[156..190])?;
        let mut fs = Self { bytes, root, rock_ridge: false };
        let first = fs.raw(&fs.root)?;
        // Rock Ridge shows itself by an SP entry in the root's own record.
        fs.rock_ridge = first.get(34..41).is_some_and(|su| su.starts_with(b"SP\x07\x01\xbe\xef"));
        Ok(fs)
    }

    /// A file's bytes; `None` when there is no such file.
    pub fn read(&self, path: &str) -> Result<Option<&'a [u8]>, IsoReadError> {
        let mut directory = self.root.clone();
        let mut parts = path.trim_matches('/').split('/').peekable();
        while let Some(part) = parts.next() {
            let Some(record) = self.records(&directory)?.into_iter().find(|r| r.name == part) else {
                return Ok(None);
            };
            match (parts.peek(), record.is_directory) {
                (None, false) => return self.raw(&record.extent).map(Some),
                (Some(_), true) => directory = record.extent,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Every file and directory, sorted by path.
    pub fn list(&self) -> Result<Vec<IsoEntry<'a>>, IsoReadError> {
        let mut entries = Vec::new();
        let mut pending = vec![(String::new(), self.root.clone(), 0)];
        while let Some((prefix, directory, depth)) = pending.pop() {
            if depth > DEPTH_MAX {
                return Err(IsoReadError::TooDeep { path: prefix });
            }
            for record in self.records(&directory)? {
                let path = format!("{prefix}{}", record.name);
                let content = if record.is_directory {
                    pending.push((format!("{path}/"), record.extent, depth + 1));
                    &[]
                } else {
                    self.raw(&record.extent)?
                };
                if entries.len() == ENTRIES_MAX {
                    return Err(IsoReadError::TooMany { limit: ENTRIES_MAX });
                }
                entries.push(IsoEntry { path, is_directory: record.is_directory, content });
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// A directory's records without `.` and `..`.
    fn records(&self, directory: &Range<usize>) -> Result<Vec<Record>, IsoReadError> {
        let mut records = Vec::new();
        for sector in self.raw(directory)?.chunks(SECTOR) {
            let mut rest = sector;
            while let Some(&len) = rest.first().filter(|&&len| len != 0) {
                let record = rest.get(..usize::from(len)).filter(|r| r.len() > 33).ok_or(IsoReadError::BadRecord)?;
                rest = &rest[record.len()..];
                if let Some(record) = self.record(record)? {
                    records.push(record);
                }
            }
        }
        Ok(records)
    }

    fn record(&self, record: &[u8]) -> Result<Option<Record>, IsoReadError> {
        let name_len = usize::from(record[32]);
        let plain = record.get(33..33 + name_len).ok_or(IsoReadError::BadRecord)?;
        if plain == [0] || plain == [1] {
            return Ok(None);
        }
        let system_use = record.get((33 + name_len).next_multiple_of(2)..).unwrap_or_default();
        let alternate = if self.rock_ridge { self.alternate_name(system_use)? } else { None };
        Ok(Some(Record {
            name: alternate.unwrap_or_else(|| plain_name(plain)),
            is_directory: record[25] & 2 != 0,
            extent: extent(record)?,
        }))
    }

    /// The Rock Ridge name, put together from its parts in the record and its continuation areas.
    fn alternate_name(&self, system_use: &[u8]) -> Result<Option<String>, IsoReadError> {
        let mut name: Option<Vec<u8>> = None;
        let mut area = system_use;
        for _ in 0..CONTINUATIONS_MAX {
            let mut continued = None;
            while let [a, b, len, _, ..] = *area {
                let Some((entry, rest)) = area.split_at_checked(usize::from(len).max(4)) else { break };
                match (&[a, b], entry) {
                    (b"NM", [_, _, _, _, _, part @ ..]) => name.get_or_insert_default().extend_from_slice(part),
                    (b"CE", _) if entry.len() == 28 => {
                        let (start, len) = (le32(entry, 4)? * SECTOR + le32(entry, 12)?, le32(entry, 20)?);
                        if len > SECTOR {
                            return Err(IsoReadError::BadRecord);
                        }
                        continued = Some(self.raw(&(start..start + len))?);
                    }
                    (b"ST", _) => break,
                    _ => {}
                }
                area = rest;
            }
            if name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
                return Err(IsoReadError::BadRecord);
            }
            match continued {
                Some(next) => area = next,
                None => return Ok(name.map(|n| String::from_utf8_lossy(&n).into_owned())),
            }
        }
        Err(IsoReadError::BadRecord)
    }

    fn raw(&self, range: &Range<usize>) -> Result<&'a [u8], IsoReadError> {
        let cut_off = IsoReadError::CutOff { claimed: range.end, present: self.bytes.len() };
        self.bytes.get(range.clone()).ok_or(cut_off)
    }
}

/// `FILE.EXT;1` as Linux shows it without Rock Ridge: lower case, no version, no dot at the end.
fn plain_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).to_lowercase();
    let name = name.split(';').next().unwrap_or_default();
    name.trim_end_matches('.').to_owned()
}

fn extent(record: &[u8]) -> Result<Range<usize>, IsoReadError> {
    let start = le32(record, 2)? * SECTOR;
    Ok(start..start + le32(record, 10)?)
}

/// The little-endian half of a field; the image counts as broken when the big-endian half differs.
fn le32(bytes: &[u8], at: usize) -> Result<usize, IsoReadError> {
    let half = |from: usize| bytes.get(from..from + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
    let (Some(little), Some(big)) = (half(at), half(at + 4)) else { return Err(IsoReadError::BadRecord) };
    let value = u32::from_le_bytes(little);
    if value != u32::from_be_bytes(big) {
        return Err(IsoReadError::BadRecord);
    }
    usize::try_from(value).map_err(|_| IsoReadError::BadRecord)
}

/// Why an image can not be mounted or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsoReadError {
    /// There is no primary volume descriptor.
    #[error("there is no ISO 9660 volume")]
    NoVolume,
    /// Something lies beyond the image's end.
    #[error("the image is cut off: {present} bytes are there, {claimed} are needed")]
    CutOff {
        /// What is needed.
        claimed: usize,
        /// What is there.
        present: usize,
    },
    /// A directory record, or a field in it, makes no sense.
    #[error("a directory record makes no sense")]
    BadRecord,
    /// There are more files than an image can sensibly have.
    #[error("there are more than {limit} files")]
    TooMany {
        /// What is allowed.
        limit: usize,
    },
    /// Directories lie too deep, or in a loop.
    #[error("{path} lies too deep")]
    TooDeep {
        /// Where.
        path: String,
    },
}
