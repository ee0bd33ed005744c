//! Writes an ISO 9660 image with Rock Ridge names: just enough of both for a kernel and for xorriso.

use std::collections::BTreeMap;

use super::layout::Planned;

const SECTOR: usize = 2048;
/// Every time stamp in the image, so that equal input makes equal bytes: 2026-01-01 00:00:00 UTC.
const RECORD_DATE: [u8; 7] = [126, 1, 1, 0, 0, 0, 0];
const VOLUME_DATE: &[u8; 17] = b"2026010100000000\0";
/// Sectors: 16 descriptor, 17 its end, 18 and 19 path tables, 20 and on continuation areas.
const PATH_TABLE_LITTLE: usize = 18;
const PATH_TABLE_BIG: usize = 19;
const CONTINUATIONS: usize = 20;

const DIRECTORY_MODE: usize = 0o040_755;
const FILE_MODE: usize = 0o100_644;

#[derive(Default)]
struct Directory {
    /// Its number in path-table order, from 0; the root is its own parent.
    parent: usize,
    identifier: Vec<u8>,
    children: Vec<Child>,
    start: usize,
    bytes_len: usize,
}

struct Child {
    identifier: Vec<u8>,
    name: String,
    kind: Kind,
}

enum Kind {
    Directory { number: usize },
    File { content: Vec<u8>, start: usize },
}

/// A tree of names, before numbers are given out.
#[derive(Default)]
struct Tree {
    directories: BTreeMap<String, Tree>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Lays the files out and returns the image.
pub(super) fn write(volume_id: &str, files: Vec<Planned>) -> Vec<u8> {
    let mut tree = Tree::default();
    for file in files {
        tree.insert(&file.path, file.content);
    }
    let mut directories = number(tree);
    let mut continued = Continued::default();
    let total = place(&mut directories, &mut continued);

    let mut image = vec![0; total * SECTOR];
    descriptor(&mut image[16 * SECTOR..17 * SECTOR], volume_id, total, &directories);
    image[17 * SECTOR..17 * SECTOR + 7].copy_from_slice(b"\xffCD001\x01");
    put(&mut image, PATH_TABLE_LITTLE, &path_table(&directories, false));
    put(&mut image, PATH_TABLE_BIG, &path_table(&directories, true));
    let mut continued = Continued::default();
    for (number, directory) in directories.iter().enumerate() {
        let bytes = directory_bytes(&directories, number, &mut continued);
        put(&mut image, directory.start, &bytes);
        for child in &directory.children {
            if let Kind::File { content, start } = &child.kind {
                put(&mut image, *start, content);
            }
        }
    }
    put(&mut image, CONTINUATIONS, &continued.0);
    image
}

impl Tree {
    fn insert(&mut self, path: &str, content: Option<Vec<u8>>) {
        match (path.split_once('/'), content) {
            (Some((directory, rest)), content) => {
                self.directories.entry(directory.to_owned()).or_default().insert(rest, content);
            }
            (None, Some(content)) => {
                self.files.insert(path.to_owned(), content);
            }
            (None, None) => {
                self.directories.entry(path.to_owned()).or_default();
            }
        }
    }
}

/// Flattens the tree level by level, as the path table wants it, and gives every name its ISO form.
fn number(root: Tree) -> Vec<Directory> {
    let mut directories = vec![Directory { identifier: vec![0], ..Directory::default() }];
    let mut level = vec![(0, root)];
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, tree) in level {
            let (mut taken, mut children) = (Vec::new(), Vec::new());
            for (name, content) in tree.files {
                let identifier = identifier(&name, true, &mut taken);
                children.push((Child { identifier, name, kind: Kind::File { content, start: 0 } }, None));
            }
            for (name, below) in tree.directories {
                let identifier = identifier(&name, false, &mut taken);
                children.push((Child { identifier, name, kind: Kind::Directory { number: 0 } }, Some(below)));
            }
            children.sort_by(|(a, _), (b, _)| unversioned(&a.identifier).cmp(unversioned(&b.identifier)));
            for (mut child, below) in children {
                if let Some(below) = below {
                    child.kind = Kind::Directory { number: directories.len() };
                    next.push((directories.len(), below));
                    let identifier = child.identifier.clone();
                    directories.push(Directory { parent: number, identifier, ..Directory::default() });
                }
                directories[number].children.push(child);
            }
        }
        level = next;
    }
    directories
}

