//! A bare Debian, made by debootstrap: the base image of the container, and the root that the package is tried in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::engine::succeed;
use crate::shell::Shell;

/// The Debian of the image and of the package's test root: the first one with an iPXE of this decade.
const SUITE: &str = "trixie";
/// Where packages come from when this machine does not say.
const USUAL_MIRROR: &str = "http://deb.debian.org/debian";
/// What Debian's slim images leave out: documents and translations. Licences stay.
const LEFT_OUT: &[&str] = &["usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "var/log"];

/// The archive of the bare system, made when it is not there yet (about a minute).
///
/// It has this machine's mirror and proxy in it, which is why it is nobody's base image but the checks'.
pub(crate) fn archive(shell: &Shell) -> anyhow::Result<PathBuf> {
    let folder = shell.target().join("docker");
    let archive = folder.join(format!("base-{SUITE}.tar"));
    if archive.is_file() {
        return Ok(archive);
    }
    let root = folder.join("base");
    remove(&root)?;
    fs::create_dir_all(&folder)?;
    let mirror = mirror(Path::new("/etc/apt"));
    let mut bootstrap = Command::new("debootstrap");
    bootstrap.arg("--variant=minbase").arg(SUITE).arg(&root).arg(&mirror).env("DEBIAN_FRONTEND", "noninteractive");
    succeed(bootstrap)?;
    slim(&root)?;
    copy_apt_settings(Path::new("/etc/apt/apt.conf.d"), &root.join("etc/apt/apt.conf.d"))?;
    // Under its name it is whole from the start.
    let part = archive.with_extension("part");
    let mut pack = Command::new("tar");
    pack.arg("--directory")
        .arg(&root)
        .args(["--xattrs", "--create", "--one-file-system", "--file"])
        .arg(&part)
        .arg(".");
    succeed(pack)?;
    fs::rename(&part, &archive)?;
    remove(&root)?;
    Ok(archive)
}

fn slim(root: &Path) -> anyhow::Result<()> {
    for folder in LEFT_OUT.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(folder)? {
            remove(&entry?.path())?;
        }
    }
    for folder in ["var/lib/apt/lists", "var/cache/apt"] {
        remove(&root.join(folder))?;
        fs::create_dir_all(root.join(folder).join(if folder.ends_with("lists") {
            "partial"
        } else {
            "archives/partial"
        }))?;
    }
    let documents = root.join("usr/share/doc");
    for package in fs::read_dir(documents)? {
        let package = package?.path();
        if !package.is_dir() || package.is_symlink() {
            continue;
        }
        for file in fs::read_dir(package)? {
            let file = file?.path();
            if file.file_name().is_none_or(|name| name != "copyright") {
                remove(&file)?;
            }
        }
    }
    Ok(())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.with_context(|| format!("{} cannot be removed", path.display()))
}

/// What this machine tells apt of proxies and of clocks: without it a mirror may be out of reach from within.
fn copy_apt_settings(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry?;
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text.contains("Acquire::") {
            fs::write(to.join(entry.file_name()), text)?;
        }
    }
    Ok(())
}

/// The first archive of Debian that this machine's apt is told of.
fn mirror(apt: &Path) -> String {
    let mut texts = vec![fs::read_to_string(apt.join("sources.list")).unwrap_or_default()];
    for entry in fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "list" || extension == "sources") {
            texts.push(fs::read_to_string(entry.path()).unwrap_or_default());
        }
    }
    texts.iter().find_map(|text| mirror_of(text)).unwrap_or_else(|| USUAL_MIRROR.to_owned())
}

/// The address in `deb [options] ADDRESS suite …` or in `URIs: ADDRESS …` that ends in `/debian`: neither the archive of
/// security updates nor one of other programs.
fn mirror_of(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
    let mut words = lines.flat_map(str::split_whitespace).map(|word| word.trim_end_matches('/'));
    words.find(|word| word.starts_with("http") && word.ends_with("/debian")).map(ToOwned::to_owned)
}

/// Unpacks the bare system into a folder that is not there.
pub(crate) fn unpack(shell: &Shell, to: &Path) -> anyhow::Result<()> {
    let archive = archive(shell)?;
    if to.exists() {
        bail!("{} is there already", to.display());
    }
    fs::create_dir_all(to)?;
    let mut unpack = Command::new("tar");
    unpack.arg("--directory").arg(to).args(["--xattrs", "--extract", "--file"]).arg(archive);
    succeed(unpack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_that_apt_is_told_of() {
        let old = "# deb http://no.example/debian x\ndeb [arch=amd64] http://a.example/debian/ trixie main\n";
        assert_eq!(mirror_of(old).as_deref(), Some("http://a.example/debian"));
        let new = "Types: deb\nURIs: http://b.example/debian-security\n\nTypes: deb\nURIs: https://c.example/debian\n";
        assert_eq!(mirror_of(new).as_deref(), Some("https://c.example/debian"));
        assert_eq!(mirror_of("deb https://packages.example/apt x main"), None);
    }
}
