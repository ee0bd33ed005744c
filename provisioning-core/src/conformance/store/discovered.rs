//! What the `Store` contract says of discovered machines.

use super::super::rule::Checked;
use super::super::sample::{discovered, entry, host, mac, register};
use super::StoreFixture;
use crate::machine::HostState;
use crate::netboot::DiscoveredMachine;
use crate::ports::{Change, Revision, Store};

/// The last row of an address counts, to its last field, also after the store was opened again; they are listed with
/// the one seen last first, then by address.
pub async fn a_discovered_machine_is_kept_by_its_address(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    let bare = DiscoveredMachine::new(mac(4, 1)?, discovered(4, 20)?.last_seen_at);
    for machine in [discovered(1, 10)?, discovered(2, 20)?, discovered(3, 30)?, bare.clone()] {
        assert!(store.keep_discovered(&machine, 9, None).await?);
    }
    let again = DiscoveredMachine { times_seen: 4, dismissed_until: None, ..discovered(1, 40)? };
    assert!(store.keep_discovered(&again, 9, Some(entry(None, None, "seen again"))).await?);
    let store = fixture.reopen(store).await;
    assert_eq!(store.discovered().await?, [again.clone(), discovered(3, 30)?, discovered(2, 20)?, bare]);
    assert_eq!(store.discovered_by_mac(mac(1, 1)?).await?, Some(again));
    assert_eq!(store.discovered_by_mac(mac(9, 1)?).await?, None);
    assert_eq!(store.last_seq().await?, 1);
    Ok(())
}

/// Committing a host drops the rows of its addresses, and keeping one of a host's address is answered with `false`
/// and writes neither row nor entry.
pub async fn a_machine_with_a_host_is_not_discovered(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    store.keep_discovered(&discovered(1, 10)?, 9, None).await?;
    store.keep_discovered(&discovered(2, 20)?, 9, None).await?;
    register(&store, 1).await?;
    assert_eq!(store.discovered().await?, [discovered(2, 20)?], "one of the new host's addresses was discovered");
    assert!(!store.keep_discovered(&discovered(1, 30)?, 9, Some(entry(None, None, "discovered"))).await?);
    assert_eq!((store.discovered_by_mac(mac(1, 1)?).await?, store.last_seq().await?), (None, 0));

    // An edit takes an address, or gives one up.
    let mut edited = host(1)?;
    edited.macs = vec![mac(2, 1)?];
    store.commit(Change::to(edited, HostState::Registered, Some(Revision(1)))).await?;
    assert_eq!(store.discovered().await?, []);
    assert!(store.keep_discovered(&discovered(1, 40)?, 9, None).await?);
    assert_eq!(store.discovered().await?, [discovered(1, 40)?]);
    Ok(())
}

/// Keeping one drops those seen longest ago, down to `at_most` rows.
pub async fn the_machine_seen_longest_ago_makes_room(fixture: &impl StoreFixture) -> Checked {
    let store = fixture.fresh().await;
    for (n, last_seen) in [(1, 30), (2, 10), (3, 20)] {
        store.keep_discovered(&discovered(n, last_seen)?, 3, None).await?;
    }
    assert_eq!(store.discovered().await?.len(), 3);
    store.keep_discovered(&discovered(4, 40)?, 3, None).await?;
    assert_eq!(store.discovered().await?, [discovered(4, 40)?, discovered(1, 30)?, discovered(3, 20)?]);
    store.keep_discovered(&discovered(1, 50)?, 2, None).await?;
    assert_eq!(store.discovered().await?, [discovered(1, 50)?, discovered(4, 40)?]);
    Ok(())
}
