//! Why a file could not be read, and what to do about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use nix::unistd::{User, geteuid};

/// The problem in words, to stand behind the path, and the way out.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                format!("cannot be read: there is no folder {}", folder.display())
            }
            _ => "cannot be read: there is no such file".to_owned(),
        },
        ErrorKind::PermissionDenied => {
            format!("cannot be read by {}: give that user the file (chown), or its group (chgrp, chmod 640)", who())
        }
        ErrorKind::IsADirectory => "cannot be read: it is a folder, not a file".to_owned(),
        ErrorKind::InvalidData => "cannot be read: it is not UTF-8 text, save it as UTF-8".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The user that this process acts for.
fn who() -> String {
    let id = geteuid();
    // A user without a name is named by number.
    let name = User::from_uid(id).ok().flatten().map(|user| user.name);
    name.map_or_else(|| format!("user {id}"), |name| format!("user {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_names_the_way_out() {
        let told = |kind: ErrorKind| unreadable(Path::new("/etc/x/key"), &io::Error::from(kind));
        assert_eq!(told(ErrorKind::NotFound), "cannot be read: there is no folder /etc/x");
        assert!(told(ErrorKind::PermissionDenied).contains("cannot be read by user "), "who it is helps to see why");
        assert!(told(ErrorKind::PermissionDenied).contains("chmod 640"));
        assert!(told(ErrorKind::InvalidData).contains("UTF-8"));
        assert!(told(ErrorKind::IsADirectory).contains("it is a folder"));
    }
}
