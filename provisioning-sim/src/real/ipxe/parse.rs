//! Reads a script's lines into commands.

/// One command, how it hangs on the one before, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) link: Link,
    pub(super) command: Command,
    pub(super) line: usize,
}

/// When a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It begins its line: always.
    Start,
    /// Behind `||`: when the one before failed.
    Or,
    /// Behind `&&`: when the one before succeeded.
    And,
}

/// The commands that boot scripts of ours may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Echo(Vec<String>),
    Kernel { url: String, arguments: Vec<String> },
    Initrd { name: Option<String>, url: String, wrap_as: Option<String> },
    Boot,
    Sanboot { drive: u8 },
    Exit(u32),
}

impl Command {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Echo(_) => "echo",
            Self::Kernel { .. } => "kernel",
            Self::Initrd { .. } => "initrd",
            Self::Boot => "boot",
            Self::Sanboot { .. } => "sanboot",
            Self::Exit(_) => "exit",
        }
    }
}

/// Why a script can not be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IpxeError {
    /// The first line is not `#!ipxe`.
    #[error("the first line is not #!ipxe, so iPXE takes it for no script")]
    NoHeader,
    /// A command that iPXE, or this interpreter, does not know.
    #[error("line {line}: {command:?} is no command that is known here")]
    UnknownCommand {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: String,
    },
    /// An option or argument that the command does not take.
    #[error("line {line}: {command} {problem}")]
    BadUsage {
        /// The line, from 1.
        line: usize,
        /// The command.
        command: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// `||` or `&&` without a command on both sides.
    #[error("line {line}: {operator} lacks a command on one side")]
    DanglingOperator {
        /// The line, from 1.
        line: usize,
        /// `||` or `&&`.
        operator: &'static str,
    },
}

pub(super) fn statements(text: &str) -> Result<Vec<Statement>, IpxeError> {
    let mut lines = text.lines();
    // iPXE itself looks for "#!ipxe" followed by white space.
    if lines.next().map(str::trim_end) != Some("#!ipxe") {
        return Err(IpxeError::NoHeader);
    }
    let mut statements = Vec::new();
    let mut continued: Option<(usize, String)> = None;
    for (index, line) in lines.enumerate() {
        let (start, mut whole) = continued.take().unwrap_or((index + 2, String::new()));
        if let Some(part) = line.trim_end().strip_suffix('\\') {
            whole.push_str(part);
            continued = Some((start, whole));
        } else {
            whole.push_str(line);
            parse_line(start, &whole, &mut statements)?;
        }
    }
    if let Some((start, whole)) = continued {
        parse_line(start, &whole, &mut statements)?;
    }
    Ok(statements)
}

fn parse_line(line: usize, text: &str, statements: &mut Vec<Statement>) -> Result<(), IpxeError> {
    let mut how = Link::Start;
    let mut words = Vec::new();
    // A word that begins with # makes the rest of the line a comment.
    for word in text.split_whitespace().take_while(|word| !word.starts_with('#')) {
        let next = match word {
            "||" => Link::Or,
            "&&" => Link::And,
            _ => {
                words.push(word);
                continue;
            }
        };
        statements.push(statement(line, how, &words)?);
        words.clear();
        how = next;
    }
    if how == Link::Start && words.is_empty() {
        return Ok(());
    }
    statements.push(statement(line, how, &words)?);
    Ok(())
}

fn statement(line: usize, how: Link, words: &[&str]) -> Result<Statement, IpxeError> {
    let Some((name, arguments)) = words.split_first() else {
        let operator = if how == Link::And { "&&" } else { "||" };
        return Err(IpxeError::DanglingOperator { line, operator });
    };
    let command = command(line, name, arguments)?;
    Ok(Statement { link: how, command, line })
}

fn command(line: usize, name: &str, words: &[&str]) -> Result<Command, IpxeError> {
    match name {
        "echo" => Ok(Command::Echo(owned(words))),
        "kernel" => kernel(&mut Usage { line, command: "kernel", words }),
        "initrd" => initrd(&mut Usage { line, command: "initrd", words }),
        "boot" => {
            let usage = Usage { line, command: "boot", words };
            usage.nothing_more().map(|()| Command::Boot)
        }
        "sanboot" => sanboot(&mut Usage { line, command: "sanboot", words }),
        "exit" => exit(&mut Usage { line, command: "exit", words }),
        _ => Err(IpxeError::UnknownCommand { line, command: name.to_owned() }),
    }
}

fn kernel(usage: &mut Usage<'_>) -> Result<Command, IpxeError> {
    while let Some(option) = usage.option() {
        match option {
            "--name" | "-n" => usage.value("--name").map(drop)?,
            other => return Err(usage.unknown(other)),
        }
    }
    let url = usage.value("URL")?;
    Ok(Command::Kernel { url, arguments: owned(usage.words) })
}

fn initrd(usage: &mut Usage<'_>) -> Result<Command, IpxeError> {
    let mut name = None;
    while let Some(option) = usage.option() {
        match option {
            "--name" | "-n" => name = Some(usage.value("--name")?),
            other => return Err(usage.unknown(other)),
        }
    }
    let url = usage.value("URL")?;
    let wrap_as = if usage.words.is_empty() { None } else { Some(usage.value("NAME")?) };
    usage.nothing_more()?;
    Ok(Command::Initrd { name, url, wrap_as })
}

fn sanboot(usage: &mut Usage<'_>) -> Result<Command, IpxeError> {
    let mut drive = 0x80;
    while let Some(option) = usage.option() {
        match option {
            "--no-describe" | "--keep" => {}
            "--drive" | "-d" => {
                let text = usage.value("--drive")?;
                let parsed = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u8::from_str_radix(hex, 16));
                drive = parsed.map_err(|_| usage.bad(format!("has drive {text:?}, which is no number up to 0xff")))?;
            }
            other => return Err(usage.unknown(other)),
        }
    }
    usage.nothing_more()?;
    Ok(Command::Sanboot { drive })
}

fn exit(usage: &mut Usage<'_>) -> Result<Command, IpxeError> {
    let status = if usage.words.is_empty() { "0".to_owned() } else { usage.value("STATUS")? };
    usage.nothing_more()?;
    let status = status.parse().map_err(|_| usage.bad(format!("has status {status:?}, which is no number")))?;
    Ok(Command::Exit(status))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A command's words that were not looked at yet.
struct Usage<'a> {
    line: usize,
    command: &'static str,
    words: &'a [&'a str],
}

impl<'a> Usage<'a> {
    /// The next word when it is an option.
    fn option(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first().filter(|(first, _)| first.starts_with('-'))?;
        self.words = rest;
        Some(first)
    }

    fn value(&mut self, what: &str) -> Result<String, IpxeError> {
        let (first, rest) = self.words.split_first().ok_or_else(|| self.bad(format!("lacks its {what}")))?;
        self.words = rest;
        Ok((*first).to_owned())
    }

    fn nothing_more(&self) -> Result<(), IpxeError> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(self.bad(format!("does not take {word:?}"))),
        }
    }

    fn unknown(&self, option: &str) -> IpxeError {
        self.bad(format!("has no option {option:?} that is known here"))
    }

    fn bad(&self, problem: String) -> IpxeError {
        IpxeError::BadUsage { line: self.line, command: self.command, problem }
    }
}
