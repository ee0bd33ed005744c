//! Provisioning in a program of your own: the orchestrator over adapters that you choose.
//!
//! Here: everything in memory, a boot server that prints its plan, real SSH. The program registers a host, looks at
//! the rebuild beforehand, starts it, and asks what the machine would be told when it netboots.
//!
//! Run it with `cargo run -p examples --example embed`.

use std::sync::Arc;

use async_trait::async_trait;
use provisioning_adapters::ssh::SshShell;
use provisioning_adapters::system::{SystemClock, SystemEntropy};
use provisioning_core::machine::Policy;
use provisioning_core::memory::{MemoryStore, MemoryVault};
use provisioning_core::model::{
    DiskSelection, DiskSetup, Filesystem, Image, LvmOptions, MacAddr, Release, ServerType, Sha256Digest, Site,
};
use provisioning_core::orchestrator::{BootReply, NewHost, Orchestrator, Ports, Rebuild, ServerTypes};
use provisioning_core::ports::{
    BootPlan, BootServer, BootServerError, NoInventory, NobodyToAsk, PersonAtThePowerButton,
};

/// Your own adapter: whatever answers netbooting firmware where you are.
struct PrintingBootServer;

#[async_trait]
impl BootServer for PrintingBootServer {
    #[expect(clippy::print_stdout, reason = "the example shows what it does")]
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        for entry in &plan.entries {
            println!("boot plan: {} ({}) -> {:?}", entry.mac, entry.host, entry.answer);
        }
        Ok(())
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example shows what it does")]
async fn main() -> anyhow::Result<()> {
    let ports = Ports {
        store: Arc::new(MemoryStore::new()),
        vault: Arc::new(MemoryVault::default()),
        boot_server: Arc::new(PrintingBootServer),
        shell: Arc::new(SshShell::new()),
        member: Arc::new(NobodyToAsk),
        inventory: Arc::new(NoInventory),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        power: Arc::new(PersonAtThePowerButton),
    };
    let mini = mini_pc()?;
    let types = ServerTypes::from([(mini.key.clone(), mini.clone())]);
    let orchestrator = Arc::new(Orchestrator::new(ports, Arc::new(site()?), Policy::default(), types));

    // The loop that applies boot plans, ends what is overdue and does the owed work.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(Arc::clone(&orchestrator).run(async move { drop(stopped.await) }));

    let image = Image {
        id: orchestrator.new_image_id(),
        name: "proxmox-ve_9.2-1".into(),
        release: Release::new(9, 2),
        iso_release: "1".into(),
        sha256: Sha256Digest::new([0; 32]),
        size_bytes: 0,
        imported_at: orchestrator.now(),
    };
    orchestrator.add_image(&image).await?;

    let mac: MacAddr = "52:54:00:12:34:56".parse()?;
    let new = NewHost { name: "pve-01".parse()?, macs: vec![mac], server_type: mini.key, address: None };
    let host = orchestrator.register(new).await?.host;

    let preflight = orchestrator.preflight(host.id, None).await?;
    println!("a rebuild of {} wipes {} and installs {}", host.name, preflight.wipes, preflight.image.name);
    for warning in &preflight.warnings {
        println!("think of: {warning}");
    }

    let started = orchestrator.start(host.id, Rebuild::default()).await?;
    println!("operation {} waits: {:?}", started.operation, started.power);

    // Your HTTP server would call these for machines: boot_script, authorise, answer_file, first_boot_script, report.
    match orchestrator.boot_script(mac).await {
        BootReply::Script(script) => println!("the machine boots:\n{}", script.expose()),
        other => anyhow::bail!("an armed host boots the installer, not {other:?}"),
    }

    // What happened so far; a web page would go on reading.
    for entry in orchestrator.feed(0).next().await? {
        println!("{} #{} {:?}", entry.at, entry.seq, entry.what);
    }
    stop.send(()).ok();
    running.await?;
    Ok(())
}

fn mini_pc() -> anyhow::Result<ServerType> {
    let selection = DiskSelection::Named(vec!["nvme0n1".parse()?]);
    Ok(ServerType {
        key: "mini".parse()?,
        display_name: "Mini PC".into(),
        disk: DiskSetup::new(selection, Filesystem::Ext4(LvmOptions::default()))?,
        management_nic: None,
        gpu: None,
        hostname_prefix: Some("pve".parse()?),
    })
}

fn site() -> anyhow::Result<Site> {
    Ok(Site {
        public_url: "http://10.0.0.2:8080".parse()?,
        boot_url: None,
        artifact_url: None,
        tls_fingerprint: None,
        domain: "lab.example".parse()?,
        country: "at".parse()?,
        timezone: "Europe/Vienna".parse()?,
        keyboard: "de".parse()?,
        mailto: "root@lab.example".parse()?,
        root_password_hash: format!("$6$saltsaltsaltsalt${}", "x".repeat(86)).parse()?,
        root_ssh_keys: vec![],
        static_network: None,
        cluster: None,
    })
}
