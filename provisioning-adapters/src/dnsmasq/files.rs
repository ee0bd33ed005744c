//! Files that another process reads: there whole, or as they were before.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Writes the file beside its place, makes sure that it is on the disk, and puts it there. Everybody may read it.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = candidate(path, text)?;
    put(&new, path)
}

/// Writes the file beside its place, readable to everybody.
pub(super) fn candidate(path: &Path, text: &[u8]) -> io::Result<PathBuf> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o644).open(&new)?;
    // Whatever the umask says: dnsmasq reads it as another user.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text)?;
    file.sync_all()?;
    Ok(new)
}

/// Puts a file that was written beside its place there.
pub(super) fn put(new: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(new, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
