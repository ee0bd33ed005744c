//! Hosts, operations and what belongs to them, by number: for the suites, and for an adapter's own tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machine::{Contact, EventKind, HostState, JoinStep, Leg, Phase, Run, WorkKind};
use crate::model::{
    Artefact, ArtefactKind, BootToken, DiskSelection, DiskSetup, Filesystem, FilterMatch, Host, HostId, Image, ImageId,
    LvmOptions, MacAddr, Operation, OperationId, Release, ServerType, Sha256Digest, Timestamp,
};
use crate::netboot::{ClientArch, DhcpClient, DiscoveredMachine, Footprint, Sighted, Trace};
use crate::ports::{BoxError, Change, Happening, HostRecord, NewEntry, Source, Store, Work, WorkId};

/// What a sample that does not parse would give.
pub type Made<T> = Result<T, BoxError>;

/// A well-formed key that opens nothing.
pub const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x";

/// So many seconds after the time at which the samples begin.
pub fn at(seconds: u32) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + i64::from(seconds) * 1_000)
}

fn random(n: u8) -> [u8; 10] {
    // Only the version's bits are not taken over, and the last byte has none of them.
    [0, 0, 0, 0, 0, 0, 0, 0, 0, n]
}

/// The id of host `n`.
pub fn host_id(n: u8) -> HostId {
    HostId::new(at(0), random(n))
}

/// Operations of greater numbers begin later.
pub fn operation_id(n: u8) -> OperationId {
    OperationId::new(at(u32::from(n)), random(n))
}

/// The id of image `n`.
pub fn image_id(n: u8) -> ImageId {
    ImageId::new(at(0), random(n))
}

/// An address of host `n`.
pub fn mac(n: u8, nic: u8) -> Made<MacAddr> {
    Ok(MacAddr::new([0x52, 0x54, 0, 0xab, n, nic])?)
}

/// A host with two addresses, the second of them sorting before the first.
pub fn host(n: u8) -> Made<Host> {
    Ok(Host {
        id: host_id(n),
        name: format!("pve-{n:03}").parse()?,
        macs: vec![mac(n, 9)?, mac(n, 1)?],
        server_type: if n.is_multiple_of(2) { "even" } else { "odd" }.parse()?,
        address: Some(format!("10.0.0.{n}/24").parse()?),
        hardware_id: Some(format!("4c4c4544-0042-3510-8054-b9c04f33{n:04}").parse()?),
        last_ready_at: (n == 1).then(|| at(5)),
        registered_at: at(1),
    })
}

/// Operation `n` of a host, installing an image.
pub fn operation(n: u8, host: u8, image: u8) -> Made<Operation> {
    let properties = BTreeMap::from([("ID_SERIAL_SHORT".parse()?, "S2HV*".parse()?)]);
    let selection = DiskSelection::Filter { properties, matching: FilterMatch::Any };
    Ok(Operation {
        id: operation_id(n),
        host: host_id(host),
        image: image_id(image),
        server_type: Arc::new(ServerType {
            key: "even".parse()?,
            display_name: "Even \"numbers\"".to_owned(),
            disk: DiskSetup::new(selection, Filesystem::Ext4(LvmOptions::default()))?,
            management_nic: Some("eno1".parse()?),
            gpu: None,
            hostname_prefix: Some("pve".parse()?),
        }),
        token: BootToken::new(operation_id(n), [n; 16]),
        public_key: PUBLIC_KEY.parse()?,
        started_at: at(u32::from(n)),
    })
}

/// A state in which an operation runs.
pub fn provisioning(operation: u8, leg: Leg, deadline: Option<Timestamp>) -> Made<HostState> {
    let contact = Contact {
        address: Some("10.0.0.7".parse()?),
        host_keys: vec![PUBLIC_KEY.parse()?],
        hardware_id: Some("4c4c4544-0042-3510-8054-b9c04f335831".parse()?),
    };
    let run = Run { contact, ..Run::new(operation_id(operation), at(2), deadline) };
    Ok(HostState::Provisioning { leg, run })
}

/// A state without deadline, the join.
pub fn joining(operation: u8) -> Made<HostState> {
    provisioning(operation, Leg::Joining(JoinStep::Join), None)
}

/// A warning, told apart by its text.
pub fn entry(host: Option<u8>, operation: Option<u8>, text: &str) -> NewEntry {
    NewEntry {
        at: at(3),
        host: host.map(host_id),
        operation: operation.map(operation_id),
        source: Source::Provisioning,
        what: Happening::Warning { text: text.to_owned() },
    }
}

/// An entry with more in it.
pub fn moved(host: u8, operation: u8) -> NewEntry {
    let what = Happening::Moved { event: EventKind::Started, from: Phase::Registered, to: Phase::PxeReady };
    NewEntry { what, source: Source::Operator, ..entry(Some(host), Some(operation), "") }
}

/// Work due so many seconds after the beginning, never tried.
pub fn work(operation: u8, kind: WorkKind, host: u8, due: u32) -> Work {
    let id = WorkId { operation: operation_id(operation), kind };
    Work { id, host: host_id(host), due: at(due), attempts: 0, last_error: None }
}

/// A text of an operation.
pub fn artefact(kind: ArtefactKind, text: &str) -> Artefact {
    Artefact { kind, text: text.to_owned(), at: at(4) }
}

/// An image; those of greater numbers were imported later.
pub fn image(n: u8) -> Image {
    Image {
        id: image_id(n),
        name: format!("proxmox-ve_9.{n}-1"),
        release: Release::new(9, u16::from(n)),
        iso_release: "1".to_owned(),
        sha256: Sha256Digest::new([n; 32]),
        size_bytes: 1_700_000_000,
        imported_at: at(u32::from(n)),
    }
}

/// A machine with an address of host `n`, seen last so many seconds after the beginning.
pub fn discovered(n: u8, last_seen: u32) -> Made<DiscoveredMachine> {
    let client = DhcpClient { arch: Some(ClientArch::Other(6)), ipxe: false };
    let trace = Trace::BootServer { what: Sighted::LeftAlone(client) };
    Ok(DiscoveredMachine {
        last_seen_at: at(last_seen),
        times_seen: 3,
        address: Some(format!("10.0.0.{n}").parse()?),
        arch: client.arch,
        ipxe: true,
        agent: Some("iPXE/1.21.1".to_owned()),
        product: Some("X11 \"Blade\"".to_owned()),
        uuid: Some("4c4c4544-0042-3510-8054-b9c04f335831".to_owned()),
        serial: Some("S2HV".to_owned()),
        dismissed_until: Some(at(900)),
        trail: vec![Footprint { at: at(last_seen), trace }],
        ..DiscoveredMachine::new(mac(n, 1)?, at(1))
    })
}

/// Registers host `n` and gives its row.
pub async fn register(store: &dyn Store, n: u8) -> Made<HostRecord> {
    let change = Change::to(host(n)?, HostState::Registered, None);
    let revision = store.commit(change.clone()).await?.revision;
    Ok(HostRecord { host: change.host, state: change.state, revision })
}

/// Registers host `n` and starts operation `n` of it, installing `image`.
pub async fn start(store: &dyn Store, n: u8, image: u8) -> Made<HostRecord> {
    let row = register(store, n).await?;
    let state = provisioning(n, Leg::PxeReady, None)?;
    let mut change = Change::to(row.host, state, Some(row.revision));
    change.operation = Some(operation(n, n, image)?);
    let revision = store.commit(change.clone()).await?.revision;
    Ok(HostRecord { host: change.host, state: change.state, revision })
}
