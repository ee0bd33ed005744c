//! A login and the commands run on it, one channel each.

use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::model::Secret;
use provisioning_core::ports::{Command, Output, Shell, ShellError};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Sig};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::client::Session;

/// How long saying good-bye may take, to a command or to the host.
const FAREWELL: Duration = Duration::from_secs(1);

/// Extended data of this type is standard error (RFC 4254, 5.2).
const STANDARD_ERROR: u32 = 1;

/// Root, logged in.
pub(super) struct Login {
    session: Session,
}

impl Login {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    async fn channel(&self) -> Result<(ChannelReadHalf, ChannelWriteHalf<Msg>), ShellError> {
        let opened = self.session.handle.channel_open_session().await;
        Ok(opened.map_err(|error| self.session.disconnected(Some(error)))?.split())
    }

    async fn converse(
        &self,
        command: &Command,
        from_host: &mut ChannelReadHalf,
        to_host: &ChannelWriteHalf<Msg>,
    ) -> Result<Output, ShellError> {
        let lost = |error| self.session.disconnected(Some(error));
        to_host.exec(true, command.line.as_str()).await.map_err(lost)?;
        // A command may end without reading its input, and may write much before it reads any: both sides at once,
        // and the end of the output is the end of all.
        let feed = async {
            if let Err(error) = feed(to_host, command.stdin.as_ref()).await {
                tracing::debug!(%error, "the command did not take all of its input");
            }
            std::future::pending::<()>().await;
        };
        let mut heard = Heard::new(command.output_limit_bytes);
        let listen = async {
            while let Some(message) = from_host.wait().await {
                heard.take(message)?;
            }
            Ok::<(), ShellError>(())
        };
        tokio::select! {
            biased;
            listened = listen => listened?,
            () = feed => {}
        }
        heard.output().ok_or_else(|| self.session.disconnected(None))
    }
}

async fn feed(to_host: &ChannelWriteHalf<Msg>, stdin: Option<&Secret<String>>) -> Result<(), russh::Error> {
    if let Some(stdin) = stdin {
        to_host.data(stdin.expose().as_bytes()).await?;
    }
    to_host.eof().await
}

/// Stops listening to a command. sshd ends a root command neither for this nor for a signal (OpenSSH refuses to
/// signal where the session runs as root): it ends when it next writes, or when it likes.
async fn abandon(to_host: &ChannelWriteHalf<Msg>) {
    timeout(FAREWELL, to_host.close()).await.ok();
}

#[async_trait]
impl Shell for Login {
    async fn run(&self, command: &Command) -> Result<Output, ShellError> {
        // The command itself is not told: the transcript has its name.
        self.execute(command).instrument(tracing::error_span!("ssh_command")).await
    }

    async fn close(self: Box<Self>) {
        timeout(FAREWELL, self.session.handle.disconnect(Disconnect::ByApplication, "", "en")).await.ok();
    }
}

impl Login {
    async fn execute(&self, command: &Command) -> Result<Output, ShellError> {
        let limit = command.time_limit;
        let deadline = tokio::time::Instant::now() + limit;
        let late = |_| ShellError::TimedOut { limit };
        let (mut from_host, to_host) = tokio::time::timeout_at(deadline, self.channel()).await.map_err(late)??;
        let conversation = self.converse(command, &mut from_host, &to_host);
        let result = tokio::time::timeout_at(deadline, conversation).await.unwrap_or_else(|e| Err(late(e)));
        if matches!(result, Err(ShellError::TimedOut { .. } | ShellError::TooMuchOutput { .. })) {
            // Nobody reads any more: without this the session would wait for us with what is still on its way.
            drop(from_host);
            abandon(&to_host).await;
        }
        result
    }
}

/// What a channel has brought so far.
struct Heard {
    limit_bytes: usize,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<u32>,
    closed: bool,
}

impl Heard {
    fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, stdout: Vec::new(), stderr: Vec::new(), status: None, closed: false }
    }

    fn take(&mut self, message: ChannelMsg) -> Result<(), ShellError> {
        match message {
            ChannelMsg::Data { data } => append(&mut self.stdout, &data, self.limit_bytes)?,
            ChannelMsg::ExtendedData { data, ext: STANDARD_ERROR } => {
                append(&mut self.stderr, &data, self.limit_bytes)?;
            }
            ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => self.status = Some(128 + number(&signal_name)),
            ChannelMsg::Failure => {
                return Err(ShellError::Disconnected { source: Some("the host refuses to run commands".into()) });
            }
            ChannelMsg::Close => self.closed = true,
            _ => {}
        }
        Ok(())
    }

    /// `None` unless the host has told how the command ended and that nothing follows.
    fn output(self) -> Option<Output> {
        let status = self.status.filter(|_| self.closed)?;
        Some(Output { status, stdout: text(self.stdout), stderr: text(self.stderr) })
    }
}

fn append(to: &mut Vec<u8>, data: &[u8], limit_bytes: usize) -> Result<(), ShellError> {
    if data.len() > limit_bytes - to.len() {
        return Err(ShellError::TooMuchOutput { limit_bytes });
    }
    to.extend_from_slice(data);
    Ok(())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A signal's number on Linux; 0 for one that has no name in SSH.
fn number(signal: &Sig) -> u32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(name) if name == "USR2" => 12,
        Sig::Custom(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_ends_without_status_or_close_is_no_output() {
        let mut heard = Heard::new(10);
        heard.take(ChannelMsg::ExitStatus { exit_status: 0 }).unwrap();
        assert_eq!(heard.output(), None);
        let mut heard = Heard::new(10);
        heard.take(ChannelMsg::Close).unwrap();
        assert_eq!(heard.output(), None);
    }

    #[test]
    fn the_limit_is_inclusive_and_bytes_that_are_no_text_are_replaced() {
        let mut bytes = vec![b'a'; 8];
        append(&mut bytes, b"\xff\xfe", 10).unwrap();
        assert!(matches!(append(&mut bytes, b"x", 10), Err(ShellError::TooMuchOutput { limit_bytes: 10 })));
        assert_eq!(text(bytes), "aaaaaaaa\u{fffd}\u{fffd}");
    }
}
