//! What machines download is judged by the tools that did not make it: cpio, xorriso, and the simulator's reader.

use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use http_body::Body as _;
use http_body_util::BodyExt;
use proptest::prelude::*;
use provisioning_core::model::{BootToken, OperationId, Timestamp};
use provisioning_server::images::artifact::{Artifact, StoredImage};
use provisioning_server::images::body::CHUNK;
use provisioning_server::images::import::ImageStore;
use provisioning_server::images::inspect::inspect;
use provisioning_server::images::mode::ModeFile;
use provisioning_server::images::patch::add_mode_file;
use provisioning_sim::real::iso::{IsoFs, IsoOptions, build, last_member};

use crate::lab::{Lab, catalogued, download};
use crate::tools::{extract_with_xorriso, run};

fn small() -> IsoOptions {
    IsoOptions { filler_bytes: 700_001, ..IsoOptions::default() }
}

fn mode_file(secret: u8) -> Vec<u8> {
    let token = BootToken::new(OperationId::new(Timestamp::from_millis(1), [1; 10]), [secret; 16]);
    let mode = ModeFile { url: "http://10.0.0.2:8080/api/boot/answer", token: Some(&token), cert_fingerprint: None };
    mode.render().into_bytes()
}

fn all_three(image: &StoredImage, mode_file: &[u8]) -> [Artifact; 3] {
    let initrd = Artifact::initrd(image, mode_file).unwrap();
    [Artifact::kernel(image), initrd, Artifact::iso(image, mode_file).unwrap()]
}

/// What xorriso finds in the patched image is what it finds in the stock image, plus the mode file.
fn assert_stock_plus(mode_file: &[u8], stock: &Path, patched: &Path) {
    let mut expected = extract_with_xorriso(stock);
    expected.insert("auto-installer-mode.toml".into(), Some(mode_file.to_vec()));
    let found = extract_with_xorriso(patched);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (path, content) in expected {
        assert!(found[&path] == content, "{} differs", path.display());
    }
}

#[tokio::test]
async fn the_initrd_unpacks_with_cpio_to_the_stock_image_plus_the_mode_file() {
    let lab = Lab::with_image(build(&small())).await;
    let mode_file = mode_file(1);
    let (initrd, _) = download(&Artifact::initrd(&lab.stored, &mode_file).unwrap()).await;

    // The stock initrd comes first and untouched; cpio reads one archive at a time, so it is given the second.
    let stock_fs = IsoFs::open(&lab.stock).unwrap();
    let stock_initrd = stock_fs.read("boot/initrd.img").unwrap().unwrap();
    assert_ne!(stock_initrd.len() % 4, 0);
    assert!(initrd.starts_with(stock_initrd));
    let second = lab.folder.path().join("second.cpio");
    std::fs::write(&second, &initrd[stock_initrd.len().next_multiple_of(4)..]).unwrap();
    let unpacked = lab.folder.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let archive = Stdio::from(std::fs::File::open(&second).unwrap());
    run(Command::new("cpio").args(["-idm", "--quiet"]).current_dir(&unpacked).stdin(archive));
    assert_eq!(std::fs::read_dir(&unpacked).unwrap().count(), 1);

    let member = unpacked.join("proxmox.iso");
    assert!(Some(&std::fs::read(&member).unwrap()[..]) == last_member(&initrd, "proxmox.iso").unwrap());
    assert_stock_plus(&mode_file, &lab.folder.path().join("source.iso"), &member);
}

#[tokio::test]
async fn the_image_by_itself_is_the_one_in_the_initrd() {
    let lab = Lab::with_image(build(&small())).await;
    let [kernel, initrd, iso] = all_three(&lab.stored, &mode_file(1));
    let (iso, _) = download(&iso).await;
    let (initrd, _) = download(&initrd).await;
    assert!(last_member(&initrd, "proxmox.iso").unwrap() == Some(&iso[..]));
    let (kernel, _) = download(&kernel).await;
    assert!(IsoFs::open(&iso).unwrap().read("boot/linux26").unwrap() == Some(&kernel[..]));
}

