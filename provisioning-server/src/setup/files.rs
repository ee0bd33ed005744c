//! Files that are written whole or not at all, and never over others by accident.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use provisioning_core::model::Secret;

/// A file to write.
#[derive(Debug)]
pub struct NewFile {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub text: Secret<String>,
    /// Whether it holds a secret, and nobody but its owner reads it.
    pub is_secret: bool,
}

/// What happened to a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// It is new.
    New,
    /// It took the place of another, which is kept under this name.
    Replaced(PathBuf),
}

impl NewFile {
    /// Writes it beside its place and moves it there, so that it is there whole or not at all.
    ///
    /// Where root writes into a folder of another group, that group may read it: the server's user is of it. An older
    /// file is kept with `.old` behind its name, if it may be replaced at all.
    ///
    /// # Errors
    /// When the place is taken and `replace` is not set, or the system refuses.
    pub fn write(&self, replace: bool) -> io::Result<Written> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let draft = with_suffix(&self.path, &format!(".{}.new", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let outcome = self.fill(file, folder).and_then(|()| self.put(&draft, replace));
        // Moved, it is there no more; else it is of no use.
        fs::remove_file(&draft).ok();
        let written = outcome?;
        File::open(folder)?.sync_all()?;
        Ok(written)
    }

    fn fill(&self, mut file: File, folder: &Path) -> io::Result<()> {
        let group = fs::metadata(folder)?.gid();
        let shared = group != file.metadata()?.gid() && group != 0 && fchown(&file, None, Some(group)).is_ok();
        let mode = if shared || !self.is_secret { 0o640 } else { 0o600 };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(self.text.expose().as_bytes())?;
        file.sync_all()
    }

    fn put(&self, draft: &Path, replace: bool) -> io::Result<Written> {
        // A link refuses a place that is taken, where a rename would replace it.
        match fs::hard_link(draft, &self.path) {
            Ok(()) => Ok(Written::New),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && replace => {
                let old = with_suffix(&self.path, ".old");
                fs::rename(&self.path, &old)?;
                fs::rename(draft, &self.path)?;
                Ok(Written::Replaced(old))
            }
            Err(error) => Err(error),
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: PathBuf, text: &str, is_secret: bool) -> NewFile {
        NewFile { path, text: Secret::new(text.to_owned()), is_secret }
    }

    #[test]
    fn a_file_that_is_there_is_kept_unless_it_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        assert_eq!(file(path.clone(), "one", true).write(false).unwrap(), Written::New);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let refused = file(path.clone(), "two", false).write(false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");

        let old = dir.path().join("a.yaml.old");
        assert_eq!(file(path.clone(), "two", false).write(true).unwrap(), Written::Replaced(old.clone()));
        assert_eq!(
            (fs::read_to_string(&path).unwrap(), fs::read_to_string(old).unwrap()),
            ("two".into(), "one".into())
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let names = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 2, "no draft is left behind");
    }
}
