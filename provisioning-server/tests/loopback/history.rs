//! What the database of a dead server must tell: one operation a host, a journal that leads to the row, nothing owed.

use std::collections::BTreeMap;

use provisioning_adapters::sqlite::{SealingKey, SqliteStore};
use provisioning_core::machine::{EventKind, HostState, JoinStep, Outcome, Phase, Policy, step};
use provisioning_core::model::{HostId, Operation};
use provisioning_core::ports::{Happening, HostFilter, HostRecord, JournalEntry, JournalQuery, Store as _, Vault as _};

use crate::server::Server;

/// What was found.
pub(crate) struct History {
    pub(crate) hosts: Vec<HostRecord>,
    pub(crate) operations: Vec<Operation>,
}

impl History {
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.operations.iter().map(|operation| operation.token.expose()).collect()
    }
}

/// Opens the database as the next start would, and checks it against what a subscriber was told.
pub(crate) async fn check(server: &Server, told: &[JournalEntry]) -> History {
    let (data, policy) = (server.data(), server.config().policy);
    let store = SqliteStore::open(&data.join("provisioning.db")).unwrap();
    let vault = store.vault(SealingKey::load_or_create(&data.join("vault.key")).unwrap());
    assert_eq!(vault.held().await.unwrap(), [], "keys are still kept");
    assert_eq!(store.work().await.unwrap(), [], "work is still owed");

    let journal = store.journal(&JournalQuery::after(0, 100_000)).await.unwrap();
    let mut pairs = journal.iter().zip(told);
    if let Some((kept, told)) = pairs.find(|(kept, told)| kept != told) {
        panic!("a subscriber was told {told:?}, and what is kept is {kept:?}");
    }
    // A stranded machine may have asked once more before the server was killed the last time.
    let untold = journal.get(told.len()..).expect("what was told is kept");
    assert!(!untold.iter().any(|entry| matches!(entry.what, Happening::Moved { .. })), "{untold:?}");
    joins_go_one_at_a_time(&journal);

    let hosts = store.hosts(&HostFilter::default()).await.unwrap();
    let mut operations = vec![];
    for record in &hosts {
        assert!(record.state.running().is_none(), "{record:?}");
        assert_eq!(folded(record.host.id, &journal, &policy), record.state, "the journal leads elsewhere");
        let own = store.operations_of(record.host.id).await.unwrap();
        assert_eq!(own.len(), 1, "{} was started more than once", record.host.name);
        for operation in own {
            let token = operation.token.expose();
            for artefact in store.artefacts(operation.id).await.unwrap() {
                assert!(!artefact.text.contains(&token), "{:?} of {} holds its token", artefact.kind, record.host.name);
            }
            assert!(!serde_json::to_string(&journal).unwrap().contains(&token), "the journal holds a token");
            operations.push(operation);
        }
    }
    History { hosts, operations }
}

/// The state that a host's journal leads to, by the machine's own rules.
fn folded(host: HostId, journal: &[JournalEntry], policy: &Policy) -> HostState {
    let mut state = HostState::Registered;
    for entry in journal.iter().filter(|entry| entry.host == Some(host)) {
        let (Happening::Moved { event, from, to }, Some(operation)) = (&entry.what, entry.operation) else { continue };
        assert_eq!(*from, state.phase(), "{entry:?}");
        match step(&state, &event.clone().of(operation), entry.at, policy) {
            Ok(Outcome::Advanced(transition)) => state = transition.next,
            other => panic!("{entry:?} is no step: {other:?}"),
        }
        assert_eq!(*to, state.phase(), "{entry:?}");
    }
    state
}

/// Between a host's slot and the end of its join nobody else is given the slot, and each host joins once.
fn joins_go_one_at_a_time(journal: &[JournalEntry]) {
    let mut holder = None;
    let mut joined = BTreeMap::<HostId, u32>::new();
    for entry in journal {
        let (Happening::Moved { event, to, .. }, Some(host)) = (&entry.what, entry.host) else { continue };
        match event {
            EventKind::JoinSlotGranted => {
                assert_eq!(holder, None, "{host} was given the slot of another: {entry:?}");
                holder = Some(host);
            }
            EventKind::StepDone { step: JoinStep::Join } => {
                assert_eq!(holder.take(), Some(host), "{entry:?}");
                *joined.entry(host).or_default() += 1;
            }
            _ if *to == Phase::Failed && holder == Some(host) => holder = None,
            _ => {}
        }
    }
    assert!(joined.values().all(|times| *times == 1), "{joined:?}");
}
