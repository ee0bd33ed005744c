//! Tells the program which commit it was built from, for `provisioning --version`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the commit where there is no git: in a package's build, in an image, from an archive of the sources.
const VARIABLE: &str = "PROVISIONING_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=PROVISIONING_BUILD={}", build());
}

/// What stands in brackets behind the version.
fn build() -> String {
    let named = env::var(VARIABLE).unwrap_or_default();
    let is_plain = !named.is_empty() && named.len() <= 40 && named.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain {
        return named.chars().take(12).collect();
    }
    // While somebody works on it, each commit would have the whole server compiled anew only to say this.
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return "debug build".to_owned();
    }
    commit().unwrap_or_else(|| "unknown commit".to_owned())
}

/// The commit of the repository whose root is the workspace's; an archive that was unpacked inside some other repository
/// is not of that one's commit.
fn commit() -> Option<String> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let workspace = package.parent()?.canonicalize().ok()?;
    let root = git(&workspace, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&root).canonicalize().ok()? != workspace {
        return None;
    }
    follow(&workspace);
    git(&workspace, &["rev-parse", "--short=12", "HEAD"])
}

/// Has this program run again when the commit changes: by a checkout (`HEAD`), or by a commit (the branch's file, or all of
/// them in one).
fn follow(workspace: &Path) {
    let branch = git(workspace, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let Some(path) = git(workspace, &["rev-parse", "--git-path", name]) else { continue };
        let path = workspace.join(path);
        // What is not there would count as changed each time.
        if path.is_file() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

fn git(workspace: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(workspace).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
