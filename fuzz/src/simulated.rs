//! What the simulated machines read: boot scripts, an initramfs, answer files. A simulator that falls over what a
//! server sends tells nobody what was wrong with it.

use std::collections::BTreeMap;

use provisioning_core::model::Release;
use provisioning_sim::real::answer::{AnswerFormat, DiskPick, InstallPlan, NetworkPlan, glob_matches, judge};
use provisioning_sim::real::ipxe::{Script, Step, Went};
use provisioning_sim::real::iso::{InitramfsError, IsoFs, last_member};

/// A boot script, run twice: every step well, and every other step wrong.
pub fn ipxe(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(script) = Script::parse(&text) else { return };
    for wrong_every in [usize::MAX, 2] {
        let mut running = script.clone().run(BTreeMap::from([("mac".to_owned(), "52:54:00:00:00:01".to_owned())]));
        let mut last = Went::Well;
        // Each step uses up a word of the script at least.
        let ended = (1..=text.len()).any(|number| {
            let step = running.next(last);
            if let Step::Echo(line) = &step {
                assert!(!line.contains(['\n', '\r']), "{line:?} leaves its line");
            }
            last = if number % wrong_every == 0 { Went::Wrong } else { Went::Well };
            matches!(step, Step::Ended(_))
        });
        assert!(ended, "a script without loops has no end");
    }
}

/// An initramfs, out of which a kernel takes a file.
pub fn cpio(initrd: &[u8]) {
    for name in ["proxmox.iso", "init", ""] {
        match last_member(initrd, name) {
            Ok(Some(content)) if !content.is_empty() => {
                assert!(initrd.as_ptr_range().contains(&content.as_ptr()), "the content is not the archive's");
                assert!(content.as_ptr_range().end <= initrd.as_ptr_range().end, "the content goes beyond the end");
            }
            Ok(_) => {}
            Err(InitramfsError::CutOff { present, claimed, .. }) => {
                assert!(present < claimed, "{present} of {claimed}");
            }
            // Padding of up to three bytes may be missing at the end.
            Err(InitramfsError::BadHeader { at } | InitramfsError::Misaligned { at }) => {
                assert!(at <= initrd.len() + 3, "{at} lies beyond the end");
            }
        }
    }
}

/// An image, as the simulated installer mounts it.
pub fn mount(image: &[u8]) {
    let Ok(fs) = IsoFs::open(image) else { return };
    let Ok(entries) = fs.list() else { return };
    for entry in entries {
        let end = entry.content.as_ptr_range().end;
        assert!(entry.content.is_empty() || end <= image.as_ptr_range().end, "{} goes beyond the end", entry.path);
        // Seventeen levels, each of a name whose bytes may all have become replacement characters.
        assert!(entry.path.len() <= 17 * (3 * 255 + 1), "a path of {} bytes", entry.path.len());
    }
}

/// An answer file, in either form and by the rules of every release.
pub fn answer_rules(text: &[u8]) {
    for (major, minor) in [(8, 1), (8, 2), (8, 3), (8, 4), (9, 1), (9, 2)] {
        for format in [AnswerFormat::Toml, AnswerFormat::Json] {
            match judge(text, format, Release::new(major, minor)) {
                Ok(plan) => check_plan(&plan, text.len()),
                // It may quote the line at fault, and mark the place below it.
                Err(error) => {
                    let said = error.to_string();
                    assert!(said.len() <= 16 * text.len() + 1000, "{} bytes about {}", said.len(), text.len());
                }
            }
        }
    }
}

/// The plan holds no more than the answer, and its globs can be matched.
fn check_plan(plan: &InstallPlan, len: usize) {
    let keys: usize = plan.root_ssh_keys.iter().map(String::len).sum();
    assert!(keys <= len, "{keys} bytes of keys in {len}");
    let picks = match &plan.disks.pick {
        DiskPick::Filter { globs, .. } => &globs[..],
        DiskPick::List(names) => {
            assert!(names.len() >= plan.disks.disks_min(), "too few disks for {:?}", plan.disks);
            &[]
        }
    };
    let nics = match &plan.network {
        NetworkPlan::Static(plan) => &plan.filter[..],
        NetworkPlan::FromDhcp => &[],
    };
    for (_, glob) in picks.iter().chain(nics) {
        glob_matches(glob, "enx525400000001");
    }
}
