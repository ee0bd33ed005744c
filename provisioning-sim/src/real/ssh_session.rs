//! One SSH connection to a simulated node: who may log in, and the few commands that exist there.

use std::collections::BTreeMap;

use provisioning_core::model::{CertFingerprint, MemberAddr, OperationId, Secret};
use provisioning_core::render::RemoteCommand;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session as Wire, VerifiedPublicKey};
use russh::{Channel, ChannelId, Disconnect, Pty};

use super::node::SimNode;
use super::node_commands::{Performed, Reply};
use super::pvecm::JoinRequest;
use super::ssh::core_key;

/// More than any secret is long; the rest of the input is not kept.
const STDIN_LIMIT_BYTES: usize = 16 * 1024;

/// A connection's state.
pub(super) struct Session {
    node: SimNode,
    boot: u64,
    waiting: BTreeMap<ChannelId, WaitingJoin>,
}

/// A join command that still reads the secret from its standard input.
struct WaitingJoin {
    operation: OperationId,
    member: MemberAddr,
    fingerprint: CertFingerprint,
    input: Vec<u8>,
}

impl Session {
    pub(super) fn new(node: SimNode, boot: u64) -> Self {
        Self { node, boot, waiting: BTreeMap::new() }
    }

    /// Runs what needs no input; a join waits for its own. An empty answer: the power is gone.
    fn run(&mut self, channel: ChannelId, command: RemoteCommand) -> Progress {
        match self.node.perform(self.boot, command) {
            Performed::Ended(reply) => reply.map_or(Progress::PowerLost, Progress::Ended),
            Performed::WantsSecret { operation, member, fingerprint } => {
                self.waiting.insert(channel, WaitingJoin { operation, member, fingerprint, input: Vec::new() });
                Progress::WantsInput
            }
        }
    }

    /// Goes on with a join when its line is complete, or fails it as `read` and `set -e` do when the input ends
    /// before.
    fn read_line(&mut self, channel: ChannelId, input_ended: bool) -> Progress {
        let Some(join) = self.waiting.get(&channel) else { return Progress::WantsInput };
        let end_of_line = join.input.iter().position(|byte| *byte == b'\n');
        if end_of_line.is_none() && !input_ended {
            return Progress::WantsInput;
        }
        let Some((end, mut join)) = end_of_line.zip(self.waiting.remove(&channel)) else {
            self.waiting.remove(&channel);
            return Progress::Ended(Reply::failed(1, ""));
        };
        join.input.truncate(end);
        let request = JoinRequest {
            operation: join.operation,
            member: join.member,
            fingerprint: join.fingerprint,
            password: Secret::new(String::from_utf8_lossy(&join.input).into_owned()),
        };
        self.node.start_join(self.boot, request).map_or(Progress::PowerLost, Progress::Ended)
    }

    fn refuse(&self, channel: ChannelId, what: &str, wire: &mut Wire) -> Result<(), russh::Error> {
        self.node.during(self.boot, |state| state.note_unknown(what));
        wire.channel_failure(channel)
    }
}

/// How far a command came.
enum Progress {
    WantsInput,
    Ended(Reply),
    PowerLost,
}

/// Sends what a command left, if it has ended, and closes its channel.
fn answer(channel: ChannelId, progress: Progress, wire: &mut Wire) -> Result<(), russh::Error> {
    let reply = match progress {
        Progress::Ended(reply) => reply,
        Progress::WantsInput => return Ok(()),
        Progress::PowerLost => return wire.disconnect(Disconnect::ByApplication, "", ""),
    };
    if !reply.stdout.is_empty() {
        wire.data(channel, reply.stdout.into_bytes())?;
    }
    if !reply.stderr.is_empty() {
        wire.extended_data(channel, 1, reply.stderr.into_bytes())?;
    }
    wire.exit_status_request(channel, reply.status)?;
    wire.eof(channel)?;
    wire.close(channel)
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        let Some(key) = core_key(offer.public_key) else { return Ok(Auth::reject()) };
        let accepted = self.node.during(self.boot, |state| {
            // Only the end is written down: an accepted offer still has to be signed.
            state.would_let_in(user, &key) || state.log_in(user, &key)
        });
        Ok(if accepted == Some(true) { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let Some(key) = core_key(key.public_key) else { return Ok(Auth::reject()) };
        let accepted = self.node.during(self.boot, |state| state.log_in(user, &key));
        Ok(if accepted == Some(true) { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _wire: &mut Wire,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, channel: ChannelId, line: &[u8], wire: &mut Wire) -> Result<(), russh::Error> {
        wire.channel_success(channel)?;
        let line = String::from_utf8_lossy(line);
        let Some(command) = RemoteCommand::from_line(&line) else {
            let first_word = line.split_whitespace().next().unwrap_or_default();
            let reply = self.node.during(self.boot, |state| {
                state.note_unknown(&line);
                Reply::failed(127, &format!("sh: 1: {first_word}: not found\n"))
            });
            return answer(channel, reply.map_or(Progress::PowerLost, Progress::Ended), wire);
        };
        self.node.during(self.boot, |state| state.note_command(command.clone()));
        let progress = self.run(channel, command);
        answer(channel, progress, wire)
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], wire: &mut Wire) -> Result<(), russh::Error> {
        if let Some(join) = self.waiting.get_mut(&channel) {
            let room = STDIN_LIMIT_BYTES.saturating_sub(join.input.len());
            join.input.extend_from_slice(&data[..data.len().min(room)]);
        }
        answer(channel, self.read_line(channel, false), wire)
    }

    async fn channel_eof(&mut self, channel: ChannelId, wire: &mut Wire) -> Result<(), russh::Error> {
        answer(channel, self.read_line(channel, true), wire)
    }

    async fn channel_close(&mut self, channel: ChannelId, _wire: &mut Wire) -> Result<(), russh::Error> {
        self.waiting.remove(&channel);
        Ok(())
    }

    async fn shell_request(&mut self, channel: ChannelId, wire: &mut Wire) -> Result<(), russh::Error> {
        self.refuse(channel, "(a shell)", wire)
    }

    async fn subsystem_request(&mut self, channel: ChannelId, name: &str, wire: &mut Wire) -> Result<(), russh::Error> {
        self.refuse(channel, &format!("(subsystem {name})"), wire)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        wire: &mut Wire,
    ) -> Result<(), russh::Error> {
        self.refuse(channel, "(a terminal)", wire)
    }
}
