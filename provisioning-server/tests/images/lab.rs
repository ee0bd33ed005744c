//! A store with one synthetic image in it, and a client that downloads from it.

use http_body_util::BodyExt;
use provisioning_core::model::{Image, ImageId, Timestamp};
use provisioning_server::images::artifact::{Artifact, StoredImage};
use provisioning_server::images::body::CHUNK;
use provisioning_server::images::import::{ImageStore, Imported};
use tempfile::TempDir;

/// A store in a folder of its own, with one image.
pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) store: ImageStore,
    pub(crate) image: Image,
    pub(crate) stored: StoredImage,
    pub(crate) stock: Vec<u8>,
}

impl Lab {
    pub(crate) async fn with_image(stock: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path()).await.unwrap();
        let source = folder.path().join("source.iso");
        std::fs::write(&source, &stock).unwrap();
        let image = catalogued(store.import_file(source, |_| ()).await.unwrap());
        let stored = store.load(&image).await.unwrap();
        Self { folder, store, image, stored, stock }
    }
}

pub(crate) fn catalogued(imported: Imported) -> Image {
    let at = Timestamp::from_millis(1_700_000_000_000);
    imported.into_image(ImageId::new(at, [1; 10]), at)
}

/// Reads an artifact's body to its end, one frame at a time; returns the bytes and the count of bytes served.
pub(crate) async fn download(artifact: &Artifact) -> (Vec<u8>, u64) {
    let (count, counted) = std::sync::mpsc::channel();
    let mut body = artifact.clone().into_body(move |bytes| count.send(bytes).unwrap());
    let mut received = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.len() <= CHUNK);
        received.extend_from_slice(&data);
    }
    drop(body);
    (received, counted.iter().sum())
}
