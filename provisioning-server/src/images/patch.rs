//! Works out the patched image: the stock bytes, of which 24 change, and a few sectors more at the end.
//!
//! A volume's files may lie anywhere, so a file is added by appending its bytes and a new root directory that
//! names it, and by pointing the volume descriptor there (`reference/pxe-boot.md`, "Injecting the mode file without
//! xorriso"). Path tables and the `..` of other directories still lead to the old root: Linux reads neither.

use std::collections::BTreeSet;
use std::ops::Range;

use super::inspect::Inspection;
use super::iso9660::{self, DESCRIPTOR_OFFSET, IsoError, SECTOR};

/// The file's name in the root of the image, as the installer looks for it.
pub const MODE_FILE_NAME: &str = "auto-installer-mode.toml";
/// A mode file has a few hundred bytes; more than this is a mistake.
pub const MODE_FILE_BYTES_MAX: usize = 64 << 10;

/// The bytes that differ from the stock image.
#[derive(Clone, PartialEq, Eq)]
pub struct Patch {
    /// Length of the stock image, which `tail` follows.
    pub stock_len: u64,
    /// What replaces the bytes at a position, in order of position; never overlapping, never beyond `stock_len`.
    pub edits: Vec<Edit>,
    /// What is appended: padding to a sector, the mode file, the new root directory.
    pub tail: Vec<u8>,
}

/// New bytes at a position of the stock image.
#[derive(Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub offset: u64,
    /// What stands there now.
    pub bytes: Vec<u8>,
}

/// A piece of the patched image.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// A range of the stock image.
    Stock(Range<u64>),
    /// Bytes of our own.
    New(Vec<u8>),
}

impl Patch {
    /// The patched image from start to end: stock ranges, the edits between them, the tail.
    pub fn pieces(self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for edit in self.edits {
            pieces.push(Piece::Stock(at..edit.offset));
            at = edit.offset + edit.bytes.len() as u64;
            pieces.push(Piece::New(edit.bytes));
        }
        pieces.push(Piece::Stock(at..self.stock_len));
        pieces.push(Piece::New(self.tail));
        pieces
    }

    /// Length of the patched image.
    pub fn len(&self) -> u64 {
        self.stock_len + self.tail.len() as u64
    }

    /// Always false: a patched image has a volume descriptor at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Adds the mode file to the root of an image; one that is there already is replaced.
///
/// # Errors
/// [`PatchError::TooLarge`] for a mode file that can not be one, [`PatchError::Image`] when the root makes no sense.
pub fn add_mode_file(image: &Inspection, mode_file: &[u8]) -> Result<Patch, PatchError> {
    if mode_file.len() > MODE_FILE_BYTES_MAX {
        return Err(PatchError::TooLarge { len: mode_file.len() });
    }
    let mut tail = Vec::new();
    pad_to_sector(&mut tail, image.size_bytes);
    let file_sector = sector(image.size_bytes + tail.len() as u64)?;
    tail.extend_from_slice(mode_file);
    pad_to_sector(&mut tail, image.size_bytes);

    let root_sector = sector(image.size_bytes + tail.len() as u64)?;
    let root = new_root(image, file_sector, mode_file.len(), root_sector)?;
    let root_len = u32::try_from(root.len()).map_err(|_| PatchError::Image(damaged("a root directory")))?;
    tail.extend_from_slice(&root);

    let volume_sectors = sector(image.size_bytes + tail.len() as u64)?;
    let place = [both_endian(root_sector), both_endian(root_len)].concat();
    let edits = vec![
        Edit { offset: DESCRIPTOR_OFFSET + 80, bytes: both_endian(volume_sectors).to_vec() },
        Edit { offset: DESCRIPTOR_OFFSET + 156 + 2, bytes: place },
    ];
    Ok(Patch { stock_len: image.size_bytes, edits, tail })
}

/// The old root's records with the new file's among them, and `.` and `..` leading to the new place.
fn new_root(image: &Inspection, file: u32, file_len: usize, root: u32) -> Result<Vec<u8>, PatchError> {
    let old = iso9660::records(&image.root_bytes, 0)?;
    let [own, parent, ..] = &old[..] else { return Err(damaged("a root directory without . and ..").into()) };
    if iso9660::identifier(own) != [0] || iso9660::identifier(parent) != [1] {
        return Err(damaged("a root directory that does not begin with . and ..").into());
    }
    let identifier = free_identifier(image);
    let date = &own[18..25];
    let added = record(&identifier, date, file, file_len, image.system_use_skip)?;

    let kept: Vec<_> = image.root_entries.iter().filter(|e| e.name != MODE_FILE_NAME).collect();
    let place = kept.iter().take_while(|e| unversioned(&e.identifier) < unversioned(&identifier)).count();
    let mut children: Vec<&[u8]> = kept.iter().map(|e| &e.record[..]).collect();
    children.insert(place, &added);

    let mut own = own.clone();
    let mut parent = parent.clone();
    let mut bytes = pack([&own[..], &parent].into_iter().chain(children.iter().copied()));
    let len = u32::try_from(bytes.len()).map_err(|_| damaged("a root directory"))?;
    let here = [both_endian(root), both_endian(len)].concat();
    for (record, at) in [(&mut own, 0), (&mut parent, usize::from(old[0][0]))] {
        record[2..18].copy_from_slice(&here);
        bytes[at..at + record.len()].copy_from_slice(record);
    }
    Ok(bytes)
}

/// Puts records one behind the other, none across a sector's end, and fills the last sector.
fn pack<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records.flat_map(pieces) {
        if bytes.len() as u64 % SECTOR + record.len() as u64 > SECTOR {
            pad_to_sector(&mut bytes, 0);
        }
        bytes.extend_from_slice(record);
    }
    pad_to_sector(&mut bytes, 0);
    bytes
}

