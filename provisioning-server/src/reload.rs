//! Asking those that follow files to read them anew, and knowing when they have.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};

/// Asks all its followers.
#[derive(Debug, Default)]
pub struct Reloads(Vec<mpsc::Sender<Reload>>);

/// Where a follower hears that it is asked.
#[derive(Debug)]
pub struct Asked(mpsc::Receiver<Reload>);

/// A request to read again what can be read again: sent back, or dropped, when that is done.
pub type Reload = oneshot::Sender<()>;

impl Reloads {
    /// One more that is asked.
    pub fn follower(&mut self) -> Asked {
        let (sender, receiver) = mpsc::channel(1);
        self.0.push(sender);
        Asked(receiver)
    }

    /// Asks all at once, and resolves when each has read its files, well or not. One that is gone has none to read.
    pub async fn ask(&self) {
        let mut under_way = Vec::new();
        for follower in &self.0 {
            let (done, is_done) = oneshot::channel();
            if follower.send(done).await.is_ok() {
                under_way.push(is_done);
            }
        }
        for is_done in under_way {
            is_done.await.ok();
        }
    }
}

impl Asked {
    /// The next request; never resolves when whoever could ask is gone.
    pub async fn next(&mut self) -> Reload {
        match self.0.recv().await {
            Some(reload) => reload,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reload_has_ended_when_every_follower_has_read_its_files() {
        let mut reloads = Reloads::default();
        let (mut first, mut second) = (reloads.follower(), reloads.follower());
        let asking = tokio::spawn(async move { reloads.ask().await });
        let (one, other) = (first.next().await, second.next().await);
        one.send(()).expect("it is waited for");
        assert!(!asking.is_finished(), "the second still reads");
        drop(other);
        asking.await.expect("both are done");
    }

    #[tokio::test]
    async fn a_follower_that_is_gone_is_not_waited_for() {
        let mut reloads = Reloads::default();
        drop(reloads.follower());
        reloads.ask().await;
    }
}
