//! The button on the front of a machine.

use tokio::sync::watch;

/// Presses the button of one machine, from anywhere.
#[derive(Clone, Debug)]
pub struct PowerButton(watch::Sender<u64>);

impl PowerButton {
    /// Starts the machine again, whatever it is doing: what is being written is lost.
    pub fn cycle(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// The machine's end of the button.
#[derive(Clone, Debug)]
pub(super) struct Pressed(watch::Receiver<u64>);

impl Pressed {
    /// Waits until the button is pressed; for ever when nobody can press it any more.
    pub(super) async fn wait(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

pub(super) fn button() -> (PowerButton, Pressed) {
    let (sender, receiver) = watch::channel(0);
    (PowerButton(sender), Pressed(receiver))
}
