//! Notices that a file has changed, however it was written: in place, by rename, by a link that points elsewhere.
//!
//! It is the folders that are watched: an editor that writes by rename puts another file into the place of the one
//! that would be watched, and a mounted volume of settings (Kubernetes, Docker) changes by a link to another folder.
//! Where the kernel gives no notice, the file is looked at every two seconds.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::notify::event::{AccessKind, AccessMode};
use ::notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How often the file is looked at where nobody gives notice.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// And where somebody does: network file systems give none of what others wrote, and say nothing of that.
const LOOK_ANYWAY_EVERY: Duration = Duration::from_secs(30);
/// One act of writing is many events: no news for so long is its end.
const QUIET: Duration = Duration::from_millis(100);
/// A folder in which something happens all the time is not waited for longer.
const QUIET_AT_LAST: Duration = Duration::from_secs(2);
/// So many links are followed: the kernel follows 40.
const LINKS_MAX: usize = 40;

/// A watch on one file, which need not be there.
#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    bell: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    known: Option<Stamp>,
}

/// What each kind of writing changes something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileWatch {
    /// Watches from now on.
    pub fn new(path: &Path) -> Self {
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        let watcher = ::notify::recommended_watcher(move |event: ::notify::Result<Event>| {
            if event.map_or(true, |event| is_news(event.kind)) {
                ring.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| no_notice(path, &error)).ok();
        let known = Stamp::of(path);
        let mut watch = Self { path: path.to_owned(), bell, watcher, folders: BTreeSet::new(), known };
        watch.follow_folders();
        watch
    }

    /// Resolves when the file is another than when this was asked last, or is there no more.
    pub async fn changed(&mut self) {
        loop {
            let every = if self.watcher.is_some() { LOOK_ANYWAY_EVERY } else { LOOK_EVERY };
            if timeout(every, self.bell.notified()).await.is_ok() {
                self.until_quiet().await;
            }
            // The folders first: what happens between the two is then rung for.
            self.follow_folders();
            let now = Stamp::of(&self.path);
            if now != self.known {
                self.known = now;
                return;
            }
        }
    }

    async fn until_quiet(&self) {
        let quiet = async { while timeout(QUIET, self.bell.notified()).await.is_ok() {} };
        // Half-written or not, it is looked at then; the rest rings again.
        timeout(QUIET_AT_LAST, quiet).await.ok();
    }

    /// Watches the folders that are on the way to the file now: links may lead elsewhere than before, and a folder
    /// that was removed and made again has lost its watch.
    fn follow_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let wanted: BTreeSet<PathBuf> = folders_of(&self.path).iter().map(|folder| existing(folder)).collect();
        for gone in self.folders.difference(&wanted) {
            // One that was removed is not watched any more.
            watcher.unwatch(gone).ok();
        }
        let mut failed = None;
        self.folders.clear();
        for folder in wanted {
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder);
                }
                // It may come yet: the next look tries again.
                Err(_) if !folder.exists() => {}
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            no_notice(&self.path, &error);
            self.watcher = None;
        }
    }
}

/// Says why the file is looked at instead.
fn no_notice(path: &Path, error: &::notify::Error) {
    let path = path.display();
    tracing::warn!(%path, %error, "no notice of edits is to be had here: looking every {} s", LOOK_EVERY.as_secs());
}

/// The folder, or the next one above it that is there: what is made in it is seen then.
fn existing(folder: &Path) -> PathBuf {
    folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

/// Our own reading is no news.
fn is_news(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// The folders that hold the file, and each link that leads to it.
fn folders_of(path: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    let mut open = vec![path.to_owned()];
    for _ in 0..LINKS_MAX {
        let Some(path) = open.pop() else { break };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Any part of the way may be a link: each is followed by itself.
        for part in path.ancestors().take_while(|part| part.parent().is_some()) {
            let Ok(target) = std::fs::read_link(part) else { continue };
            let beside = part.parent().unwrap_or(Path::new("."));
            folders.insert(beside.to_owned());
            let rest = path.strip_prefix(part).unwrap_or(Path::new(""));
            open.push(beside.join(target).join(rest));
        }
        folders.insert(folder.to_owned());
    }
    folders
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size_bytes: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Waits for news of an act; it must come by notice, long before the file is looked at anyway.
    async fn news_of(watch: &mut FileWatch, act: impl FnOnce()) {
        assert!(watch.watcher.is_some(), "this machine gives no notice");
        act();
        timeout(LOOK_ANYWAY_EVERY / 2, watch.changed()).await.expect("there is news within half of the time");
    }

    #[tokio::test]
    async fn each_way_of_writing_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, beside) = (dir.path().join("types.yaml"), dir.path().join("types.yaml.new"));
        std::fs::write(&path, "one").unwrap();
        let mut watch = FileWatch::new(&path);
        news_of(&mut watch, || std::fs::write(&path, "two").unwrap()).await;
        let by_rename = || {
            std::fs::write(&beside, "thr").unwrap();
            std::fs::rename(&beside, &path).unwrap();
        };
        news_of(&mut watch, by_rename).await;
        news_of(&mut watch, || std::fs::remove_file(&path).unwrap()).await;
        news_of(&mut watch, || std::fs::write(&path, "again").unwrap()).await;
        // Written after a rename the file is another inode: its watch is the folder's.
        news_of(&mut watch, || std::fs::write(&path, "and again").unwrap()).await;
    }

    #[tokio::test]
    async fn a_link_that_leads_elsewhere_is_noticed_and_followed() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["v1", "v2"] {
            std::fs::create_dir(dir.path().join(version)).unwrap();
            std::fs::write(dir.path().join(version).join("types.yaml"), version).unwrap();
        }
        // As a mounted volume of settings has it: types.yaml -> now/types.yaml, now -> v1.
        symlink("v1", dir.path().join("now")).unwrap();
        let path = dir.path().join("types.yaml");
        symlink("now/types.yaml", &path).unwrap();
        let mut watch = FileWatch::new(&path);
        let swap = || {
            symlink("v2", dir.path().join("next")).unwrap();
            std::fs::rename(dir.path().join("next"), dir.path().join("now")).unwrap();
        };
        news_of(&mut watch, swap).await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "v2");
        news_of(&mut watch, || std::fs::write(dir.path().join("v2/types.yaml"), "v2, edited").unwrap()).await;
    }

    #[tokio::test]
    async fn a_folder_that_is_removed_and_made_again_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc");
        let path = folder.join("types.yaml");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&path, "one").unwrap();
        let mut watch = FileWatch::new(&path);
        news_of(&mut watch, || std::fs::remove_dir_all(&folder).unwrap()).await;
        let again = || {
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(&path, "two").unwrap();
        };
        news_of(&mut watch, again).await;
        news_of(&mut watch, || std::fs::write(&path, "three").unwrap()).await;
    }

    #[tokio::test]
    async fn where_nobody_gives_notice_the_file_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("types.yaml");
        let mut watch = FileWatch { watcher: None, ..FileWatch::new(&path) };
        std::fs::write(&path, "one").unwrap();
        timeout(LOOK_EVERY * 5, watch.changed()).await.expect("it is seen at the next look");
    }

    #[test]
    fn all_folders_on_the_way_are_found_and_circles_end() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let folders = folders_of(&dir.path().join("a"));
        assert!(folders.contains(dir.path()), "{folders:?}");
    }
}
