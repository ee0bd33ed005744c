//! Runs every fuzz target over its seeds in `fuzz/corpus`, so that what fuzzing once found stays found without it.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use provisioning_core::model::{InstallReport, PhoneHome, Release, SystemInfo};
use provisioning_server::images::inspect::inspect;
use provisioning_sim::real::answer::{AnswerFormat, judge};

use crate::targets;

/// A test for each target, and the list of them.
macro_rules! corpus_tests {
    ($($target:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),*];

        $(
            #[test]
            fn $target() {
                run(stringify!($target), targets::$target);
            }
        )*
    };
}

corpus_tests! {
    mac hostname boot_token system_info install_report phone_home range iso9660 ipxe cpio answer_rules
}

#[test]
fn every_fuzz_target_has_a_test_here_and_seeds() {
    let mut expected = TARGETS.to_vec();
    expected.sort_unstable();
    for (folder, ending) in [("corpus", ""), ("fuzz_targets", ".rs")] {
        let found = names_in(&fuzz().join(folder));
        let found: Vec<&str> = found.iter().map(|name| name.strip_suffix(ending).unwrap_or(name)).collect();
        assert_eq!(found, expected, "in fuzz/{folder}");
    }
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("the fuzz targets have a manifest");
    for target in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target} is not in the manifest");
    }
}

#[test]
fn seeds_that_are_to_be_accepted_are() {
    let seed = |path: &str| fs::read(fuzz().join("corpus").join(path)).expect("the seed is there");
    for image in ["stock", "xorriso", "continued-name", "identifier-taken", "mode-file-there", "pieces"] {
        let image = [vec![0; 16 * 2048], seed(&format!("iso9660/{image}.iso"))].concat();
        assert_eq!(inspect(&image[..]).map(|found| found.info.name()).ok().as_deref(), Some("proxmox-ve_9.2-1"));
    }
    let release = Release::new(9, 2);
    assert!(judge(&seed("answer_rules/static-zfs.toml"), AnswerFormat::Toml, release).is_ok());
    assert!(judge(&seed("answer_rules/static-zfs.json"), AnswerFormat::Json, release).is_ok());
    assert!(SystemInfo::from_json(&seed("system_info/installer-9.2.json")).is_ok());
    assert!(InstallReport::from_json(&seed("install_report/installer-9.2.json")).is_ok());
    assert!(PhoneHome::from_json(&seed("phone_home/first-boot.json")).is_ok());
}

fn run(target: &str, check: fn(&[u8])) {
    let folder = fuzz().join("corpus").join(target);
    let seeds = names_in(&folder);
    assert!(seeds.len() >= 5, "{target} has {} seeds only", seeds.len());
    let fails = |seed: &String| {
        let bytes = fs::read(folder.join(seed)).expect("seeds can be read");
        catch_unwind(|| check(&bytes)).is_err()
    };
    let failed: Vec<String> = seeds.into_iter().filter(fails).collect();
    assert!(failed.is_empty(), "{target} fails at {}", failed.join(", "));
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The names of a folder's entries, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("folders can be listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}
