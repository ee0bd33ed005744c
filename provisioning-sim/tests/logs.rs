//! No secret ever reaches the log, whatever goes wrong and however much is logged.

use std::io::Write;
use std::sync::{Arc, Mutex};

use provisioning_sim::world::{Options, Plant, run};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_secret_reaches_the_log_at_its_most_talkative() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        for seed in 1..=5 {
            let outcome = run(Options { hosts: 3, hours: 3, ..Options::new(seed) }, Plant::default());
            assert!(outcome.broken.is_none(), "{outcome}");
        }
    });
    let text = String::from_utf8(log.0.lock().expect("a log").clone()).expect("UTF-8");
    assert!(text.contains("will try again"), "something is logged");
    for secret in ["one-time private key ", "the cluster's root password", "$6$"] {
        assert!(!text.contains(secret), "{secret} stands in the log");
    }
}
