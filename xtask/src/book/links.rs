//! Whether the links of the pages lead somewhere, anchors included, and whether each page is in the book.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::pages::Page;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Links that lead nowhere, pages that nobody finds, and pictures without words.
pub(super) fn faults(root: &Path, pages: &[Page]) -> anyhow::Result<Vec<String>> {
    let by_name: BTreeMap<&str, &Page> = pages.iter().map(|page| (page.name.as_str(), page)).collect();
    let mut found = Vec::new();
    for page in pages {
        for link in links(page) {
            found.extend(fault(root, &by_name, page, &link).map(|why| format!("{}:{}: {why}", page.name, link.line)));
        }
    }
    let Some(summary) = by_name.get(SUMMARY) else {
        anyhow::bail!("{SUMMARY} is missing");
    };
    let listed: Vec<String> = links(summary).iter().map(|link| resolved(summary, &link.target)).collect();
    let left_out = pages.iter().filter(|page| page.is_in_the_book() && page.name != SUMMARY);
    let left_out = left_out.filter(|page| !listed.contains(&page.name));
    found.extend(left_out.map(|page| format!("{}: is not in {SUMMARY}", page.name)));
    Ok(found)
}

struct Link {
    line: usize,
    target: String,
}

fn links(page: &Page) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, text) in page.prose() {
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default().split(' ').next().unwrap_or_default();
            found.push(Link { line, target: target.to_owned() });
        }
    }
    found
}

/// The target as a path from the repository's root, without its anchor.
fn resolved(page: &Page, target: &str) -> String {
    let file = target.split('#').next().unwrap_or_default();
    if file.is_empty() {
        return page.name.clone();
    }
    let folder = Path::new(&page.name).parent().unwrap_or(Path::new(""));
    let mut path = PathBuf::new();
    for part in folder.join(file).components() {
        match part {
            Component::ParentDir if path.pop() => {}
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

fn fault(root: &Path, pages: &BTreeMap<&str, &Page>, page: &Page, link: &Link) -> Option<String> {
    let target = &link.target;
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let path = resolved(page, target);
    if !root.join(&path).exists() {
        return Some(format!("{target}: there is no {path}"));
    }
    if page.is_in_the_book() && !path.starts_with("docs/") {
        return Some(format!("{target}: the book, once built, holds nothing outside of docs/"));
    }
    let (_, anchor) = target.split_once('#')?;
    let there = pages.get(path.as_str())?;
    let known = anchors(there);
    (!known.iter().any(|known| known == anchor)).then(|| format!("{target}: {path} has no heading #{anchor}"))
}

/// The anchors of a page's headings, as mdBook and code forges make them.
fn anchors(page: &Page) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    // Code in a heading is part of its anchor, so the lines are taken as they stand.
    let numbers: Vec<usize> = page.prose().map(|(number, _)| number).collect();
    let lines: Vec<&str> = page.text.lines().collect();
    for heading in numbers.iter().map(|number| lines[number - 1]).filter(|line| line.starts_with('#')) {
        let text = heading.trim_start_matches('#').trim();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let twins = found.iter().filter(|other| **other == slug || is_twin(other, &slug)).count();
        found.push(if twins == 0 { slug } else { format!("{slug}-{twins}") });
    }
    found
}

fn is_twin(anchor: &str, slug: &str) -> bool {
    let number = anchor.strip_prefix(slug).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str, text: &str) -> Page {
        Page::new(name.to_owned(), text.to_owned())
    }

    fn of(pages: &[Page]) -> Vec<String> {
        faults(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap(), pages).unwrap()
    }

    #[test]
    fn a_link_into_nowhere_is_found_with_its_line() {
        let pages =
            [page(SUMMARY, "- [A](join.md)\n"), page("docs/join.md", "# A\n\n[b](no-such.md) [c](#d) [e](#a)\n")];
        let found = of(&pages);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("docs/join.md:3: no-such.md") && found[1].contains("no heading #d"), "{found:?}");
    }

    #[test]
    fn the_book_links_to_nothing_outside() {
        let pages = [page(SUMMARY, "- [A](join.md)\n"), page("docs/join.md", "[r](../README.md)\n")];
        assert!(of(&pages)[0].contains("nothing outside"));
    }

    #[test]
    fn a_page_that_is_not_listed_is_found() {
        let found = of(&[page(SUMMARY, "# S\n"), page("docs/join.md", "# J\n")]);
        assert_eq!(found, ["docs/join.md: is not in docs/SUMMARY.md"]);
    }

    #[test]
    fn anchors_are_made_as_mdbook_makes_them() {
        let text = "# What `pvecm add` says: no quorum?\n## Twice\n## Twice\n```sh\n# no heading\n```\n";
        assert_eq!(anchors(&page("a.md", text)), ["what-pvecm-add-says-no-quorum", "twice", "twice-1"]);
    }
}
