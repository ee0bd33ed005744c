//! Wraps a file of known length as the one member of a cpio archive, which a kernel unpacks behind its initrd.

/// The largest member that the format's eight hexadecimal digits can tell: 4 GiB less one byte.
pub const MEMBER_BYTES_MAX: u32 = u32::MAX;

/// A regular file, readable by all: what iPXE gives to images that it wraps itself.
const MODE: u32 = 0o100_644;
const TRAILER: &str = "TRAILER!!!";

/// What stands around the bytes of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapping {
    /// Goes before them; begin it at a multiple of four bytes.
    pub before: Vec<u8>,
    /// Goes behind them and ends the archive.
    pub behind: Vec<u8>,
}

/// The wrapping (format newc) of a file called `name`, `size` bytes long, at the root of the initramfs.
///
/// # Errors
/// [`TooLarge`] when the format has no digits for the size.
pub fn wrap(name: &str, size: u64) -> Result<Wrapping, TooLarge> {
    let digits = u32::try_from(size).map_err(|_| TooLarge { size })?;
    let mut behind = vec![0; padding(size)];
    behind.extend(header(TRAILER, 0, 0));
    Ok(Wrapping { before: header(name, MODE, digits), behind })
}

/// How many zero bytes bring a length to a multiple of four.
pub fn padding(len: u64) -> usize {
    usize::from((4 - (len % 4) as u8) % 4)
}

fn header(name: &str, mode: u32, size: u32) -> Vec<u8> {
    let name_size = u32::try_from(name.len() + 1).expect("names in this file are short");
    // ino, mode, uid, gid, nlink, mtime, filesize, device (4 fields), namesize, check.
    let fields = [1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
    let mut header = b"070701".to_vec();
    for field in fields {
        header.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    header.extend_from_slice(name.as_bytes());
    header.push(0);
    header.resize(header.len().next_multiple_of(4), 0);
    header
}

/// A file is too large for a cpio archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{size} bytes do not fit into a cpio member: 4294967295 do at most")]
pub struct TooLarge {
    /// The file's size in bytes.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use provisioning_sim::real::iso::last_member;

    use super::*;

    #[test]
    fn a_wrapped_file_of_any_length_is_found_again() {
        for len in 0..9_u8 {
            let content = vec![7; usize::from(len)];
            let wrapping = wrap("proxmox.iso", u64::from(len)).unwrap();
            assert_eq!(wrapping.before.len() % 4, 0);
            let archive = [&wrapping.before, &content, &wrapping.behind].map(Vec::as_slice).concat();
            assert_eq!(archive.len() % 4, 0);
            assert_eq!(last_member(&archive, "proxmox.iso"), Ok(Some(&content[..])));
        }
    }

    #[test]
    fn four_gib_are_refused_and_a_byte_less_is_not() {
        let most = u64::from(MEMBER_BYTES_MAX);
        assert!(String::from_utf8_lossy(&wrap("x", most).unwrap().before).contains("ffffffff"));
        assert_eq!(wrap("x", most + 1), Err(TooLarge { size: 1 << 32 }));
    }
}
