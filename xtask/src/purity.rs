//! The core stays free of sockets, files, SQL and HTTP: proved on its dependency tree.

use anyhow::bail;

use crate::shell::Shell;

const CORE: &str = "provisioning-core";

/// Not in the core's tree, whatever its features.
const NEVER: &[&str] = &["rusqlite", "russh", "reqwest", "hyper", "axum", "tera"];

/// Not in the tree of model, machine and renderers, which decide in values and never wait.
const NEVER_WITHOUT_FEATURES: &[&str] = &["tokio", "async-trait"];

/// Builds the core without its features and looks for banned crates with and without them.
pub(crate) fn check(shell: &Shell) -> anyhow::Result<()> {
    shell.cargo(&["check", "-p", CORE, "--no-default-features", "--locked"])?;
    let bare: Vec<&str> = NEVER.iter().chain(NEVER_WITHOUT_FEATURES).copied().collect();
    refuse(shell, "--all-features", NEVER)?;
    refuse(shell, "--no-default-features", &bare)
}

fn refuse(shell: &Shell, features: &str, banned: &[&str]) -> anyhow::Result<()> {
    let tree = shell.cargo_output(&["tree", "-p", CORE, "-e", "normal", "--prefix", "none", "--locked", features])?;
    let found = found(&tree, banned);
    if let Some(first) = found.first() {
        bail!(
            "{CORE} ({features}) must not depend on {}; see how it came in: \
             cargo tree -p {CORE} -e normal {features} -i {first}",
            found.join(", ")
        );
    }
    Ok(())
}

/// Which of `banned` stand in `tree`, a list of `name version …` lines.
fn found<'a>(tree: &str, banned: &[&'a str]) -> Vec<&'a str> {
    let stands_there = |name: &&str| tree.lines().any(|line| line.split_whitespace().next() == Some(*name));
    banned.iter().copied().filter(stands_there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "provisioning-core v0.1.0 (/src)\nhyper-util v0.1.0\nserde v1.0.229\ntokio v1.54.1 (*)\n\n";

    #[test]
    fn a_banned_crate_is_found_by_its_whole_name() {
        assert_eq!(found(TREE, &["tokio", "serde"]), ["tokio", "serde"]);
        assert!(found(TREE, NEVER).is_empty(), "`hyper-util` is not `hyper`");
    }
}