#[tokio::test]
async fn the_length_told_is_the_length_streamed_and_counted() {
    let lab = Lab::with_image(build(&small())).await;
    for artifact in all_three(&lab.stored, &mode_file(1)) {
        let hint = artifact.clone().into_body(|_| ()).size_hint().exact();
        let (bytes, served) = download(&artifact).await;
        assert_eq!(artifact.len(), bytes.len() as u64);
        assert_eq!(hint, Some(artifact.len()));
        assert_eq!(served, artifact.len());
    }
}

#[tokio::test]
async fn etags_tell_artifacts_and_mode_files_apart_and_give_no_token_away() {
    let lab = Lab::with_image(build(&small())).await;
    let again = lab.store.load(&lab.image).await.unwrap();
    let tags = |image: &StoredImage, secret| all_three(image, &mode_file(secret)).map(|a| a.etag().to_owned());
    let (one, two) = (tags(&lab.stored, 1), tags(&lab.stored, 2));
    assert_eq!(one, tags(&again, 1));
    assert_eq!(one[0], two[0]);
    assert!(one[1] != two[1] && one[2] != two[2] && one[1] != one[2]);
    assert!(one.iter().all(|tag| tag.len() == 66 && tag.starts_with('"') && tag.ends_with('"')));

    let artifact = Artifact::initrd(&lab.stored, b"token = 'secret'").unwrap();
    assert!(!format!("{artifact:?}").contains("secret"));
    assert_eq!(artifact.slice(5..9).etag(), artifact.etag());
}

#[test]
fn any_slice_is_that_part_of_the_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lab = runtime.block_on(Lab::with_image(build(&IsoOptions { filler_bytes: 9_999, ..small() })));
    let artifact = Artifact::initrd(&lab.stored, &mode_file(1)).unwrap();
    let (whole, _) = runtime.block_on(download(&artifact));
    // Small distances around the joints of segments matter most: the stock initrd's end is one.
    let joint = artifact.segments()[0].len();
    let start = prop_oneof![0..artifact.len(), joint - 20..joint + 200, artifact.len() - 200..artifact.len()];
    let cases = (start, prop_oneof![0..300_u64, 0..artifact.len() + 10]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
    let result = runner.run(&cases, |(start, len)| {
        let slice = artifact.slice(start..start + len);
        let (bytes, _) = runtime.block_on(download(&slice));
        let start = usize::try_from(start).unwrap();
        let end = (start + usize::try_from(len).unwrap()).min(whole.len());
        prop_assert!(bytes == whole[start..end]);
        prop_assert_eq!(slice.len(), bytes.len() as u64);
        Ok(())
    });
    result.unwrap();
}

#[tokio::test]
async fn sixty_four_downloads_use_one_buffer_each() {
    let lab = Lab::with_image(build(&IsoOptions { filler_bytes: 4 << 20, ..small() })).await;
    let artifact = Artifact::iso(&lab.stored, &mode_file(1)).unwrap();
    let downloads = (0..64).map(|_| async {
        let mut body = artifact.clone().into_body(|_| ());
        let mut buffers = std::collections::BTreeSet::new();
        let mut frames = 0;
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= CHUNK);
            if data.len() == CHUNK {
                frames += 1;
                buffers.insert(data.as_ptr().addr());
            }
        }
        (frames, buffers.len())
    });
    for (frames, buffers) in join_all(downloads).await {
        assert!(frames >= 16);
        assert_eq!(buffers, 1);
    }
}

