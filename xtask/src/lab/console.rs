//! A file that a machine's serial console or a program's output is written to, read while it grows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::{Instant, interval};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A growing text.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    file: PathBuf,
}

impl Console {
    pub(crate) fn of(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// All of it, without the control sequences that firmware draws its menus with.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        match fs::read(&self.file) {
            Ok(bytes) => Ok(plain(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error).with_context(|| self.file.display().to_string()),
        }
    }

    /// How often `what` stands in it.
    pub(crate) fn count(&self, what: &str) -> anyhow::Result<usize> {
        Ok(self.text()?.matches(what).count())
    }

    /// Waits until `what` stands in it at least `times` times.
    ///
    /// # Errors
    /// With the last lines, when it does not `within` that time.
    pub(crate) async fn says(&self, what: &str, times: usize, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        let mut looks = interval(LOOK_EVERY);
        while self.count(what)? < times {
            if Instant::now() >= until {
                bail!("{what:?} was not said within {} s; the last lines:\n{}", within.as_secs(), self.last_lines(12)?);
            }
            looks.tick().await;
        }
        Ok(())
    }

    /// Its last lines that are not empty, indented.
    pub(crate) fn last_lines(&self, count: usize) -> anyhow::Result<String> {
        let text = self.text()?;
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(count)..];
        Ok(last.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n"))
    }
}

/// A text without escape sequences (`ESC [ … letter`, `ESC letter`) and other control characters.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
                }
            }
            '\n' | '\t' => plain.push(char),
            char if char.is_control() => {}
            char => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_firmware_draws_is_read_as_text() {
        assert_eq!(plain("\u{1b}[2J\u{1b}[01;01HStart\r\n\u{1b}[0;37;40mPXE\u{1b}cX\0"), "Start\nPXEX");
    }
}
