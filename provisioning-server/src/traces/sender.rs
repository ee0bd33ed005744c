//! The queue of spans that are done, and the task that sends them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, watch};

/// Spans that may wait; a collector that is away costs no more memory than these.
const QUEUE_MAX: usize = 2048;
/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);

/// Where spans are put to be sent. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    pub(super) fn new() -> (Self, mpsc::Receiver<SpanData>) {
        let (spans, receiver) = mpsc::channel(QUEUE_MAX);
        (Self { spans, dropped: Arc::default() }, receiver)
    }

    /// Never waits: a span that does not fit is dropped and counted.
    pub(super) fn put(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.lose(1);
        }
    }

    fn lose(&self, count: usize) {
        self.dropped.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Sends until `stopping`, and then what is left.
pub(super) async fn send(
    exporter: SpanExporter,
    mut spans: mpsc::Receiver<SpanData>,
    queue: Queue,
    mut stopping: watch::Receiver<bool>,
) {
    let mut in_trouble = false;
    let mut is_last = false;
    while !is_last {
        let mut batch = vec![];
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => is_last = true,
            count = spans.recv_many(&mut batch, 1) => is_last = count == 0,
        }
        if !is_last {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => is_last = true,
                () = tokio::time::sleep(GATHER) => {}
            }
        }
        while let Ok(span) = spans.try_recv() {
            batch.push(span);
            if batch.len() == BATCH_MAX {
                in_trouble = export(&exporter, std::mem::take(&mut batch), &queue, in_trouble).await;
            }
        }
        if !batch.is_empty() {
            in_trouble = export(&exporter, batch, &queue, in_trouble).await;
        }
    }
}

/// Sends a batch; whether that failed. Said once, and once more when it works again.
async fn export(exporter: &SpanExporter, batch: Vec<SpanData>, queue: &Queue, in_trouble: bool) -> bool {
    let count = batch.len();
    match exporter.export(batch).await {
        Ok(()) => {
            let dropped = queue.dropped.swap(0, Ordering::Relaxed);
            if in_trouble || dropped > 0 {
                tracing::info!(dropped, "traces are sent again; some spans were dropped");
            }
            false
        }
        Err(error) => {
            queue.lose(count);
            if !in_trouble {
                tracing::warn!(%error, "traces cannot be sent; spans are dropped until they can");
            }
            true
        }
    }
}
