//! The pages of the book and their fenced blocks: what each is, and what is done with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::steps::STEPS;

/// Pages outside the book whose commands are held to the same rules.
const BESIDE_THE_BOOK: &[&str] = &["README.md", "CONTRIBUTING.md"];

/// The files of the configuration, as blocks that are all of one call them in their first line.
pub(super) const CONFIG_FILES: [&str; 2] = ["provisioning.yaml", "server-types.yaml"];

/// A page of Markdown.
#[derive(Debug)]
pub(super) struct Page {
    /// Relative to the repository, such as `docs/quick-start.md`.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) fences: Vec<Fence>,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fence {
    /// Where it opens, from 1.
    pub(super) line: usize,
    /// What stands behind the three backticks.
    pub(super) info: String,
    pub(super) body: String,
}

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment<'a> {
    /// Run to its end, which must be a good one.
    Run,
    /// Started, and left running until the page ends.
    Background,
    /// Not run: it needs machines (`hardware`), or changes the machine it runs on (`system`).
    NotHere,
    /// Run by a step of `cargo xtask test`.
    Step(&'a str),
    /// Output of the command before it, or a figure.
    Text,
    /// The configuration, or a part of it.
    Config,
    /// Configuration of another program.
    Yaml,
    Json,
    Python,
    /// Code that stands in a compiled file.
    Included,
    /// Code that a doc test compiles.
    Compiled,
    /// A file of another program, shown as it is.
    Shown,
}

impl Treatment<'_> {
    /// Whether a world runs it.
    pub(super) fn is_run(self) -> bool {
        matches!(self, Self::Run | Self::Background)
    }
}

impl Fence {
    /// What its first line asks for; what is wrong with that.
    pub(super) fn treatment(&self) -> Result<Treatment<'_>, String> {
        let (kind, mark) = self.info.split_once(',').unwrap_or((&self.info, ""));
        match (kind, mark) {
            ("sh", "") => Ok(Treatment::Run),
            ("sh", "background") => Ok(Treatment::Background),
            ("sh", "hardware" | "system") => Ok(Treatment::NotHere),
            ("sh", mark) => match mark.strip_prefix("ci=") {
                Some(step) if STEPS.iter().any(|known| known.name == step) => Ok(Treatment::Step(step)),
                Some(step) => Err(format!("`cargo xtask test` has no step {step:?}")),
                None => Err(format!("{mark:?} is none of background, hardware, system, ci=STEP")),
            },
            ("text", "") => Ok(Treatment::Text),
            ("yaml", "") if self.is_of_another_program() => Ok(Treatment::Yaml),
            ("yaml", "") => Ok(Treatment::Config),
            ("json", "") => Ok(Treatment::Json),
            ("python", "") => Ok(Treatment::Python),
            ("rust", "") if self.body.trim_start().starts_with("{{#") => Ok(Treatment::Included),
            ("rust", "") => Ok(Treatment::Compiled),
            ("ini" | "ipxe" | "toml", "") => Ok(Treatment::Shown),
            _ => Err(format!("{:?} is no kind of block that this book has", self.info)),
        }
    }

    /// The words that its commands begin with, such as `provisioning host list`, without their arguments.
    pub(super) fn commands(&self) -> Vec<String> {
        let lines = self.body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let is_word = |word: &&str| {
            word.starts_with(|first: char| first.is_ascii_lowercase()) && !word.contains(['/', '.', '"', '='])
        };
        let command = |line: &str| {
            let words = line.split_whitespace().skip_while(|word| *word == "sudo" || word.contains('='));
            let words = words.map(|word| word.strip_prefix("./target/release/").unwrap_or(word));
            // A command of ours has three words at most; what follows are names.
            words.take_while(is_word).take(3).collect::<Vec<_>>().join(" ")
        };
        lines.map(command).filter(|words| !words.is_empty()).collect()
    }

    /// The file that its first line, a comment, says it is.
    pub(super) fn file_name(&self) -> Option<&str> {
        let name = self.body.lines().next()?.strip_prefix("# ")?.split([' ', ':', ',']).next()?;
        let extension = Path::new(name).extension()?;
        (extension == "yaml" || extension == "yml").then_some(name)
    }

    fn is_of_another_program(&self) -> bool {
        self.file_name().is_some_and(|name| !CONFIG_FILES.contains(&name))
    }
}

impl Page {
    /// Reads a page's text.
    pub(super) fn new(name: String, text: String) -> Self {
        let fences = fences(&text);
        Self { name, text, fences }
    }

    /// Whether it is a page of the book itself.
    pub(super) fn is_in_the_book(&self) -> bool {
        self.name.starts_with("docs/")
    }

    /// The lines outside fenced blocks with their numbers, from 1; spans of code in them are blanked.
    pub(super) fn prose(&self) -> impl Iterator<Item = (usize, String)> {
        let mut inside = false;
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            let is_fence = line.trim_start().starts_with("```");
            inside ^= is_fence;
            (!inside && !is_fence).then(|| (index + 1, without_code(line)))
        })
    }

    /// The set-up that its commands are checked with, by the sentence on the page; without one there is none.
    pub(super) fn set_up(&self) -> &'static str {
        let said = SET_UPS.iter().find(|(sentence, _)| self.text.lines().any(|line| line == *sentence));
        said.map_or("nothing", |(_, name)| *name)
    }

    /// What is wrong with the blocks' marks.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut before = None;
        for fence in &self.fences {
            let at = format!("{}:{}", self.name, fence.line);
            match fence.treatment() {
                Err(fault) => found.push(format!("{at}: {fault}")),
                Ok(Treatment::Compiled) if self.is_in_the_book() => {
                    found.push(format!("{at}: Rust in the book is included from a file that is compiled"));
                }
                Ok(treatment) => {
                    if before == Some(Treatment::Background) && treatment != Treatment::Text {
                        found.push(format!("{at}: what goes on is followed by output that shows it has begun"));
                    }
                    before = Some(treatment);
                }
            }
        }
        found
    }

    /// Whether it has commands that a world runs.
    pub(super) fn has_commands(&self) -> bool {
        self.fences.iter().any(|fence| fence.treatment().is_ok_and(Treatment::is_run))
    }
}

