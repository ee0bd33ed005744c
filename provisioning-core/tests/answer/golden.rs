//! Golden files: `good/CASE/input.toml` beside what each release gets, `bad/CASE.toml` beside the reason.
//!
//! `UPDATE_GOLDEN=1` writes them anew; read the difference before committing it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use provisioning_core::model::Release;
use provisioning_core::render::answer::Format;

use crate::case::{Case, golden_folder};

const RELEASES: [Release; 6] = [
    Release::new(8, 2),
    Release::new(8, 3),
    Release::new(8, 4),
    Release::new(9, 0),
    Release::new(9, 1),
    Release::new(9, 2),
];

#[test]
fn every_good_case_renders_as_its_golden_files_say() {
    for folder in entries(&golden_folder().join("good")) {
        let (case, trial) = Case::read(&folder.join("input.toml"));
        let releases = trial.releases.unwrap_or_else(|| RELEASES.to_vec());
        let mut files = BTreeSet::from([folder.join("input.toml")]);
        let mut check = |name: String, text: &str| {
            let path = folder.join(name);
            compare(&path, text);
            files.insert(path);
        };
        for release in releases {
            let answer = case.answer(release, Format::Toml).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
            assert_eq!(answer.content_type, "application/toml");
            check(format!("{release}.toml"), answer.text.expose());
        }
        let newest = RELEASES[RELEASES.len() - 1];
        check(format!("{newest}.masked.toml"), &case.answer(newest, Format::Toml).unwrap().masked);
        let json = case.answer(newest, Format::Json).unwrap();
        assert_eq!(json.content_type, "application/json");
        check(format!("{newest}.json"), json.text.expose());
        assert_eq!(entries(&folder).into_iter().collect::<BTreeSet<_>>(), files, "files that no release has");
    }
}

#[test]
fn every_bad_case_is_refused_with_the_reason_in_its_golden_file() {
    let inputs: Vec<_> = entries(&golden_folder().join("bad"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(!inputs.is_empty());
    for path in inputs {
        let (case, trial) = Case::read(&path);
        let release = trial.release.expect("a bad case names its release");
        let error = case.answer(release, trial.format).expect_err(&path.display().to_string());
        compare(&path.with_extension("txt"), &format!("{error}\n"));
    }
}

fn compare(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(path, actual).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(actual, expected, "{} (UPDATE_GOLDEN=1 writes it anew)", path.display());
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
