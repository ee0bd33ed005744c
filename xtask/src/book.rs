//! `cargo xtask book`: builds the book in `docs/` and finds out whether what it says is so.
//!
//! Links lead somewhere, every command is run in a small world of its own or says why not, excerpts of the
//! configuration are read by `check-config`, and each command and each section of the configuration is told of.

mod excerpts;
mod links;
mod mentions;
mod pages;
mod program;
mod world;

use std::fs;

use anyhow::{Context as _, bail};

use crate::shell::Shell;
use pages::{Page, Treatment};

pub(crate) use program::install;

/// What to do with the book.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct BookArgs {
    /// Check the commands of this page only, such as docs/quick-start.md; may be given several times
    #[arg(long, value_name = "PAGE")]
    only: Vec<String>,
    /// Only build it, below target/book, without checking anything
    #[arg(long, conflicts_with = "only")]
    build: bool,
}

/// What became of the check: the reason why commands were not run, if they were not.
pub(crate) type NotRun = Option<String>;

/// Checks the pages and builds the book.
///
/// # Errors
/// The first kind of fault, with every place of it.
pub(crate) fn run(shell: &Shell, args: &BookArgs) -> anyhow::Result<NotRun> {
    if args.build {
        program::install(shell)?;
        program::build(shell)?;
        return Ok(None);
    }
    let pages = pages::read_all(shell.root())?;
    refuse("the book has loose ends", links::faults(shell.root(), &pages)?)?;
    refuse("blocks are to say what becomes of them", pages.iter().flat_map(Page::faults))?;
    refuse("blocks that are not run are to be sound all the same", unsound(shell, &pages)?)?;
    shell.cargo(&["build", "--locked", "-p", "provisioning-server", "-p", "provisioning-sim", "--bins"])?;
    let wanted = |page: &&Page| args.only.is_empty() || args.only.contains(&page.name);
    let chosen: Vec<&Page> = pages.iter().filter(wanted).collect();
    if let Some(unknown) = args.only.iter().find(|name| chosen.iter().all(|page| page.name != **name)) {
        bail!("--only: there is no page `{unknown}`; there are {}", names(&pages));
    }
    let folder = shell.target().join("book-check");
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    refuse("excerpts of the configuration have faults", excerpts::faults(shell, &folder, &chosen)?)?;
    let not_run = world::why_impossible();
    if not_run.is_none() {
        let quick_start = pages.iter().find(|page| page.name == "docs/quick-start.md");
        let quick_start = quick_start.context("docs/quick-start.md has the configuration that other pages use")?;
        for page in chosen.into_iter().filter(|page| page.is_in_the_book() && page.has_commands()) {
            world::run(shell, &folder, page, quick_start)?;
        }
    }
    if args.only.is_empty() {
        refuse("the book leaves these out", mentions::missing(shell, &folder, &pages)?)?;
        program::install(shell)?;
        program::build(shell)?;
    }
    Ok(not_run)
}

/// Faults of blocks that no world runs: shell and Python by their own parsers, what `ci=` names by the steps.
fn unsound(shell: &Shell, pages: &[Page]) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for page in pages {
        for fence in &page.fences {
            let at = format!("{}:{}", page.name, fence.line);
            match fence.treatment() {
                Ok(Treatment::NotHere | Treatment::Step(_)) => {
                    found.extend(program::complaint("bash", &["-n"], &fence.body)?.map(|said| format!("{at}: {said}")));
                }
                Ok(Treatment::Run) if !page.is_in_the_book() => {
                    let strangers = fence.commands().into_iter().filter(|command| !is_told(pages, command));
                    found.extend(strangers.map(|command| format!("{at}: no page of the book has `{command}`")));
                }
                Ok(Treatment::Python) => {
                    let parse = ["-c", "import ast, sys; ast.parse(sys.stdin.read())"];
                    found.extend(
                        program::complaint("python3", &parse, &fence.body)?.map(|said| format!("{at}: {said}")),
                    );
                }
                Ok(Treatment::Included) => {
                    found.extend(
                        pages::inclusion_fault(shell.root(), page, fence).map(|fault| format!("{at}: {fault}")),
                    );
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Whether a page of the book has a command, with whatever arguments, in a block that says what becomes of it.
fn is_told(pages: &[Page], command: &str) -> bool {
    let fences = pages.iter().filter(|page| page.is_in_the_book()).flat_map(|page| &page.fences);
    let is_shell = |how: Treatment<'_>| how.is_run() || matches!(how, Treatment::Step(_) | Treatment::NotHere);
    let mut shell = fences.filter(|fence| fence.treatment().is_ok_and(is_shell));
    shell.any(|fence| fence.commands().iter().any(|known| known == command))
}

fn refuse(rule: &str, places: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let places: Vec<String> = places.into_iter().collect();
    if !places.is_empty() {
        bail!("{rule}:\n  {}", places.join("\n  "));
    }
    Ok(())
}

fn names(pages: &[Page]) -> String {
    pages.iter().map(|page| page.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_beside_the_book_is_one_that_a_page_has() {
        let page = |name: &str, text: &str| Page::new(name.to_owned(), text.to_owned());
        let book = page("docs/a.md", "```sh\nFORM=x provisioning host list --json | jq .\n```\n");
        let beside = page("README.md", "```sh\n./target/release/provisioning host list\nprovisioning host lose\n```\n");
        let found = unsound(&Shell::at_workspace_root(), &[book, beside]).unwrap();
        assert_eq!(found, ["README.md:1: no page of the book has `provisioning host lose`"]);
    }

    #[test]
    fn the_books_links_lead_somewhere_and_its_blocks_say_what_becomes_of_them() {
        let shell = Shell::at_workspace_root();
        let pages = pages::read_all(shell.root()).unwrap();
        assert!(pages.len() > 15, "{}", names(&pages));
        refuse("loose ends", links::faults(shell.root(), &pages).unwrap()).unwrap();
        refuse("unmarked blocks", pages.iter().flat_map(Page::faults)).unwrap();
    }
}
