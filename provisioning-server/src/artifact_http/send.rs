//! Bytes of an artifact into a socket: memory by `send`, files by `sendfile`, in turns that share the server fairly.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::sendfile::sendfile;
use nix::sys::socket::{MsgFlags, send};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::bandwidth::Throttle;
use crate::images::artifact::Segment;

/// How many bytes one client is sent before the next has its turn. Less costs system calls, more makes 64
/// clients wait for each other; 1 MiB was the best of those measured (`docs/performance.md`).
const TURN: u64 = 1 << 20;
/// How far ahead the kernel is asked to read, in bytes, so that a file that is not in memory does not hold up a
/// worker in the midst of `sendfile`.
const AHEAD: u64 = 8 << 20;
/// Linux' hint that more data follows, which nix does not name.
const MSG_MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);
/// How long a client may take no byte at all before it is dropped: firmware that hangs, a cable that was pulled.
pub(super) const STALL_MAX: Duration = Duration::from_secs(120);

/// Sends bytes from memory. `more` says that others follow at once, so that they share a packet.
pub(super) async fn bytes(stream: &TcpStream, mut rest: &[u8], more: bool) -> io::Result<()> {
    let more = if more { MSG_MORE } else { MsgFlags::empty() };
    let flags = MsgFlags::MSG_NOSIGNAL | more;
    while !rest.is_empty() {
        let sent = taken(stream, || Ok(send(stream.as_raw_fd(), rest, flags)?)).await?;
        rest = &rest[sent..];
    }
    Ok(())
}

/// Sends segments one after the other, and tells `counter` of what has gone.
pub(super) async fn segments(
    stream: &TcpStream,
    segments: &[Segment],
    throttle: Option<&Throttle>,
    counter: &mut (dyn FnMut(u64) + Send),
) -> io::Result<()> {
    let mut left = segments.len();
    for segment in segments {
        left -= 1;
        match segment {
            Segment::Bytes(memory) => {
                if let Some(throttle) = throttle {
                    throttle.pass(memory.len() as u64).await;
                }
                bytes(stream, memory, left > 0).await?;
                counter(memory.len() as u64);
            }
            Segment::File { file, offset, len } => {
                run(stream, file, *offset..*offset + *len, throttle, counter).await?;
            }
        }
    }
    Ok(())
}

/// Sends a run of a file.
async fn run(
    stream: &TcpStream,
    file: &File,
    bytes: Range<u64>,
    throttle: Option<&Throttle>,
    counter: &mut (dyn FnMut(u64) + Send),
) -> io::Result<()> {
    let (mut at, end) = (bytes.start, bytes.end);
    let (mut turn, mut read_to) = (0, at);
    while at < end {
        if turn == 0 {
            turn = TURN.min(end - at);
            if let Some(throttle) = throttle {
                turn = turn.min(throttle.turn());
                throttle.pass(turn).await;
            }
        }
        if at >= read_to {
            read_to = (at + AHEAD).min(end);
            // What the kernel makes of the advice is its own affair.
            posix_fadvise(file, signed(at), signed(read_to - at), PosixFadviseAdvice::POSIX_FADV_WILLNEED).ok();
        }
        let wanted = usize::try_from(turn.min(end - at)).unwrap_or(usize::MAX);
        let mut offset = signed(at);
        let sent = taken(stream, || Ok(sendfile(stream, file, Some(&mut offset), wanted)?)).await?;
        if sent == 0 {
            // The promised length can not be kept: the connection breaks off.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the image's file has become shorter"));
        }
        at += sent as u64;
        counter(sent as u64);
        turn -= sent as u64;
        if turn == 0 {
            yield_now().await;
        }
    }
    Ok(())
}

/// Files are shorter than 8 EiB.
fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// Does a write as soon as the socket takes one.
async fn taken(stream: &TcpStream, write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    timeout(STALL_MAX, stream.async_io(Interest::WRITABLE, write))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client took no byte for two minutes"))?
}