/// The sentences that say what a page's commands are checked with, and the set-up of `xtask/book/world.sh`.
const SET_UPS: [(&str, &str); 2] = [
    ("*The commands of this page are checked with the configuration of the quick start.*", "configuration"),
    ("*The commands of this page are checked on a server with simulated machines.*", "machines"),
];

fn without_code(line: &str) -> String {
    let mut is_code = false;
    let parts = line.split('`').map(|part| {
        let shown = if is_code { " ".repeat(part.len()) } else { part.to_owned() };
        is_code = !is_code;
        shown
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn fences(text: &str) -> Vec<Fence> {
    let mut found: Vec<Fence> = Vec::new();
    let mut open: Option<(Fence, usize)> = None;
    for (index, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => {
                let fence = Fence { line: index + 1, info: info.trim().to_owned(), body: String::new() };
                open = Some((fence, indent));
            }
            (Some(_), Some(_)) => found.extend(open.take().map(|(fence, _)| fence)),
            (Some((fence, by)), None) => {
                fence.body.push_str(line.get(*by..).unwrap_or(line.trim_start()));
                fence.body.push('\n');
            }
            (None, None) => {}
        }
    }
    found.extend(open.map(|(fence, _)| fence));
    found
}

/// All pages of the book, `SUMMARY.md` among them, and those beside it.
pub(super) fn read_all(root: &Path) -> anyhow::Result<Vec<Page>> {
    let mut files = Vec::new();
    collect(&root.join("docs"), &mut files)?;
    files.sort();
    files.extend(BESIDE_THE_BOOK.iter().map(|name| root.join(name)));
    let page = |file: PathBuf| {
        let text = fs::read_to_string(&file).with_context(|| format!("{} is unreadable", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        anyhow::Ok(Page::new(name, text))
    };
    files.into_iter().map(page).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} is unreadable", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with a block that includes a file: it must name one that the checks compile or run.
pub(super) fn inclusion_fault(root: &Path, page: &Page, fence: &Fence) -> Option<String> {
    let Some(path) = fence.body.trim().strip_prefix("{{#include ").and_then(|rest| rest.strip_suffix("}}")) else {
        return Some("the block is one {{#include FILE}}".to_owned());
    };
    let file = path.split(':').next().unwrap_or(path);
    let folder = root.join(&page.name);
    let file = folder.parent().unwrap_or(root).join(file);
    match file.canonicalize() {
        Ok(file) if file.starts_with(root.join("examples")) => None,
        Ok(file) => Some(format!("{} is not in examples/, where everything is run", file.display())),
        Err(error) => Some(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page::new("docs/a.md".to_owned(), text.to_owned())
    }

    #[test]
    fn a_block_without_a_known_mark_is_a_fault() {
        for info in ["", "bash", "sh,whatever", "sh,ci=nothing", "text,output"] {
            let faults = page(&format!("```{info}\nls\n```\n")).faults();
            assert_eq!(faults.len(), 1, "{info}: {faults:?}");
        }
        assert!(page("```sh,hardware\nls\n```\n```sh,ci=format\nls\n```\n").faults().is_empty());
    }

    #[test]
    fn a_page_says_what_its_commands_are_checked_with() {
        assert_eq!(page("```sh\nls\n```\n").set_up(), "nothing");
        assert_eq!(page(&format!("{}\n", SET_UPS[1].0)).set_up(), "machines");
    }

    #[test]
    fn a_command_is_its_words_without_arguments() {
        let body = "# why\nsudo A=1 provisioning host register pve-07 --mac x\ncurl -s x\n";
        let fence = Fence { line: 1, info: "sh".into(), body: body.into() };
        assert_eq!(fence.commands(), ["provisioning host register", "curl"]);
    }

    #[test]
    fn what_goes_on_shows_that_it_has_begun() {
        let text = format!("{}\n```sh,background\nls\n```\n```sh\nls\n```\n", SET_UPS[0].0);
        assert_eq!(page(&text).faults().len(), 1);
    }

    #[test]
    fn configuration_of_other_programs_is_known_by_its_name() {
        let treated = |body: &str| {
            let fence = Fence { line: 1, info: "yaml".into(), body: body.into() };
            fence.treatment().is_ok_and(|treatment| treatment == Treatment::Yaml)
        };
        assert!(treated("# prometheus.yml\na: 1\n"));
        assert!(!treated("# provisioning.yaml: ours\na: 1\n") && !treated("pxe: {}\n"));
    }

    #[test]
    fn blocks_are_read_with_their_lines_and_without_their_indent() {
        let read = page("a\n\n1. b\n\n   ```sh\n   if x\n     y\n   ```\n").fences;
        assert_eq!(read, [Fence { line: 5, info: "sh".into(), body: "if x\n  y\n".into() }]);
    }

    #[test]
    fn prose_is_what_stands_outside_of_blocks_and_code() {
        let lines: Vec<_> = page("a `[b](c)` d\n```sh\n[x](y)\n```\nend\n").prose().collect();
        assert_eq!(lines.len(), 2);
        assert!(!lines[0].1.contains("](c)") && lines[1].0 == 5, "{lines:?}");
    }
}