/// The ISO form of a name: `A-Z 0-9 _`, at most 30 characters, one dot and a version in files; unlike all `taken`.
fn identifier(name: &str, is_file: bool, taken: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let letters = |text: &str, max: usize| -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        text.chars().map(legal).take(max).collect()
    };
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if is_file && !stem.is_empty() => (letters(stem, 18), letters(extension, 8)),
        _ => (letters(name, 18), String::new()),
    };
    for number in 0.. {
        let stem = if number == 0 { stem.clone() } else { format!("{stem}{number:03}") };
        let form = if is_file { format!("{stem}.{extension};1") } else { stem };
        if !taken.contains(&form.clone().into_bytes()) {
            taken.push(form.clone().into_bytes());
            return form.into_bytes();
        }
    }
    unreachable!("a directory has fewer entries than there are numbers")
}

fn unversioned(identifier: &[u8]) -> &[u8] {
    identifier.strip_suffix(b";1").unwrap_or(identifier)
}

/// Gives directories and files their sectors; returns the count of all sectors.
fn place(directories: &mut [Directory], continued: &mut Continued) -> usize {
    for number in 0..directories.len() {
        directories[number].bytes_len = directory_bytes(directories, number, continued).len();
    }
    let mut next = CONTINUATIONS + continued.0.len().div_ceil(SECTOR);
    for directory in directories.iter_mut() {
        directory.start = next;
        next += directory.bytes_len / SECTOR;
    }
    for child in directories.iter_mut().flat_map(|d| &mut d.children) {
        if let Kind::File { content, start } = &mut child.kind {
            *start = next;
            next += content.len().div_ceil(SECTOR);
        }
    }
    next
}

fn directory_bytes(directories: &[Directory], number: usize, continued: &mut Continued) -> Vec<u8> {
    let directory = &directories[number];
    let parent = &directories[directory.parent];
    let mut own = attributes(DIRECTORY_MODE, links(directory));
    if number == 0 {
        own = [&b"SP\x07\x01\xbe\xef\x00"[..], &own, &continued.add(&extension_reference())].concat();
    }
    let mut records = Records::default();
    records.add(&[0], directory.start, directory.bytes_len, true, &own);
    records.add(&[1], parent.start, parent.bytes_len, true, &attributes(DIRECTORY_MODE, links(parent)));
    for child in &directory.children {
        let (start, len, is_directory, own) = match &child.kind {
            Kind::Directory { number } => {
                let below = &directories[*number];
                (below.start, below.bytes_len, true, attributes(DIRECTORY_MODE, links(below)))
            }
            Kind::File { content, start } => (*start, content.len(), false, attributes(FILE_MODE, 1)),
        };
        let name = [&b"NM"[..], &[byte(child.name.len() + 5), 1, 0], child.name.as_bytes()].concat();
        let room = 255 - (33 + child.identifier.len()).next_multiple_of(2) - own.len() - 1;
        let name = if name.len() <= room { name } else { continued.add(&name) };
        records.add(&child.identifier, start, len, is_directory, &[own, name].concat());
    }
    records.finish()
}

fn links(directory: &Directory) -> usize {
    2 + directory.children.iter().filter(|c| matches!(c.kind, Kind::Directory { .. })).count()
}

/// Rock Ridge `PX` (mode, links, owner) and `TF` (three times).
fn attributes(mode: usize, links: usize) -> Vec<u8> {
    let mut entries = b"PX\x24\x01".to_vec();
    for value in [mode, links, 0, 0] {
        entries.extend_from_slice(&both32(value));
    }
    entries.extend_from_slice(b"TF\x1a\x01\x0e");
    for _ in 0..3 {
        entries.extend_from_slice(&RECORD_DATE);
    }
    entries
}

/// The `ER` entry that names Rock Ridge.
fn extension_reference() -> Vec<u8> {
    const ID: &[u8] = b"RRIP_1991A";
    const ABOUT: &[u8] = b"POSIX FILE NAMES AND ATTRIBUTES";
    const SOURCE: &[u8] = b"ROCK RIDGE INTERCHANGE PROTOCOL 1.09";
    let lengths = [byte(8 + ID.len() + ABOUT.len() + SOURCE.len()), 1, byte(ID.len()), byte(ABOUT.len())];
    [b"ER", &lengths[..], &[byte(SOURCE.len()), 1], ID, ABOUT, SOURCE].concat()
}

/// The continuation areas, one behind the other; none crosses a sector's end.
#[derive(Default)]
struct Continued(Vec<u8>);