/// The single records of an entry: a file of several extents has more than one.
fn pieces(mut records: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = usize::from(*records.first()?);
        let (first, rest) = records.split_at_checked(len)?;
        records = rest;
        Some(first)
    })
}

/// The name in its ISO 9660 form; another number in it should a stranger have taken the first.
fn free_identifier(image: &Inspection) -> Vec<u8> {
    let others = image.root_entries.iter().filter(|e| e.name != MODE_FILE_NAME);
    let taken: BTreeSet<&[u8]> = others.map(|e| &e.identifier[..]).collect();
    let forms = (0..).map(|number| match number {
        0 => b"AUTO_INSTALLER_MODE.TOML;1".to_vec(),
        _ => format!("AUTO_INST{number}_MODE.TOML;1").into_bytes(),
    });
    forms
        .into_iter()
        .find(|form| !taken.contains(&form[..]))
        .expect("a directory has fewer entries than there are numbers")
}

fn record(id: &[u8], date: &[u8], start: u32, len: usize, skip: usize) -> Result<Vec<u8>, PatchError> {
    let len = u32::try_from(len).map_err(|_| PatchError::TooLarge { len })?;
    let mut record = vec![0; 2];
    record.extend(both_endian(start));
    record.extend(both_endian(len));
    record.extend_from_slice(date);
    // A plain file, not interleaved, on the first volume.
    record.extend([0, 0, 0, 1, 0, 0, 1]);
    record.push(byte(id.len())?);
    record.extend_from_slice(id);
    record.resize(record.len().next_multiple_of(2) + skip, 0);
    // Rock Ridge: mode, links, owner and group; then the name.
    record.extend_from_slice(b"PX\x24\x01");
    for value in [0o100_644, 1, 0, 0] {
        record.extend(both_endian(value));
    }
    record.extend_from_slice(b"NM");
    record.extend([byte(MODE_FILE_NAME.len() + 5)?, 1, 0]);
    record.extend_from_slice(MODE_FILE_NAME.as_bytes());
    record.resize(record.len().next_multiple_of(2), 0);
    record[0] = byte(record.len())?;
    Ok(record)
}

fn byte(len: usize) -> Result<u8, PatchError> {
    u8::try_from(len).map_err(|_| damaged("a root directory with an impossible system-use area").into())
}

/// Identifiers are sorted without their version.
fn unversioned(identifier: &[u8]) -> &[u8] {
    identifier.split(|b| *b == b';').next().unwrap_or_default()
}

fn pad_to_sector(bytes: &mut Vec<u8>, before: u64) {
    let used = (before + bytes.len() as u64) % SECTOR;
    if used > 0 {
        bytes.extend(std::iter::repeat_n(0, usize::try_from(SECTOR - used).unwrap_or_default()));
    }
}

