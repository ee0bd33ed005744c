//! The Debian tools that judge what is streamed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files by path; `None` is a directory.
pub(crate) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// Runs a tool; fails with what it said.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().expect("xorriso and cpio are installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// All that an image holds, as xorriso extracts it.
pub(crate) fn extract_with_xorriso(iso: &Path) -> Tree {
    let out = tempfile::tempdir().unwrap();
    let tree = out.path().join("tree");
    run(Command::new("xorriso").args(["-abort_on", "WARNING", "-osirrox", "on", "-indev"]).arg(iso).args([
        "-extract".as_ref(),
        "/".as_ref(),
        tree.as_os_str(),
    ]));
    let mut found = Tree::new();
    let mut pending = vec![tree.clone()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&tree).unwrap().to_owned();
            let is_folder = path.is_dir();
            found.insert(name, (!is_folder).then(|| std::fs::read(&path).unwrap()));
            if is_folder {
                pending.push(path);
            }
        }
    }
    found
}
