//! Secrets of the configuration: written behind their key, or in a file of their own.

use std::fmt::Display;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::str::FromStr;

use provisioning_core::model::Secret;

use super::fault::{Fault, Place};
use super::reader::Section;
use super::unreadable::unreadable;

impl Section<'_> {
    /// A secret from `key`, or from the file that `key_file` names. Its text never gets into a fault.
    pub(super) fn secret(&mut self, key: &str) -> Option<(Place, Secret<String>)> {
        let file_key = format!("{key}_file");
        let inline = self.text(key).filter(|(_, text)| !text.is_empty());
        let file = self.text(&file_key);
        let (place, name) = match (inline, file) {
            (Some((place, text)), None) => return Some((place, Secret::new(text))),
            (None, None) => return None,
            (Some(_), Some((place, _))) => {
                self.fault_at(&place, &file_key, format!("stands beside {key}: write only one of them"));
                return None;
            }
            (None, Some(file)) => file,
        };
        let path = self.reader.path(&name);
        match self.read_secret(&path) {
            Ok((text, seen_by_others)) => {
                if seen_by_others {
                    let problem = format!("{name} can be read by every user of this machine: chmod 600 it");
                    let key = self.key(&file_key);
                    self.reader.warn(Fault { place: place.clone(), key, problem, help: None });
                }
                Some((place, text))
            }
            Err(problem) => {
                self.fault_at(&place, &file_key, format!("{} {problem}", path.display()));
                None
            }
        }
    }

    /// A secret parsed into its type; the fault says what is allowed and not what was written.
    pub(super) fn secret_parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        let (place, text) = self.secret(key)?;
        match text.expose().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault_at(&place, key, error.to_string());
                None
            }
        }
    }

    /// What a file holds, and whether everybody may read it.
    fn read_secret(&self, path: &Path) -> Result<(Secret<String>, bool), String> {
        let text = self.reader.read(path)?;
        let trimmed = text.expose().trim_end_matches(['\n', '\r']);
        if trimmed.is_empty() {
            return Err("is empty: write the secret into it".to_owned());
        }
        if self.reader.is_draft(path) {
            return Ok((Secret::new(trimmed.to_owned()), false));
        }
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        Ok((Secret::new(trimmed.to_owned()), metadata.permissions().mode() & 0o004 != 0))
    }
}
