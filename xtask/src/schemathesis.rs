//! schemathesis, a fuzzer for APIs that reads their document: a Python program in an environment of its own below
//! the build's folder, so that it needs nothing of the machine's Python but that it is there.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::shell::Shell;

/// What is installed. A newer one may find more: raise it in a change of its own.
const VERSION: &str = "4.32.5";

/// Where it stands once it is installed.
pub(crate) fn program(shell: &Shell) -> PathBuf {
    folder(shell).join("bin/schemathesis")
}

/// Installs it unless this very version is there.
pub(crate) fn install(shell: &Shell) -> anyhow::Result<()> {
    let folder = folder(shell);
    let stamp = folder.join("installed-version");
    if program(shell).is_file() && fs::read_to_string(&stamp).is_ok_and(|version| version == VERSION) {
        return Ok(());
    }
    println!("schemathesis fuzzes the API and is not here: installing it (a minute)");
    fs::remove_dir_all(&folder).ok();
    let path = folder.to_string_lossy().into_owned();
    shell.run("python3", &["-m", "venv", &path], &[])?;
    let pip = folder.join("bin/pip").to_string_lossy().into_owned();
    let wanted = format!("schemathesis=={VERSION}");
    shell.run(&pip, &["install", "--quiet", "--disable-pip-version-check", &wanted], &[])?;
    fs::write(stamp, VERSION)?;
    Ok(())
}

/// Whether Python is there with all that an environment needs; Debian ships a part of it separately.
pub(crate) fn has_python() -> bool {
    let mut python = Command::new("python3");
    python.args(["-c", "import venv, ensurepip"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

fn folder(shell: &Shell) -> PathBuf {
    shell.target().join("schemathesis")
}
