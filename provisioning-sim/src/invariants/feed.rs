//! A subscriber that comes and goes sees each entry of the journal once, in order.

use provisioning_core::ports::JournalEntry;

use super::{Invariant, Scene, Seen, Verdict};

#[derive(Default)]
pub(super) struct Feed {
    written: Vec<JournalEntry>,
    read: usize,
}

impl Invariant for Feed {
    fn name(&self) -> &'static str {
        "a subscriber sees each entry once, in order"
    }

    fn see(&mut self, seen: Seen<'_>, _: &Scene) -> Verdict {
        match seen {
            Seen::Entry(entry) => self.written.push(entry.clone()),
            Seen::Read(entries) => {
                for entry in entries {
                    if self.written.get(self.read) != Some(entry) {
                        return Err(format!("after {} entries a subscriber was given entry {}", self.read, entry.seq));
                    }
                    self.read += 1;
                }
            }
            Seen::Deed(_) => {}
        }
        Ok(())
    }

    fn quiet(&mut self, _: &Scene) -> Verdict {
        if self.read == self.written.len() {
            return Ok(());
        }
        Err(format!("a subscriber was given {} entries of {}", self.read, self.written.len()))
    }
}

#[cfg(test)]
mod tests {
    use provisioning_core::ports::Happening;

    use super::super::sample::{entry, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_lost_a_doubled_and_an_early_entry() {
        let scene = scene(ready());
        let [one, two] = [1, 2].map(|seq| entry(seq, Happening::KeyErased));
        let mut rule = Feed::default();
        assert!(rule.see(Seen::Read(std::slice::from_ref(&one)), &scene).is_err(), "before it was written");
        for written in [&one, &two] {
            rule.see(Seen::Entry(written), &scene).unwrap();
        }
        assert!(rule.see(Seen::Read(std::slice::from_ref(&two)), &scene).is_err(), "the first is lost");
        rule.see(Seen::Read(std::slice::from_ref(&one)), &scene).unwrap();
        assert!(rule.see(Seen::Read(&[one]), &scene).is_err(), "twice");
        assert!(rule.quiet(&scene).is_err(), "the second is missing");
    }
}
