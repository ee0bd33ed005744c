//! The wire between machines and our process: messages get lost, arrive twice, or take their time.

use std::sync::Arc;
use std::time::Duration;

use provisioning_core::model::{BootToken, OperationId};

use super::fault::{Fault, Message};
use super::plant::Server;
use super::seat::Seat;
use super::state::World;
use crate::invariants::Deed;

/// Why no reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoReply {
    /// The sender's patience is over.
    Silence,
    /// The connection was reset, which the sender learns at once.
    Reset,
}

/// Sends a message and waits for the reply, for as long as the sender has patience.
///
/// While no process lives the request waits: the listening socket outlives us. A process that dies under a request
/// resets its connection.
pub(super) async fn send<T, F>(
    world: &Arc<World>,
    seat: &Seat,
    message: Message,
    token: Option<&str>,
    patience: Duration,
    call: impl Fn(Arc<dyn Server>) -> F,
) -> Result<T, NoReply>
where
    F: Future<Output = T>,
{
    let strikes = |fault| world.strikes(Some(seat), fault, Duration::ZERO);
    if strikes(Fault::LostRequest(message)) {
        tokio::time::sleep(patience).await;
        return Err(NoReply::Silence);
    }
    if strikes(Fault::Slow(message)) {
        tokio::time::sleep(world.draw_seconds(1, 20)).await;
    }
    let exchange = async {
        let life = world.process.life().await;
        let host = seat.id().ok_or(NoReply::Silence)?;
        world.deed(Deed::Told { host, operation: token.and_then(operation_of), message });
        // Both at the same time, as when a sender has not seen that it was heard.
        let again = async {
            if strikes(Fault::Doubled(message)) {
                call(Arc::clone(&life.server)).await;
            }
        };
        let both = futures_util::future::join(call(Arc::clone(&life.server)), again);
        let Ok((reply, ())) = life.call(both).await else {
            world.did(Some(seat), Fault::Reset(message), Duration::ZERO);
            return Err(NoReply::Reset);
        };
        Ok(reply)
    };
    let reply = tokio::time::timeout(patience, exchange).await.map_err(|_| NoReply::Silence)??;
    if strikes(Fault::LostReply(message)) {
        tokio::time::sleep(patience).await;
        return Err(NoReply::Silence);
    }
    Ok(reply)
}

/// The operation a token belongs to.
pub(super) fn operation_of(token: &str) -> Option<OperationId> {
    token.parse::<BootToken>().ok().map(|token| token.operation())
}
