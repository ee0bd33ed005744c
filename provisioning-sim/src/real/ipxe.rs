//! Interprets iPXE scripts: does what the script says, and refuses what iPXE would not understand.
//!
//! Nothing here touches a network. The interpreter hands out one [`Step`] at a time and is told how it went, as
//! `||` and `&&` depend on that; the machine around it fetches, boots and waits.

mod parse;

use std::collections::BTreeMap;

pub use parse::IpxeError;
use parse::{Command, Link, Statement};

/// A script that was read and whose commands are all known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    statements: Vec<Statement>,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// [`IpxeError`] when the `#!ipxe` line is missing, or a line holds a command or option that is not known here:
    /// nothing is ever skipped.
    pub fn parse(text: &str) -> Result<Self, IpxeError> {
        Ok(Self { statements: parse::statements(text)? })
    }

    /// Begins to run it. `settings` are what `${name}` stands for; like in iPXE an unknown name stands for nothing.
    pub fn run(self, settings: BTreeMap<String, String>) -> Interpreter {
        Interpreter { statements: self.statements, settings, at: 0, images: Vec::new(), pending: None }
    }
}

/// A script that is running.
#[derive(Clone, Debug)]
pub struct Interpreter {
    statements: Vec<Statement>,
    settings: BTreeMap<String, String>,
    at: usize,
    images: Vec<ImageRef>,
    pending: Option<ImageRef>,
}

/// An image that was fetched, as `boot` will pass it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageRef {
    /// The kernel, with its arguments.
    Kernel {
        /// Where it came from.
        url: String,
        /// Its command line.
        arguments: Vec<String>,
    },
    /// An initial ramdisk.
    Initrd {
        /// The name that `initrd=` of the kernel refers to.
        name: String,
        /// Where it came from.
        url: String,
        /// The path under which iPXE wraps the file into the initramfs; `None` when it is an archive itself.
        wrap_as: Option<String>,
    },
}

impl ImageRef {
    /// Where the image comes from.
    pub fn url(&self) -> &str {
        match self {
            Self::Kernel { url, .. } | Self::Initrd { url, .. } => url,
        }
    }
}

/// What the machine has to do next, or how the script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Print a line.
    Echo(String),
    /// Download this image and report whether it came.
    Fetch(ImageRef),
    /// Boot the images. When it can not be done, report a failure and go on.
    Boot(Vec<ImageRef>),
    /// Boot the BIOS drive of this number (0x80 = first disk). When it holds no system, report a failure and go on.
    Sanboot {
        /// The drive.
        drive: u8,
    },
    /// The script is over; firmware goes on to the next boot device, if it can.
    Ended(End),
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// `exit STATUS` (0 when no status was given).
    Exit(u32),
    /// A command failed and nothing caught it.
    Failed {
        /// The command's first word.
        command: &'static str,
        /// The line it stands in, from 1.
        line: usize,
    },
    /// The last line was done without a boot.
    RanOut,
}

/// How the last step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// It worked. Also what to say when nothing was asked yet.
    Well,
    /// It did not.
    Wrong,
}

impl Interpreter {
    /// Takes how the last step went and says what comes next. After [`Step::Ended`] it stays ended.
    pub fn next(&mut self, went: Went) -> Step {
        if let Some(image) = self.pending.take()
            && went == Went::Well
        {
            self.keep(image);
        }
        if went == Went::Wrong
            && let Err(end) = self.catch_failure()
        {
            self.at = self.statements.len();
            return Step::Ended(end);
        }
        if went == Went::Well {
            self.skip_alternatives();
        }
        let Some(statement) = self.statements.get(self.at).cloned() else { return Step::Ended(End::RanOut) };
        self.at += 1;
        self.perform(statement.command)
    }

    /// A command that succeeded ends its line at a `||`: all that follows there is left out.
    fn skip_alternatives(&mut self) {
        if self.statements.get(self.at).is_some_and(|next| next.link == Link::Or) {
            self.skip_line();
        }
    }

    /// After a failure: goes on behind a `||`, or ends the script. Behind `&&` the rest of the line is lost even when
    /// it has a `||` further on, as iPXE stops at the first operator that does not fit.
    fn catch_failure(&self) -> Result<(), End> {
        let caught = self.statements.get(self.at).is_some_and(|next| next.link == Link::Or);
        match self.at.checked_sub(1).and_then(|last| self.statements.get(last)) {
            Some(failed) if !caught => Err(End::Failed { command: failed.command.name(), line: failed.line }),
            _ => Ok(()),
        }
    }

    fn skip_line(&mut self) {
        while self.statements.get(self.at).is_some_and(|next| next.link != Link::Start) {
            self.at += 1;
        }
    }

    fn perform(&mut self, command: Command) -> Step {
        match command {
            Command::Echo(words) => Step::Echo(self.expanded(&words).join(" ")),
            Command::Kernel { url, arguments } => {
                let url = self.expand(&url);
                self.fetch(ImageRef::Kernel { arguments: self.expanded(&arguments), url })
            }
            Command::Initrd { name, url, wrap_as } => {
                let url = self.expand(&url);
                let name = name.map_or_else(|| last_segment(&url), |name| self.expand(&name));
                let wrap_as = wrap_as.map(|path| self.expand(&path));
                self.fetch(ImageRef::Initrd { name, url, wrap_as })
            }
            Command::Boot => Step::Boot(self.images.clone()),
            Command::Sanboot { drive } => Step::Sanboot { drive },
            Command::Exit(status) => {
                self.at = self.statements.len();
                Step::Ended(End::Exit(status))
            }
        }
    }

    fn fetch(&mut self, image: ImageRef) -> Step {
        self.pending = Some(image.clone());
        Step::Fetch(image)
    }

    /// A second kernel takes the first one's place; ramdisks add up.
    fn keep(&mut self, image: ImageRef) {
        if matches!(image, ImageRef::Kernel { .. }) {
            self.images.retain(|kept| !matches!(kept, ImageRef::Kernel { .. }));
        }
        self.images.push(image);
    }

    fn expanded(&self, words: &[String]) -> Vec<String> {
        words.iter().map(|word| self.expand(word)).collect()
    }

    fn expand(&self, word: &str) -> String {
        let mut expanded = String::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else { break };
            expanded.push_str(before);
            expanded.push_str(self.settings.get(name).map_or("", String::as_str));
            rest = behind;
        }
        expanded + rest
    }
}

fn last_segment(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
