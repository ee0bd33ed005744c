//! The dashboard's tests in a real browser: Node's test runner, Playwright's library, Debian's Chromium.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::Context as _;

use crate::shell::Shell;

/// Where they are, and where npm puts what they import.
const FOLDER: &str = "provisioning-server/tests/browser";

/// Fetches what the tests import, at the versions of the lock file; does nothing when it is there.
pub(crate) fn set_up(shell: &Shell) -> anyhow::Result<()> {
    let folder = shell.root().join(FOLDER);
    let lock = folder.join("package-lock.json");
    let fetched = folder.join("node_modules/.package-lock.json");
    let lock = fs::metadata(&lock).with_context(|| format!("{} is missing", lock.display()))?.modified()?;
    if fs::metadata(fetched).and_then(|fetched| fetched.modified()).is_ok_and(|fetched| fetched >= lock) {
        return Ok(());
    }
    // Scripts of packages would fetch browsers; we use the system's.
    shell.run("npm", &["ci", "--prefix", FOLDER, "--ignore-scripts", "--no-audit", "--no-fund"], &[])
}

/// Builds server and simulator and runs all files.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    set_up(shell)?;
    shell.cargo(&["build", "--locked", "-p", "provisioning-server", "-p", "provisioning-sim"])?;
    let binaries = target(shell).join("debug");
    let binaries = binaries.to_str().context("the target directory is not UTF-8")?;
    let files = test_files(shell)?;
    let mut args = vec!["--test", "--test-concurrency=2", "--test-reporter=spec"];
    args.extend(files.iter().map(String::as_str));
    shell.run("node", &args, &[("PROVISIONING_BINARIES", binaries)])
}

/// Where cargo builds.
fn target(shell: &Shell) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| shell.root().join("target"), |given| shell.root().join(given))
}

/// The files with tests, sorted.
fn test_files(shell: &Shell) -> anyhow::Result<Vec<String>> {
    let folder = shell.root().join(FOLDER);
    let mut files = vec![];
    for entry in fs::read_dir(&folder).with_context(|| format!("{} is unreadable", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".test.mjs") {
            files.push(format!("{FOLDER}/{name}"));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_tests_are_found_and_their_versions_are_fixed() {
        let shell = Shell::at_workspace_root();
        let files = test_files(&shell).unwrap();
        assert!(files.iter().any(|file| file.ends_with("/fleet.test.mjs")), "{files:?}");
        let manifest = fs::read_to_string(shell.root().join(FOLDER).join("package.json")).unwrap();
        assert!(!manifest.contains(['^', '~']), "versions are exact: {manifest}");
    }
}
