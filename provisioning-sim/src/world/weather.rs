//! What befalls the whole site: leaps of the clock, members without power. And the inspector who looks every minute.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::state::World;

const MINUTE: Duration = Duration::from_secs(60);

/// The site's troubles, an occasion each hour or so.
pub(crate) async fn run(world: Arc<World>) {
    let mut dice = world.dice(3_000_000);
    loop {
        tokio::time::sleep(dice.seconds(40 * 60, 80 * 60)).await;
        if world.strikes(None, Fault::ClockForward, Duration::ZERO) {
            let seconds = dice.below(570) + 30;
            world.leap(i64::try_from(seconds * 1_000).unwrap_or(0));
        }
        if world.strikes(None, Fault::ClockBack, Duration::ZERO) {
            world.leap(-i64::try_from(dice.below(5_000)).unwrap_or(0));
        }
        let lasts = dice.seconds(60, 600);
        // The members' return is part of it, so that a join that waited has its time.
        if !world.healing.is_thrown() && world.strikes(None, Fault::QuorumLost, lasts + 3 * MINUTE) {
            power_failure(&world, lasts).await;
        }
    }
}

/// All founders go dark but the one by which hosts join. With them goes the quorum, however many hosts are members:
/// nobody can change the nodelist meanwhile, which would keep the founders out for good.
async fn power_failure(world: &World, lasts: Duration) {
    let founders = world.cluster.look(|state| {
        let names = state.members().keys().filter(|name| name.as_str().starts_with("founder"));
        names.filter(|name| name.as_str() != "founder1").cloned().collect::<Vec<_>>()
    });
    for founder in &founders {
        world.cluster.power_off(founder);
    }
    tokio::select! {
        biased;
        () = world.healing.thrown() => {}
        () = tokio::time::sleep(lasts) => {}
    }
    for founder in &founders {
        world.cluster.power_on(founder);
    }
}

/// Looks at everything once a minute: some rules are about time alone.
pub(crate) async fn inspect(world: Arc<World>) {
    loop {
        tokio::time::sleep(MINUTE).await;
        world.look(false);
    }
}
