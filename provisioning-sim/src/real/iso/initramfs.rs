//! The initramfs as a kernel unpacks it: cpio (newc) archives one after the other, zeros between them.

const MAGIC: &[u8] = b"070701";
const HEADER_LEN: usize = 110;
const TRAILER: &str = "TRAILER!!!";

/// Finds the file `name` at the root of an initramfs, without copying it.
///
/// As in the kernel the last member of a name wins, and an archive must begin at a multiple of four bytes. A
/// compressed archive can not be walked here: behind one, the next archive is found by the header of `name` itself.
pub fn last_member<'a>(initrd: &'a [u8], name: &str) -> Result<Option<&'a [u8]>, InitramfsError> {
    let mut found = None;
    let mut at = 0;
    while let Some(start) = next_non_zero(initrd, at) {
        if initrd[start..].starts_with(MAGIC) {
            if start % 4 != 0 {
                return Err(InitramfsError::Misaligned { at: start });
            }
            at = walk(initrd, start, name, &mut found)?;
        } else {
            match scan(initrd, start, name) {
                Some(header) => at = header,
                None => break,
            }
        }
    }
    Ok(found)
}

/// Appends one member to an archive, padded, mode 0644.
pub(super) fn append_member(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    append_header(archive, 0o100_644, name, content.len());
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

/// Ends an archive. Its padding is left away, as some tools do.
pub(super) fn append_trailer(archive: &mut Vec<u8>) {
    append_header(archive, 0, TRAILER, 0);
    while archive.last() == Some(&0) {
        archive.pop();
    }
    archive.push(0);
}

fn append_header(archive: &mut Vec<u8>, mode: usize, name: &str, size: usize) {
    let ino = archive.len() / 4 + 1;
    let fields = [ino, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.len() + 1, 0];
    archive.extend_from_slice(MAGIC);
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

fn next_non_zero(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.iter().position(|&b| b != 0).map(|i| from + i)
}

/// Walks one archive and returns where it ends.
fn walk<'a>(
    initrd: &'a [u8],
    start: usize,
    wanted: &str,
    found: &mut Option<&'a [u8]>,
) -> Result<usize, InitramfsError> {
    let mut at = start;
    loop {
        let member = Member::at(initrd, at).ok_or(InitramfsError::BadHeader { at })?;
        let content = initrd.get(member.content.clone()).ok_or_else(|| InitramfsError::CutOff {
            name: member.name.to_owned(),
            claimed: member.content.len(),
            present: initrd.len().saturating_sub(member.content.start),
        })?;
        at = member.content.end.next_multiple_of(4);
        if member.name == TRAILER {
            return Ok(member.content.end);
        }
        if member.is_called(wanted) {
            *found = Some(content);
        }
    }
}

/// Looks for the header of `wanted` at every multiple of four.
fn scan(initrd: &[u8], from: usize, wanted: &str) -> Option<usize> {
    let mut at = from.next_multiple_of(4);
    while let Some(rest) = initrd.get(at..) {
        if rest.len() < HEADER_LEN {
            return None;
        }
        if rest.starts_with(MAGIC) && Member::at(initrd, at).is_some_and(|member| member.is_called(wanted)) {
            return Some(at);
        }
        at += 4;
    }
    None
}

struct Member<'a> {
    name: &'a str,
    content: std::ops::Range<usize>,
}

impl<'a> Member<'a> {
    fn at(initrd: &'a [u8], at: usize) -> Option<Self> {
        let header = initrd.get(at..at + HEADER_LEN).filter(|h| h.starts_with(MAGIC))?;
        let field = |index: usize| {
            let text = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index]).ok()?;
            usize::from_str_radix(text, 16).ok()
        };
        let (size, name_len) = (field(6)?, field(11)?);
        let name_start = at + HEADER_LEN;
        let name = initrd.get(name_start..name_start + name_len)?.strip_suffix(&[0])?;
        let name_end = name_start + name_len;
        // Nothing follows an empty member's name, so that its padding may be missing at the end of the data.
        let start = if size == 0 { name_end } else { name_end.next_multiple_of(4) };
        Some(Self { name: std::str::from_utf8(name).ok()?, content: start..start.checked_add(size)? })
    }

    fn is_called(&self, wanted: &str) -> bool {
        self.name.trim_start_matches("./").trim_start_matches('/') == wanted
    }
}

/// Why an initramfs can not be unpacked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitramfsError {
    /// An archive begins where a kernel does not look for it.
    #[error("a cpio archive begins at byte {at}, which is no multiple of four")]
    Misaligned {
        /// Where.
        at: usize,
    },
    /// No member begins where one should.
    #[error("there is no cpio header at byte {at}")]
    BadHeader {
        /// Where.
        at: usize,
    },
    /// The data ends within a member.
    #[error("member {name} is cut off: {present} of {claimed} bytes are there")]
    CutOff {
        /// The member.
        name: String,
        /// Its size by its header.
        claimed: usize,
        /// What is there of it.
        present: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let mut archive = Vec::new();
        append_member(&mut archive, "other", b"not this one");
        append_member(&mut archive, name, content);
        append_trailer(&mut archive);
        archive
    }

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn the_last_member_of_a_name_wins() {
        let mut initrd = padded(archive("proxmox.iso", b"first"));
        initrd.extend(archive("/proxmox.iso", b"second"));
        assert_eq!(last_member(&initrd, "proxmox.iso"), Ok(Some(&b"second"[..])));
        assert_eq!(last_member(&initrd, "absent"), Ok(None));
    }

    #[test]
    fn a_member_is_found_behind_a_compressed_archive() {
        let mut initrd = padded(b"\x28\xb5\x2f\xfd compressed 070701 noise".to_vec());
        initrd.extend(archive("proxmox.iso", b"image"));
        // The scan lands on the header sought itself, behind the archive's other members.
        assert_eq!(last_member(&initrd, "proxmox.iso"), Ok(Some(&b"image"[..])));
    }

    #[test]
    fn an_archive_that_is_not_aligned_is_refused_as_a_kernel_does() {
        let first = archive("a", b"");
        assert_ne!(first.len() % 4, 0);
        let mut initrd = first.clone();
        initrd.extend(archive("proxmox.iso", b"image"));
        assert_eq!(last_member(&initrd, "proxmox.iso"), Err(InitramfsError::Misaligned { at: first.len() }));
    }

    #[test]
    fn a_member_that_is_cut_off_is_an_error() {
        let mut initrd = Vec::new();
        append_member(&mut initrd, "proxmox.iso", &[7; 100]);
        initrd.truncate(initrd.len() - 60);
        let cut = InitramfsError::CutOff { name: "proxmox.iso".to_owned(), claimed: 100, present: 40 };
        assert_eq!(last_member(&initrd, "proxmox.iso"), Err(cut));
    }
}
