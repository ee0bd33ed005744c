//! The program as a process of its own, in a folder of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program with these arguments, in `dir`, without what the environment says to it.
pub(crate) fn provisioning(args: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provisioning"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PROVISIONING")) {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str], dir: &Path) -> Output {
    provisioning(args, dir).output().unwrap()
}

/// All that it said.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// A folder with a small configuration.
pub(crate) fn configured() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config/good/smallest");
    for file in ["provisioning.yaml", "server-types.yaml"] {
        std::fs::copy(golden.join(file), dir.path().join(file)).unwrap();
    }
    dir
}