/// The number of the sector that begins at `offset`, or of all sectors before it.
fn sector(offset: u64) -> Result<u32, PatchError> {
    u32::try_from(offset / SECTOR).map_err(|_| damaged("an image of more than 8 TiB").into())
}

/// A number in both byte orders, as ISO 9660 stores it.
fn both_endian(value: u32) -> [u8; 8] {
    let (l, b) = (value.to_le_bytes(), value.to_be_bytes());
    [l[0], l[1], l[2], l[3], b[0], b[1], b[2], b[3]]
}

fn damaged(what: &'static str) -> IsoError {
    IsoError::Damaged { what, at: 0 }
}

/// Why a mode file can not be added.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is too large to be one.
    #[error("the mode file has {len} bytes: it may have {MODE_FILE_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// The image's root directory makes no sense.
    #[error("the image can not take a mode file")]
    Image(#[from] IsoError),
}

#[cfg(test)]
mod tests {
    use provisioning_sim::real::iso::{IsoFs, IsoOptions, build};

    use super::super::inspect::inspect;
    use super::*;

    fn stock() -> Vec<u8> {
        build(&IsoOptions { filler_bytes: 5_000, ..IsoOptions::default() })
    }

    fn patched(stock: &[u8], mode_file: &[u8]) -> Vec<u8> {
        let patch = add_mode_file(&inspect(stock).unwrap(), mode_file).unwrap();
        let len = patch.len();
        let index = |at: u64| usize::try_from(at).unwrap();
        let bytes: Vec<u8> = patch
            .pieces()
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Stock(range) => stock[index(range.start)..index(range.end)].to_vec(),
                Piece::New(bytes) => bytes,
            })
            .collect();
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    #[test]
    fn the_patched_image_is_the_stock_image_plus_the_mode_file() {
        let stock = stock();
        for mode_file in [&b""[..], b"mode = \"http\"\n", &[7; 5000]] {
            let patched = patched(&stock, mode_file);
            let mut files = IsoFs::open(&patched).unwrap().list().unwrap();
            files.retain(|file| {
                assert!(file.path != MODE_FILE_NAME || file.content == mode_file);
                file.path != MODE_FILE_NAME
            });
            assert!(files == IsoFs::open(&stock).unwrap().list().unwrap());
        }
    }

    #[test]
    fn few_bytes_of_the_stock_image_change() {
        let stock = stock();
        let patched = patched(&stock, b"x");
        let changed: Vec<_> = (0..stock.len()).filter(|&i| stock[i] != patched[i]).collect();
        let (first, last) = (changed[0], changed[changed.len() - 1]);
        assert!(first >= 16 * 2048 + 80 && last < 16 * 2048 + 174, "{first}..={last}");
        assert_eq!(patched.len(), stock.len() + 2048 + inspect(&stock[..]).unwrap().root_bytes.len());
    }

    #[test]
    fn the_new_root_is_in_order_and_leads_to_itself() {
        let patched = patched(&stock(), b"x");
        let root = inspect(&patched[..]).unwrap();
        let identifiers: Vec<_> = root.root_entries.iter().map(|e| unversioned(&e.identifier)).collect();
        assert!(identifiers.is_sorted());
        let start = patched.len() - root.root_bytes.len();
        let here = both_endian(u32::try_from(start / 2048).unwrap());
        for record in &iso9660::records(&root.root_bytes, 0).unwrap()[..2] {
            assert_eq!(record[2..10], here);
        }
    }

    #[test]
    fn a_mode_file_that_is_there_already_is_replaced() {
        let options = IsoOptions { filler_bytes: 5_000, mode_file: Some(b"old".to_vec()), ..IsoOptions::default() };
        let patched = patched(&build(&options), b"new");
        let fs = IsoFs::open(&patched).unwrap();
        assert_eq!(fs.read(MODE_FILE_NAME).unwrap(), Some(&b"new"[..]));
        assert_eq!(fs.list().unwrap().iter().filter(|file| file.path == MODE_FILE_NAME).count(), 1);
    }

    #[test]
    fn a_mode_file_too_large_to_be_one_is_refused() {
        let image = inspect(&stock()[..]).unwrap();
        let err = add_mode_file(&image, &vec![0; MODE_FILE_BYTES_MAX + 1]).map(|_| ()).unwrap_err();
        assert_eq!(err.to_string(), "the mode file has 65537 bytes: it may have 65536");
    }
}