impl Continued {
    /// Takes entries out of a record; returns the `CE` entry that leads to them.
    fn add(&mut self, entries: &[u8]) -> Vec<u8> {
        if self.0.len() % SECTOR + entries.len() > SECTOR {
            self.0.resize(self.0.len().next_multiple_of(SECTOR), 0);
        }
        let at = self.0.len();
        self.0.extend_from_slice(entries);
        let place = [both32(CONTINUATIONS + at / SECTOR), both32(at % SECTOR), both32(entries.len())];
        [b"CE\x1c\x01", place.as_flattened()].concat()
    }
}

#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    fn add(&mut self, identifier: &[u8], start: usize, len: usize, is_directory: bool, system_use: &[u8]) {
        let mut record = vec![0; 33];
        record[2..10].copy_from_slice(&both32(start));
        record[10..18].copy_from_slice(&both32(len));
        record[18..25].copy_from_slice(&RECORD_DATE);
        record[25] = if is_directory { 2 } else { 0 };
        record[28..32].copy_from_slice(&[1, 0, 0, 1]);
        record[32] = byte(identifier.len());
        record.extend_from_slice(identifier);
        record.resize(record.len().next_multiple_of(2), 0);
        record.extend_from_slice(system_use);
        record.resize(record.len().next_multiple_of(2), 0);
        record[0] = byte(record.len());
        if self.0.len() % SECTOR + record.len() > SECTOR {
            self.0.resize(self.0.len().next_multiple_of(SECTOR), 0);
        }
        self.0.extend_from_slice(&record);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(SECTOR), 0);
        self.0
    }
}

fn path_table(directories: &[Directory], big: bool) -> Vec<u8> {
    let mut table = Vec::new();
    for directory in directories {
        let start = u32::try_from(directory.start).expect("an image has fewer than 2^32 sectors");
        let parent = u16::try_from(directory.parent + 1).expect("an image has fewer than 2^16 directories");
        table.extend_from_slice(&[byte(directory.identifier.len()), 0]);
        table.extend_from_slice(&if big { start.to_be_bytes() } else { start.to_le_bytes() });
        table.extend_from_slice(&if big { parent.to_be_bytes() } else { parent.to_le_bytes() });
        table.extend_from_slice(&directory.identifier);
        table.resize(table.len().next_multiple_of(2), 0);
    }
    assert!(table.len() <= SECTOR, "the path table has one sector");
    table
}

fn descriptor(sector: &mut [u8], volume_id: &str, total: usize, directories: &[Directory]) {
    let root = &directories[0];
    sector[..8].copy_from_slice(b"\x01CD001\x01\x00");
    sector[8..72].fill(b' ');
    sector[8..13].copy_from_slice(b"LINUX");
    sector[40..40 + volume_id.len()].copy_from_slice(volume_id.as_bytes());
    sector[80..88].copy_from_slice(&both32(total));
    for (at, value) in [(120, 1), (124, 1), (128, 2048_u16)] {
        sector[at..at + 2].copy_from_slice(&value.to_le_bytes());
        sector[at + 2..at + 4].copy_from_slice(&value.to_be_bytes());
    }
    sector[132..140].copy_from_slice(&both32(path_table(directories, false).len()));
    sector[140..144].copy_from_slice(&both32(PATH_TABLE_LITTLE)[..4]);
    sector[148..152].copy_from_slice(&both32(PATH_TABLE_BIG)[4..]);
    let mut record = Records::default();
    record.add(&[0], root.start, root.bytes_len, true, &[]);
    sector[156..190].copy_from_slice(&record.0);
    sector[190..813].fill(b' ');
    for at in [813, 830, 864] {
        sector[at..at + 17].copy_from_slice(VOLUME_DATE);
    }
    sector[847..864].copy_from_slice(b"0000000000000000\0");
    sector[881] = 1;
}

fn put(image: &mut [u8], sector: usize, bytes: &[u8]) {
    image[sector * SECTOR..sector * SECTOR + bytes.len()].copy_from_slice(bytes);
}

/// A 32-bit number in both byte orders, as most fields of ISO 9660 have it.
fn both32(value: usize) -> [u8; 8] {
    let value = u32::try_from(value).expect("a synthetic image is smaller than 4 GiB");
    let mut field = [0; 8];
    field[..4].copy_from_slice(&value.to_le_bytes());
    field[4..].copy_from_slice(&value.to_be_bytes());
    field
}

fn byte(value: usize) -> u8 {
    u8::try_from(value).expect("lengths in records fit one byte")
}