#[tokio::test]
async fn a_reader_that_keeps_its_frames_gets_right_bytes_too() {
    let lab = Lab::with_image(build(&small())).await;
    let artifact = Artifact::iso(&lab.stored, &mode_file(1)).unwrap();
    let body = axum::body::Body::new(artifact.clone().into_body(|_| ()));
    let collected = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    assert!(collected == download(&artifact).await.0);
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_served_ends_the_body_with_an_error() {
    let lab = Lab::with_image(build(&small())).await;
    let path = lab.folder.path().join(format!("images/{}.iso", lab.image.sha256));
    let shrunk = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    shrunk.set_len(100_000).unwrap();
    let mut body = Artifact::iso(&lab.stored, b"").unwrap().into_body(|_| ());
    let mut last = None;
    while let Some(frame) = body.frame().await {
        last = Some(frame);
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

/// A tree like Proxmox', with more root entries than fit a sector and names that need continuation areas.
fn image_made_by_xorriso(folder: &Path, options: &[&str]) -> std::path::PathBuf {
    let tree = folder.join("tree");
    for entry in IsoFs::open(&build(&small())).unwrap().list().unwrap() {
        let path = tree.join(&entry.path);
        if entry.is_directory {
            std::fs::create_dir_all(path).unwrap();
        } else {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, entry.content).unwrap();
        }
    }
    for number in 0..40 {
        std::fs::write(tree.join(format!("{number:02}-{}", "long-name.".repeat(20))), [number]).unwrap();
    }
    let image = folder.join("source.iso");
    let mut command = Command::new("xorriso");
    run(command.args(["-as", "mkisofs", "-quiet", "-V", "PVE"]).args(options).arg("-o").arg(&image).arg(&tree));
    image
}

async fn check_image_made_by_xorriso(options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let source = image_made_by_xorriso(folder.path(), options);
    let store = ImageStore::open(folder.path()).await.unwrap();
    let image = catalogued(store.import_file(source.clone(), |_| ()).await.unwrap());
    assert_eq!(image.name, "proxmox-ve_9.2-1");
    let stored = store.load(&image).await.unwrap();
    assert!(stored.inspection.root_entries.iter().filter(|entry| entry.name.len() > 200).count() == 40);
    let (bytes, _) = download(&Artifact::iso(&stored, &mode_file(3)).unwrap()).await;
    let patched = folder.path().join("patched.iso");
    std::fs::write(&patched, &bytes).unwrap();
    assert_stock_plus(&mode_file(3), &source, &patched);
    assert_eq!(IsoFs::open(&bytes).unwrap().read("auto-installer-mode.toml").unwrap(), Some(&mode_file(3)[..]));
}

#[tokio::test]
async fn an_image_made_by_xorriso_is_read_patched_and_read_again_by_xorriso() {
    check_image_made_by_xorriso(&["-R"]).await;
}

#[tokio::test]
async fn an_image_with_joliet_and_level_3_names_is_no_different() {
    check_image_made_by_xorriso(&["-R", "-J", "-joliet-long", "-iso-level", "3"]).await;
}

fn damaged_images() -> impl Strategy<Value = Vec<(usize, u8)>> {
    // Descriptor, path tables, continuation areas and directories lie in the first sectors: damage those most.
    let place = prop_oneof![4 => 16 * 2048..40 * 2048_usize, 1 => 0..200_000_usize];
    proptest::collection::vec((place, prop_oneof![Just(0), Just(255), any::<u8>()]), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_damage_makes_the_reader_panic(damage in damaged_images(), cut in prop::option::of(0..250_000_usize)) {
        let mut image = build(&IsoOptions { filler_bytes: 1_000, ..small() });
        for (place, value) in damage {
            if let Some(byte) = image.get_mut(place) {
                *byte = value;
            }
        }
        image.truncate(cut.unwrap_or(image.len()));
        if let Ok(inspection) = inspect(&image[..])
            && let Ok(patch) = add_mode_file(&inspection, b"mode = \"http\"\n")
        {
            prop_assert!(patch.len() > image.len() as u64);
            prop_assert!(inspection.kernel.offset + inspection.kernel.len <= image.len() as u64);
        }
    }
}
