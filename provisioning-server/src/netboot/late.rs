//! A boot server that cannot start yet, for want of its program, its interface or its port: the server does all its other
//! work meanwhile, so that hosts that are being installed can go on, and tries again until it can.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use provisioning_core::ports::{BootPlan, BootServer, BootServerError, BoxError, Retry, chain};
use tokio::time::sleep;

use super::{BootServerHealth, Health, Task};

/// How often it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A boot server that has started.
pub struct Started {
    /// What plans are given to.
    pub boot_server: Arc<dyn BootServer>,
    /// Keeps it running until the future that it is given ends.
    pub keep: Box<dyn FnOnce(Task) -> Task + Send>,
    /// How it fares.
    pub health: Health,
}

/// Starts it, or says what is missing.
pub type Start = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Started, BoxError>> + Send>> + Send + Sync>;

/// See the file's first line.
pub struct LateBootServer {
    state: Mutex<State>,
}

enum State {
    /// Why it has not started.
    Waiting(String),
    Running(Arc<dyn BootServer>, Health),
}

impl LateBootServer {
    /// Tries to start it. It is kept, or tried again, for as long as the task runs, until the future that the task is given
    /// ends.
    pub async fn begin(start: Start) -> (Arc<Self>, impl FnOnce(Task) -> Task + Send) {
        Self::begin_with(start, AGAIN_AFTER).await
    }

    async fn begin_with(start: Start, again_after: Duration) -> (Arc<Self>, impl FnOnce(Task) -> Task + Send) {
        let state = Mutex::new(State::Waiting("it has not been started yet".to_owned()));
        let late = Arc::new(Self { state });
        let begun = late.try_start(&start).await;
        let kept = Arc::clone(&late);
        (late, move |stop: Task| Box::pin(kept.keep(start, again_after, begun, stop)) as Task)
    }

    /// How it fares.
    pub fn health(self: &Arc<Self>) -> Health {
        let late = Arc::clone(self);
        Health::new(move || match &*late.state() {
            State::Waiting(problem) => BootServerHealth { trouble: Some(problem.clone()), restarts: 0 },
            State::Running(_, health) => health.report().unwrap_or_default(),
        })
    }

    async fn keep(self: Arc<Self>, start: Start, again_after: Duration, begun: Option<Keep>, mut stop: Task) {
        let mut begun = begun;
        let keep = loop {
            if let Some(keep) = begun {
                break keep;
            }
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = sleep(again_after) => begun = self.try_start(&start).await,
            }
        };
        // It may hold on to what ends with the boot server, such as the other end of its sightings.
        drop(start);
        keep(stop).await;
    }

    /// Says once what is missing, and once that it is there.
    async fn try_start(&self, start: &Start) -> Option<Keep> {
        let started = start().await;
        let mut state = self.state();
        let known = match &*state {
            State::Waiting(problem) => problem.clone(),
            State::Running(..) => String::new(),
        };
        match started {
            Ok(Started { boot_server, keep, health }) => {
                tracing::info!("netbooting machines are answered");
                *state = State::Running(boot_server, health);
                Some(keep)
            }
            Err(error) => {
                let problem = chain(&*error);
                if problem != known {
                    tracing::error!(
                        "netbooting machines are not answered, all else is done; tried again until it works: {problem}"
                    );
                }
                *state = State::Waiting(problem);
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Keep = Box<dyn FnOnce(Task) -> Task + Send>;

#[async_trait]
impl BootServer for LateBootServer {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        let running = match &*self.state() {
            State::Waiting(problem) => Err(problem.clone()),
            State::Running(boot_server, _) => Ok(Arc::clone(boot_server)),
        };
        match running {
            Ok(boot_server) => boot_server.apply(plan).await,
            Err(problem) => Err(BootServerError { problem, retry: Retry::Later, source: None }),
        }
    }
}

impl fmt::Debug for LateBootServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateBootServer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;
    use crate::plan_log::PlanLog;

    /// Is missing something for so many tries.
    fn missing_for(tries: u32) -> Start {
        let made = Arc::new(AtomicU32::new(0));
        Box::new(move || {
            let number = made.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                if number < tries {
                    return Err("there is no program".into());
                }
                let health = Health::new(|| BootServerHealth { trouble: None, restarts: 3 });
                Ok(Started { boot_server: Arc::new(PlanLog::default()), keep: Box::new(|stop| stop), health })
            })
        })
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missing_is_waited_for_and_plans_are_refused_until_then() {
        let (late, keep) = LateBootServer::begin(missing_for(3)).await;
        let health = late.health();
        assert_eq!(health.trouble().as_deref(), Some("there is no program"));
        let refused = late.apply(&BootPlan::default()).await.unwrap_err();
        assert_eq!((refused.problem.as_str(), refused.retry), ("there is no program", Retry::Later));
        let (stop, stopped) = oneshot::channel::<()>();
        let kept = tokio::spawn(keep(Box::pin(async move { drop(stopped.await) })));
        let started = async {
            let mut looks = tokio::time::interval(Duration::from_secs(1));
            while health.trouble().is_some() {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), started).await.unwrap();
        assert_eq!(health.report(), Some(BootServerHealth { trouble: None, restarts: 3 }));
        late.apply(&BootPlan::default()).await.unwrap();
        stop.send(()).unwrap();
        kept.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let (_late, keep) = LateBootServer::begin(missing_for(u32::MAX)).await;
        keep(Box::pin(std::future::ready(()))).await;
    }
}
