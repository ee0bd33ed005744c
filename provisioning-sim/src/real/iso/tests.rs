//! The synthetic image is read by our own reader and by xorriso, and both see the same.

use std::collections::BTreeSet;
use std::process::Command;

use super::*;

fn small() -> IsoOptions {
    IsoOptions { filler_bytes: 10_000, ..IsoOptions::default() }
}

#[test]
fn equal_options_make_equal_bytes_and_another_seed_makes_others() {
    let image = build(&small());
    assert!(image == build(&small()));
    assert!(image != build(&IsoOptions { seed: 2, ..small() }));
}

#[test]
fn the_layout_is_that_of_a_proxmox_image() {
    let image = build(&small());
    let fs = IsoFs::open(&image).unwrap();
    let info = fs.read("/.cd-info").unwrap().unwrap();
    assert!(info.starts_with(b"RELEASE='9.2'\nISORELEASE='1'\nISONAME='proxmox-ve'\n"));
    assert_eq!(fs.read(".disk/info").unwrap(), Some(info));
    for path in ["boot/linux26", "boot/initrd.img", "pve-base.squashfs", ".pve-cd-id.txt", "auto-installer-capable"] {
        assert!(fs.read(path).unwrap().is_some(), "{path}");
    }
    assert_eq!(fs.read("auto-installer-mode.toml").unwrap(), None);
    assert!(fs.list().unwrap().iter().any(|e| e.path == ".installer-mp" && e.is_directory));
    assert!(fs.list().unwrap().iter().any(|e| e.path.len() > 150), "no name needs a continuation area");
}

#[test]
fn the_initrd_is_a_cpio_archive_that_needs_padding() {
    let image = build(&small());
    let fs = IsoFs::open(&image).unwrap();
    let initrd = fs.read("boot/initrd.img").unwrap().unwrap();
    assert_ne!(initrd.len() % 4, 0);
    assert_eq!(last_member(initrd, ".cd-info").unwrap(), fs.read(".cd-info").unwrap());
    assert_eq!(last_member(initrd, "proxmox.iso"), Ok(None));
}

#[test]
fn options_decide_what_the_image_claims_to_be() {
    let options = IsoOptions {
        release: Release::new(8, 1),
        product: Product::Pbs,
        capable: false,
        mode_file: Some(b"mode = \"iso\"\n".to_vec()),
        ..small()
    };
    let image = build(&options);
    let fs = IsoFs::open(&image).unwrap();
    assert_eq!(options.file_name(), "proxmox-backup-server_8.1-1.iso");
    assert!(fs.read(".cd-info").unwrap().unwrap().ends_with(b"PRODUCTLONG='Proxmox Backup Server'\n"));
    assert_eq!(fs.read("auto-installer-capable").unwrap(), None);
    assert_eq!(fs.read("auto-installer-mode.toml").unwrap(), Some(&b"mode = \"iso\"\n"[..]));
}

#[test]
fn an_image_that_is_cut_off_can_not_be_mounted() {
    let image = build(&small());
    let present = image.len() - 1;
    assert_eq!(IsoFs::open(&image[..present]).unwrap_err(), IsoReadError::CutOff { claimed: image.len(), present });
    assert_eq!(IsoFs::open(&vec![0; 100_000]).unwrap_err(), IsoReadError::NoVolume);
}

#[test]
fn xorriso_reads_every_file_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.iso");
    write_file(&small(), &path).unwrap();
    let out = folder.path().join("tree");
    let output = Command::new("xorriso")
        .args(["-abort_on", "WARNING", "-osirrox", "on", "-indev"])
        .arg(&path)
        .args(["-extract", "/"])
        .arg(&out)
        .output()
        .expect("xorriso is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let image = std::fs::read(&path).unwrap();
    let entries = IsoFs::open(&image).unwrap().list().unwrap();
    for entry in &entries {
        let extracted = out.join(&entry.path);
        if entry.is_directory {
            assert!(extracted.is_dir(), "{}", entry.path);
        } else {
            assert!(std::fs::read(&extracted).unwrap() == entry.content, "{}", entry.path);
        }
    }
    let expected: BTreeSet<_> = entries.iter().map(|e| out.join(&e.path)).collect();
    assert_eq!(walk(&out), expected);
}

fn walk(directory: &Path) -> BTreeSet<std::path::PathBuf> {
    let mut paths = BTreeSet::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(walk(&path));
        }
        paths.insert(path);
    }
    paths
}
