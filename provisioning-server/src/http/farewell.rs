//! How connections end when the server stops: whoever has asked is answered, and nobody is kept waiting for the rest.
//!
//! A connection that was taken belongs to us: its request may be on the way, and there is nobody else to answer it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long requests under way are waited for when the server stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// And how much longer when installers wait for their answers among them: 55 s in all, since an answer is held for 50 s
/// (`reference/fetch-answer.md`: an installer asks once, and waits for a minute).
const ANSWER_TIME_MORE: Duration = Duration::from_secs(45);
/// Where they ask.
const ANSWER_PATH: &str = "/api/boot/answer";
/// How long a connection that has not asked yet is listened to: whoever connects asks at once.
pub(crate) const FIRST_REQUEST_MAX: Duration = Duration::from_secs(2);
/// How long a connection that was answered before is listened to: its next request may have been sent when it could not
/// know yet that we stop.
pub(crate) const NEXT_REQUEST_MAX: Duration = Duration::from_millis(250);

/// Installers that wait for their answers, over all connections of a door.
#[derive(Clone, Debug)]
pub(super) struct Installers(watch::Sender<usize>);

impl Installers {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Waits until the connections have `finished`, as long as may be waited for them; whether they have.
    pub(super) async fn see_off(&self, finished: impl Future<Output = ()>) -> bool {
        let mut waiting = self.0.subscribe();
        let patience = async {
            sleep(STOP_TIME_MAX).await;
            // Whether or not they were all answered, this is as long as any of them waits.
            timeout(ANSWER_TIME_MORE, waiting.wait_for(|installers| *installers == 0)).await.ok();
        };
        tokio::select! {
            biased;
            () = finished => true,
            () = patience => false,
        }
    }
}

/// The requests of a connection.
#[derive(Debug)]
pub(super) struct Requests {
    begun: watch::Sender<u64>,
    is_under_way: AtomicBool,
    installers: Installers,
    /// Whether it is counted among the installers that wait, as it is from its question to its end.
    is_installers: AtomicBool,
}

impl Requests {
    pub(super) fn new(installers: &Installers) -> Self {
        Self {
            begun: watch::Sender::new(0),
            is_under_way: AtomicBool::new(false),
            installers: installers.clone(),
            is_installers: AtomicBool::new(false),
        }
    }

    pub(super) fn begin(&self, path: &str) {
        if path == ANSWER_PATH && !self.is_installers.swap(true, Ordering::SeqCst) {
            self.installers.0.send_modify(|installers| *installers += 1);
        }
        self.is_under_way.store(true, Ordering::SeqCst);
        self.begun.send_modify(|begun| *begun += 1);
    }

    pub(super) fn end(&self) {
        self.is_under_way.store(false, Ordering::SeqCst);
    }

    /// Resolves when the connection may be told to close: at once while a request is under way, which is answered all the
    /// same, else with the next one, or when none has come in time.
    pub(super) fn may_close(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut begun = self.begun.subscribe();
        let limit = if *begun.borrow_and_update() == 0 { FIRST_REQUEST_MAX } else { NEXT_REQUEST_MAX };
        let is_under_way = self.is_under_way.load(Ordering::SeqCst);
        Box::pin(async move {
            if !is_under_way {
                timeout(limit, begun.changed()).await.ok();
            }
        })
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        if *self.is_installers.get_mut() {
            self.installers.0.send_modify(|installers| *installers -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_installer_is_waited_for_longer_than_others() {
        let begun = Instant::now();
        let installers = Installers::new();
        let other = Requests::new(&installers);
        other.begin("/ipxe/x");
        assert!(!installers.see_off(std::future::pending()).await);
        assert_eq!(begun.elapsed(), STOP_TIME_MAX);
        let installer = Requests::new(&installers);
        installer.begin(ANSWER_PATH);
        installer.begin(ANSWER_PATH);
        let begun = Instant::now();
        assert!(!installers.see_off(std::future::pending()).await);
        assert_eq!(begun.elapsed(), STOP_TIME_MAX + ANSWER_TIME_MORE);
        drop(installer);
        let begun = Instant::now();
        assert!(!installers.see_off(std::future::pending()).await);
        assert_eq!(begun.elapsed(), STOP_TIME_MAX);
        assert!(installers.see_off(std::future::ready(())).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_not_asked_yet_is_listened_to_and_who_has_is_not_kept_waiting() {
        let requests = Requests::new(&Installers::new());
        let begun = Instant::now();
        requests.may_close().await;
        assert_eq!(begun.elapsed(), FIRST_REQUEST_MAX);
        let may_close = requests.may_close();
        requests.begin("/ipxe/x");
        may_close.await;
        requests.may_close().await;
        assert_eq!(begun.elapsed(), FIRST_REQUEST_MAX, "neither has waited");
        requests.end();
        requests.may_close().await;
        assert_eq!(begun.elapsed(), FIRST_REQUEST_MAX + NEXT_REQUEST_MAX);
    }
}
