//! Imports are whole or did not happen: what is refused, broken off or repeated leaves the store as it was.

use std::io;
use std::path::Path;
use std::sync::mpsc;

use bytes::Bytes;
use futures_util::stream;
use provisioning_core::model::Release;
use provisioning_server::images::artifact::Artifact;
use provisioning_server::images::import::{ImageStore, ImportError, OpenError};
use provisioning_sim::real::iso::{IsoOptions, build};

use crate::lab::{Lab, catalogued, download};

fn small() -> Vec<u8> {
    build(&IsoOptions { filler_bytes: 3 << 20, release: Release::new(8, 4), ..IsoOptions::default() })
}

fn in_pieces(bytes: &[u8], len: usize) -> Vec<io::Result<Bytes>> {
    bytes.chunks(len).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

fn names(data_dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data_dir.join("images")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The message with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn an_import_reports_its_progress_and_what_it_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).await.unwrap();
    let (stock, source) = (small(), folder.path().join("x.iso"));
    std::fs::write(&source, &stock).unwrap();
    let (report, reports) = mpsc::channel();
    let imported = store.import_file(source, move |progress| report.send(progress).unwrap()).await.unwrap();
    let reports: Vec<_> = reports.iter().collect();
    assert!(reports.len() > 2 && reports.is_sorted_by_key(|progress| progress.done));
    assert!(reports.iter().all(|progress| progress.total == Some(stock.len() as u64)));
    assert_eq!(reports.last().unwrap().done, stock.len() as u64);

    assert!(!imported.was_there);
    let image = catalogued(imported);
    assert_eq!(image.name, "proxmox-ve_8.4-1");
    assert_eq!((image.release, image.iso_release.as_str()), (Release::new(8, 4), "1"));
    assert_eq!(image.size_bytes, stock.len() as u64);
    assert_eq!(names(folder.path()), [format!("{}.iso", image.sha256)]);
    assert!(std::fs::read(folder.path().join(format!("images/{}.iso", image.sha256))).unwrap() == stock);
}

#[tokio::test]
async fn the_digest_is_that_of_sha256sum() {
    let lab = Lab::with_image(small()).await;
    let output = std::process::Command::new("sha256sum").arg(lab.folder.path().join("source.iso")).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(&lab.image.sha256.to_string()));
}

#[tokio::test]
async fn an_upload_of_the_same_bytes_is_the_same_image() {
    let lab = Lab::with_image(small()).await;
    let pieces = stream::iter(in_pieces(&lab.stock, 70_000));
    let mut done = Vec::new();
    let again = lab.store.import_stream(pieces, None, |progress| done.push(progress.done)).await.unwrap();
    assert!(again.was_there);
    assert_eq!(again.sha256, lab.image.sha256);
    assert_eq!(done.last(), Some(&(lab.stock.len() as u64)));
    assert_eq!(names(lab.folder.path()).len(), 1);
}

#[tokio::test]
async fn a_stored_file_that_was_damaged_is_healed_by_importing_it_again() {
    let lab = Lab::with_image(small()).await;
    let path = lab.folder.path().join(format!("images/{}.iso", lab.image.sha256));
    std::fs::write(&path, &lab.stock[..100_000]).unwrap();
    let err = lab.store.load(&lab.image).await.unwrap_err();
    assert!(matches!(err, OpenError::Resized { present: 100_000, .. }), "{err}");
    let pieces = stream::iter(in_pieces(&lab.stock, 1 << 20));
    assert!(!lab.store.import_stream(pieces, None, |_| ()).await.unwrap().was_there);
    assert!(lab.store.load(&lab.image).await.is_ok());
}

#[tokio::test]
async fn files_that_are_no_images_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).await.unwrap();
    let (stock, junk) = (small(), vec![b'x'; 50_000]);
    let cases: [(&[u8], &str); 4] = [
        (b"", "not an ISO 9660 image: it is too short"),
        (&junk, "not an ISO 9660 image: it has no primary volume descriptor in sector 16"),
        (&stock[..60_000], "the image is truncated: 60000 bytes are there"),
        (&stock[..stock.len() - 1], "the image is truncated"),
    ];
    for (bytes, reason) in cases {
        let source = folder.path().join("x.iso");
        std::fs::write(&source, bytes).unwrap();
        let by_path = chain(&store.import_file(source, |_| ()).await.unwrap_err());
        assert!(by_path.starts_with(reason), "{by_path}");
        let pieces = stream::iter(in_pieces(bytes, 10_000));
        let by_upload = chain(&store.import_stream(pieces, None, |_| ()).await.unwrap_err());
        assert_eq!(by_upload, by_path);
    }
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn paths_that_are_no_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).await.unwrap();
    let err = store.import_file(folder.path().to_owned(), |_| ()).await.unwrap_err();
    assert_eq!(err.to_string(), format!("{} is no regular file", folder.path().display()));
    let absent = folder.path().join("absent.iso");
    let err = chain(&store.import_file(absent.clone(), |_| ()).await.unwrap_err());
    assert!(err.starts_with(&format!("{} could not be read: No such file", absent.display())), "{err}");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).await.unwrap();
    let mut pieces = in_pieces(&small(), 1 << 20);
    pieces.truncate(2);
    pieces.push(Err(io::ErrorKind::ConnectionReset.into()));
    let err = store.import_stream(stream::iter(pieces), None, |_| ()).await.unwrap_err();
    assert!(matches!(err, ImportError::Upload(_)), "{err}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn an_upload_of_something_else_is_refused_before_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).await.unwrap();
    let junk = Bytes::from(vec![b'x'; 65_536]);
    let endless = stream::repeat_with(|| io::Result::Ok(junk.clone()));
    let err = store.import_stream(endless, None, |_| ()).await.unwrap_err();
    assert!(err.to_string().starts_with("not an ISO 9660 image"), "{err}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_start_removes_what_a_dead_import_left_and_spares_a_living_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    let part = |name: &str| std::fs::File::create(folder.path().join("images").join(name)).unwrap();
    part("incoming-dead.part");
    part("kept.iso");
    let living = part("incoming-living.part");
    living.lock().unwrap();
    ImageStore::open(folder.path()).await.unwrap();
    let mut left = names(folder.path());
    left.sort();
    assert_eq!(left, ["incoming-living.part", "kept.iso"]);
}

#[tokio::test]
async fn a_removed_image_can_not_be_loaded_but_a_download_under_way_finishes() {
    let lab = Lab::with_image(small()).await;
    lab.store.remove(lab.image.sha256).await.unwrap();
    lab.store.remove(lab.image.sha256).await.unwrap();
    assert!(matches!(lab.store.load(&lab.image).await, Err(OpenError::Missing { .. })));
    let kernel = Artifact::kernel(&lab.stored);
    assert_eq!(download(&kernel).await.1, kernel.len());
}
