//! What the server reads to serve images: a request's range, and the image that an operator sent.

use provisioning_server::images::inspect::{Inspection, inspect};
use provisioning_server::images::iso9660::{DESCRIPTOR_OFFSET, Extent, Volume};
use provisioning_server::images::patch::{MODE_FILE_NAME, Piece, add_mode_file};
use provisioning_server::images::range::{Wanted, content_range, is_unchanged, wanted};

use super::simulated::mount;

const ETAG: &str = "\"tag\"";
const MODE_FILE: &[u8] = b"mode = \"http\"\n";

/// Lines of a length, a `Range` and, if there is one, an `If-Range`.
pub fn range(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let len = lines.next().and_then(|line| line.parse().ok()).unwrap_or(1000);
    let (range, condition) = (lines.next(), lines.next());
    if let Wanted::Part(part) = wanted(range, condition, ETAG, len) {
        assert!(part.start < part.end && part.end <= len, "{part:?} of {len}");
        assert_eq!(content_range(&part, len), format!("bytes {}-{}/{len}", part.start, part.end - 1));
        assert!(condition.is_none_or(|tag| tag.trim() == ETAG), "a part of something else");
    }
    is_unchanged(condition, ETAG);
}

/// An image from its volume descriptor on: nobody reads the sixteen sectors before it.
pub fn iso9660(bytes: &[u8]) {
    let before = usize::try_from(DESCRIPTOR_OFFSET).expect("sixteen sectors fit into memory");
    let whole = [&vec![0; before], bytes].concat();
    image(&whole);
    mount(&whole);
}

/// Inspects and patches a whole image; whatever is accepted must hold together.
pub fn image(image: &[u8]) {
    if let Ok(volume) = Volume::open(image)
        && let Ok(entries) = volume.entries(volume.root())
    {
        assert!(entries.len() <= image.len() / 34, "a record has 34 bytes at least");
        // Names come from continuation areas, for which all together there is a limit.
        let names: usize = entries.iter().map(|entry| entry.name.len()).sum();
        assert!(names <= 3 * ((8 << 20) + image.len()), "{names} bytes of names");
        for entry in &entries {
            check_place(entry.extent, image);
        }
    }
    if let Ok(inspection) = inspect(image) {
        check_place(inspection.kernel, image);
        check_place(inspection.initrd, image);
        check_patch(image, &inspection);
    }
}

fn check_place(Extent { offset, len }: Extent, image: &[u8]) {
    assert!(offset + len <= image.len() as u64, "{len} bytes at {offset} of {}", image.len());
}

/// The patched image is accepted as the stock one was, and has the mode file.
fn check_patch(image: &[u8], stock: &Inspection) {
    let Ok(patch) = add_mode_file(stock, MODE_FILE) else { return };
    assert!(patch.tail.len() <= 2 * stock.root_bytes.len() + 5 * 2048, "{} bytes more", patch.tail.len());
    let len = patch.len();
    let mut patched = Vec::new();
    for piece in patch.pieces() {
        match piece {
            Piece::Stock(range) => patched.extend_from_slice(&image[index(range.start)..index(range.end)]),
            Piece::New(bytes) => patched.extend_from_slice(&bytes),
        }
    }
    assert_eq!(patched.len() as u64, len);
    let again = inspect(&patched[..]).expect("what was accepted before is accepted with the mode file");
    let added = again.root_entries.iter().find(|entry| entry.name == MODE_FILE_NAME).expect("the mode file is there");
    assert_eq!(&patched[index(added.extent.offset)..][..index(added.extent.len)], MODE_FILE);
    assert_eq!((again.kernel, again.initrd), (stock.kernel, stock.initrd));
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("positions lie in the image, which is in memory")
}
