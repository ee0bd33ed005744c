//! Streams an artifact into a response: large positioned reads off the async threads, one after the other.
//!
//! A client costs what is in flight for it and no more: the next read starts when the connection asks for it, and
//! a buffer is used again as soon as its bytes have gone out.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use super::artifact::Segment;

/// The most that is read from a file at once, in bytes.
pub const CHUNK: usize = 256 << 10;

/// Is told of every frame's length.
pub(super) type OnServed = Box<dyn FnMut(u64) + Send>;

/// The body of a response. It must be polled within a tokio runtime.
///
/// No more than one read is under way, and none while nobody asks. A reader that drops each frame before it polls
/// for the next makes one buffer of [`CHUNK`] bytes do for the whole download.
pub struct ArtifactBody {
    segments: VecDeque<Segment>,
    remaining: u64,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
    spare: Spare,
    on_served: OnServed,
}

/// The buffer that has come back from the connection, if any.
type Spare = Arc<Mutex<Option<Vec<u8>>>>;

impl ArtifactBody {
    pub(super) fn new(segments: Vec<Segment>, on_served: OnServed) -> Self {
        let remaining = segments.iter().map(Segment::len).sum();
        Self { segments: segments.into(), remaining, reading: None, spare: Spare::default(), on_served }
    }

    fn hand_on(&mut self, bytes: Bytes) -> Frame<Bytes> {
        let len = bytes.len() as u64;
        self.remaining = self.remaining.saturating_sub(len);
        (self.on_served)(len);
        Frame::data(bytes)
    }

    fn start_reading(&self, file: Arc<File>, offset: u64, len: usize) -> JoinHandle<io::Result<Vec<u8>>> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        spawn_blocking(move || {
            let mut buffer = spare.unwrap_or_else(|| Vec::with_capacity(len));
            buffer.resize(len, 0);
            file.read_exact_at(&mut buffer, offset)?;
            Ok(buffer)
        })
    }
}

impl Body for ArtifactBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        loop {
            if let Some(reading) = &mut this.reading {
                let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).flatten();
                this.reading = None;
                return Poll::Ready(Some(match read {
                    Ok(buffer) => {
                        Ok(this.hand_on(Bytes::from_owner(Lent { buffer, back_to: Arc::clone(&this.spare) })))
                    }
                    Err(error) => {
                        // The promised length can not be kept: the connection breaks off, and nothing follows.
                        this.segments.clear();
                        Err(error)
                    }
                }));
            }
            match this.segments.pop_front() {
                None => return Poll::Ready(None),
                Some(Segment::Bytes(bytes)) => return Poll::Ready(Some(Ok(this.hand_on(bytes)))),
                Some(Segment::File { file, offset, len }) => {
                    let chunk = usize::try_from(len).unwrap_or(CHUNK).min(CHUNK);
                    let rest = len - chunk as u64;
                    if rest > 0 {
                        let offset = offset + chunk as u64;
                        this.segments.push_front(Segment::File { file: Arc::clone(&file), offset, len: rest });
                    }
                    this.reading = Some(this.start_reading(file, offset, chunk));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.segments.is_empty() && self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// A buffer that goes back to its body when the connection is done with it.
struct Lent {
    buffer: Vec<u8>,
    back_to: Spare,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.back_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(mem::take(&mut self.buffer));
    }
}
