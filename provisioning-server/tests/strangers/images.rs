//! Images as no tool writes them: they are refused, or served with every position inside the file. And the texts
//! around images: an image's own description, and the mode file that goes into it.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use provisioning_core::model::{BootToken, CertFingerprint, OperationId};
use provisioning_server::images::inspect::{CdInfo, inspect};
use provisioning_server::images::mode::ModeFile;
use provisioning_sim::real::iso::{IsoOptions, build};

use crate::targets::served as targets;

const SECTOR: usize = 2048;

static STOCK: LazyLock<Vec<u8>> = LazyLock::new(|| build(&IsoOptions { filler_bytes: 5_000, ..IsoOptions::default() }));

/// Descriptors, continuation areas and directories: what is read before any content is.
fn structure(image: &[u8]) -> Vec<usize> {
    let is_directory = |sector: &[u8]| sector[1] == 0 && sector[33] == 0 && (34..=128).contains(&sector[0]);
    let sectors = image.chunks(SECTOR).enumerate().skip(16);
    sectors.filter(|(number, sector)| *number < 22 || is_directory(sector)).map(|(number, _)| number).collect()
}

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
    fn an_image_with_damaged_directories_is_refused_or_can_be_served(
        damage in vec((any::<Index>(), any::<Index>(), any_bytes()), 1..4), cut: Option<Index>,
    ) {
        let mut image = STOCK.clone();
        let structure = structure(&image);
        for (sector, place, bytes) in &damage {
            let at = sector.get(&structure) * SECTOR + place.index(SECTOR - 16);
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
        if let Some(cut) = cut {
            image.truncate(image.len() - cut.index(image.len()) / 64);
        }
        targets::image(&image);
    }

    #[test]
    fn bytes_that_begin_like_an_image_are_refused_or_can_be_served(
        mut noise in vec(any::<u8>(), 4 * SECTOR), root in 0_u32..24, len in 0_u32..9000,
    ) {
        let mut image = vec![0; 17 * SECTOR];
        let descriptor = &mut image[16 * SECTOR..];
        descriptor[..7].copy_from_slice(b"\x01CD001\x01");
        descriptor[128..130].copy_from_slice(&[0, 8]);
        for (at, value) in [(80, 17), (158, root), (166, len)] {
            descriptor[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        noise[0] = 34;
        image.append(&mut noise);
        targets::image(&image);
    }

    #[test]
    fn any_description_is_refused_or_names_an_image_that_can_be_a_files_name(
        lines in vec(prop_oneof![
            "(RELEASE|ISORELEASE|ISONAME|PRODUCT)=['\"]?[a-z0-9._/-]{0,70}['\"]?", "RELEASE='[0-9]{1,4}\\.[0-9]'", "\\PC{0,20}",
        ], 0..9),
    ) {
        if let Ok(info) = CdInfo::parse(&lines.join("\n")) {
            let name = info.name();
            prop_assert!(name.len() <= 2 * 64 + 9 && !name.starts_with('.'), "{name}");
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
        }
    }

    #[test]
    fn a_description_reads_back(
        (major, minor, iso) in (0_u16..1000, 0_u16..1000, 0_u16..1000), product in "[a-z]{1,9}", quote in "['\"]?",
    ) {
        let text = format!(
            "RELEASE={quote}{major}.{minor}{quote}\nISORELEASE={quote}{iso}{quote}\nISONAME={quote}proxmox-{product}\
             {quote}\nPRODUCT={quote}{product}{quote}\nPRODUCTLONG={quote}Proxmox VE{quote}\n"
        );
        let info = CdInfo::parse(&text).unwrap();
        prop_assert_eq!(&info.product, &product);
        prop_assert_eq!(info.name(), format!("proxmox-{product}_{major}.{minor}-{iso}"));
    }

    #[test]
    fn a_mode_file_reads_back_whatever_stands_in_the_url(
        url in prop_oneof!["\\PC{0,60}", any::<String>(), "https?://[a-z0-9:./\\[\\]-]{1,30}"],
        token: Option<([u8; 16], [u8; 16])>, fingerprint: Option<[u8; 32]>,
    ) {
        let token = token.map(|(id, secret)| BootToken::new(OperationId::from_bytes(id), secret));
        let cert_fingerprint = fingerprint.map(CertFingerprint::new);
        let text = ModeFile { url: &url, token: token.as_ref(), cert_fingerprint }.render();
        let read: toml::Table = text.parse().unwrap();

        let mut http = toml::Table::new();
        http.insert("url".into(), url.clone().into());
        let token = token.map(|token| ("token".to_owned(), token.expose().into()));
        let fingerprint = cert_fingerprint.map(|found| ("cert_fingerprint".to_owned(), found.to_string().into()));
        http.extend(token.into_iter().chain(fingerprint));
        let expected: toml::Table = [("mode".to_owned(), "http".into()), ("http".to_owned(), http.into())].into_iter().collect();
        prop_assert_eq!(&read, &expected);
        if !url.contains(char::is_control) {
            let lines = 4 + expected["http"].as_table().unwrap().len();
            prop_assert_eq!(text.lines().count(), lines - 1);
        }
    }
}

#[test]
fn an_image_that_is_not_damaged_is_served() {
    assert!(inspect(&STOCK[..]).is_ok());
    targets::image(&STOCK);
    assert!((10..60).contains(&structure(&STOCK).len()));
}
