//! Images and archives as nobody wrote them: the simulated machine's readers refuse them or read what is there.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use provisioning_sim::real::iso::{InitramfsError, IsoFs, IsoOptions, IsoReadError, build, last_member};

const SECTOR: usize = 2048;

static STOCK: LazyLock<Vec<u8>> = LazyLock::new(|| build(&IsoOptions { filler_bytes: 5_000, ..IsoOptions::default() }));

/// Where descriptors, continuation areas and directories lie in the image; the rest is content.
fn structure(image: &[u8]) -> Vec<usize> {
    let is_directory = |sector: &[u8]| sector[1] == 0 && sector[33] == 0 && (34..=128).contains(&sector[0]);
    let sectors = image.chunks(SECTOR).enumerate().skip(16);
    sectors.filter(|(number, sector)| *number < 22 || is_directory(sector)).map(|(number, _)| number).collect()
}

/// Lists an image and reads each of its files; what comes out lies in the image and is no longer than allowed.
fn check(image: &[u8]) -> Result<(), TestCaseError> {
    let Ok(fs) = IsoFs::open(image) else { return Ok(()) };
    let Ok(entries) = fs.list() else { return Ok(()) };
    prop_assert!(entries.len() <= 20_000);
    for entry in entries.iter().take(50) {
        prop_assert!(entry.path.len() <= 17 * (3 * 255 + 1), "{} bytes", entry.path.len());
        prop_assert!(entry.content.is_empty() || lies_in(image, entry.content));
        if let Some(content) = fs.read(&entry.path).unwrap_or_default() {
            prop_assert!(content.is_empty() || lies_in(image, content));
        }
    }
    Ok(())
}

fn lies_in(whole: &[u8], part: &[u8]) -> bool {
    whole.as_ptr_range().contains(&part.as_ptr()) && part.as_ptr_range().end <= whole.as_ptr_range().end
}

/// Bytes that mean something where lengths, positions and flags stand.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 1..9),
        select(vec![0_u32, 1, 16, 20, 22, 2047, 2048, 2049, 0x7fff_ffff, u32::MAX]).prop_map(|value| [
            value.to_le_bytes(),
            value.to_be_bytes()
        ]
        .concat()),
        select(vec![
            &b"CE\x1c\x01"[..],
            b"NM\xff\x01\0",
            b"ST\x04\x01",
            b"NM\0\x01",
            b"\x01CD001\x01",
            b"\xff",
            b"\0\0"
        ])
        .prop_map(<[u8]>::to_vec),
    ]
}

proptest! {
    #[test]
    fn an_image_with_damaged_directories_is_read_or_refused(
        damage in vec((any::<Index>(), any::<Index>(), any_bytes()), 1..12), cut: Option<Index>,
    ) {
        let mut image = STOCK.clone();
        let structure = structure(&image);
        for (sector, place, bytes) in &damage {
            let at = sector.get(&structure) * SECTOR + place.index(SECTOR - 16);
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        if let Some(cut) = cut {
            image.truncate(cut.index(image.len()));
        }
        check(&image)?;
    }

    #[test]
    fn sectors_of_noise_behind_a_descriptor_are_read_or_refused(
        mut noise in vec(any::<u8>(), 4 * SECTOR), root in 0_u32..24, len in 0_u32..9000,
    ) {
        let mut image = vec![0; 17 * SECTOR];
        let descriptor = &mut image[16 * SECTOR..];
        descriptor[..7].copy_from_slice(b"\x01CD001\x01");
        for (at, value) in [(80, 17), (158, root), (166, len)] {
            descriptor[at..at + 4].copy_from_slice(&value.to_le_bytes());
            descriptor[at + 4..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        noise[0] = 34;
        image.append(&mut noise);
        check(&image)?;
    }

    #[test]
    fn an_initramfs_of_pieces_is_unpacked_or_refused(
        pieces in vec(prop_oneof![
            any_member(),
            vec(any::<u8>(), 0..40),
            (0_usize..9).prop_map(|count| vec![0; count]),
            Just(b"070701".to_vec()),
        ], 0..8),
        aligned: bool,
    ) {
        let mut initrd = Vec::new();
        for piece in pieces {
            initrd.extend(piece);
            if aligned {
                initrd.resize(initrd.len().next_multiple_of(4), 0);
            }
        }
        match last_member(&initrd, "proxmox.iso") {
            Ok(found) => prop_assert!(found.is_none_or(|content| content.is_empty() || lies_in(&initrd, content))),
            Err(InitramfsError::CutOff { present, claimed, name }) => {
                prop_assert!(present < claimed && name.len() <= initrd.len());
            }
            Err(InitramfsError::BadHeader { at } | InitramfsError::Misaligned { at }) => {
                // Behind the last member's padding, which may be missing itself.
                prop_assert!(at <= initrd.len() + 3);
            }
        }
    }
}

/// A header with the fields given, its name and some content, of which there may be less than it says.
fn any_member() -> impl Strategy<Value = Vec<u8>> {
    let size = select(vec!["00000000", "00000004", "00000010", "ffffffff", "+0000004", "0000000g", "-0000001"]);
    let name = select(vec!["proxmox.iso\0", "/proxmox.iso\0", "TRAILER!!!\0", "x\0", "proxmox.iso", "\0"]);
    let name_len = proptest::option::of(select(vec!["00000000", "ffffffff", "00000002"]));
    (size, name, name_len, 0_usize..20).prop_map(|(size, name, name_len, content)| {
        let name_len = name_len.map_or_else(|| format!("{:08x}", name.len()), str::to_owned);
        let zeros = "0".repeat(8 * 6);
        let mut member = format!("070701{zeros}{size}{}{name_len}{}", "0".repeat(8 * 4), "0".repeat(8)).into_bytes();
        assert_eq!(member.len(), 110);
        member.extend_from_slice(name.as_bytes());
        member.resize(member.len().next_multiple_of(4) + content, b'c');
        member
    })
}

#[test]
fn few_directories_that_hold_each_other_many_times_over_are_refused_soon() {
    const LEVELS: u32 = 8;
    let mut image = vec![0; (17 + LEVELS as usize) * SECTOR];
    let both = |value: u32| [value.to_le_bytes(), value.to_be_bytes()].concat();
    image[16 * SECTOR..16 * SECTOR + 7].copy_from_slice(b"\x01CD001\x01");
    for (at, value) in [(80, 17 + LEVELS), (158, 17), (166, 2048)] {
        image[16 * SECTOR + at..16 * SECTOR + at + 8].copy_from_slice(&both(value));
    }
    // Forty records in each, all of which lead to the next; the last one is empty.
    for (sector, next) in image[17 * SECTOR..].chunks_mut(SECTOR).zip(18..17 + LEVELS) {
        for record in sector.chunks_exact_mut(48).take(40) {
            record[0] = 48;
            record[2..10].copy_from_slice(&both(next));
            record[10..18].copy_from_slice(&both(2048));
            record[25] = 2;
            record[32..35].copy_from_slice(b"\x02AB");
        }
    }
    assert_eq!(IsoFs::open(&image).unwrap().list().unwrap_err(), IsoReadError::TooMany { limit: 20_000 });
}

#[test]
fn the_damage_falls_on_directories() {
    assert!(check(&STOCK).is_ok());
    let structure = structure(&STOCK);
    assert!((10..60).contains(&structure.len()), "{structure:?}");
}
