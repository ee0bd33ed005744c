//! `provisioning serve`: the server in the foreground, until a signal.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use provisioning_core::model::Secret;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{AuthConfig, Config};
use crate::data_dir::{DataDir, control_socket};
use crate::hardening::{connections_that_fit, harden};
use crate::http::census::ConnectionLimits;
use crate::http::listen;
use crate::logging;
use crate::reload::Reloads;
use crate::systemd::{self, Entrances, Inherited, Notifier, watchdog_interval};
use crate::wire::{Role, access, wire};

/// How long a reload may take before the service manager is told that it is over.
const RELOAD_MAX: Duration = Duration::from_secs(10);

pub(super) async fn serve(config: Config, inherited: Inherited) -> anyhow::Result<()> {
    let hardened = harden();
    #[cfg(feature = "otel")]
    let traces = logging::start_with_traces(&config.logging)?;
    #[cfg(not(feature = "otel"))]
    logging::start(&config.logging)?;
    if let Err(error) = hardened {
        tracing::warn!("the process keeps more than it needs: {error:#}");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let notifier = Notifier::from_environment().context("NOTIFY_SOCKET")?;
    let data = DataDir::open(&config.server.data_dir)?;
    // First of all: whoever connects from here on waits for us.
    let Entrances { main, boot, artifacts } = systemd::open(&config.server, inherited)?;
    notifier.status("opening the database");
    let (access, new_token) = access(&config, &data)?;
    let server = wire(&config, &data, access, Role::Serve).await?;
    let control = listen::bind_control(&control_socket(data.path())).context("cannot open the control socket")?;
    if let Some(token) = new_token {
        show(&token)?;
    }
    if matches!(config.auth, AuthConfig::Open) {
        tracing::warn!("auth.mode is open: everybody who reaches this server can wipe hosts");
    }
    let stop = stop_signal()?;
    let limits = ConnectionLimits::of_total(connections_that_fit());
    let mut running = server.with_limits(limits).start_with_boot(main, boot, Some(control))?;
    if let Some(artifacts) = artifacts {
        tracing::info!(artifact_url = %config.site.artifact_url(), "serving kernel and initrd");
        running.serve_artifacts(artifacts);
    }
    running.retain(config.retention);
    let mut reloads = Reloads::default();
    running.follow_certificate(reloads.follower());
    running.follow_server_types(config.server_types_file.clone(), reloads.follower());
    on_hang_up(reloads, notifier.clone())?;
    tracing::info!(address = %running.address(), public_url = %config.site.public_url, "serving");
    if let Some(address) = running.boot_address() {
        tracing::info!(%address, boot_url = %config.site.boot_url(), "serving firmware");
    }
    #[cfg(feature = "otel")]
    if let Some(traces) = &traces {
        running.trace_operations(traces.queue());
    }
    running.attend(notifier.clone(), watchdog_interval());
    let stop = async {
        stop.await;
        tracing::info!("stopping: finishing what is under way");
        notifier.stopping();
    };
    running.until(stop).await?;
    tracing::info!("stopped");
    #[cfg(feature = "otel")]
    if let Some(traces) = traces {
        traces.finish().await;
    }
    Ok(())
}

/// Shows the token that was made, once, to whoever started the server: never to the log, which is kept.
fn show(token: &Secret<String>) -> io::Result<()> {
    let mut err = io::stderr().lock();
    writeln!(err, "\nThe operators' token, made at this first start and shown only now:\n\n    {}\n", token.expose())?;
    writeln!(err, "Log in with it, or send it as `Authorization: Bearer TOKEN`. Should it get lost, this makes")?;
    writeln!(err, "another one for the server's user: provisioning token create NAME\n")
}

/// Has files read anew at each SIGHUP. The service manager is told when that begins and when it has ended, well or not.
fn on_hang_up(reloads: Reloads, notifier: Notifier) -> io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            notifier.reloading();
            tokio::time::timeout(RELOAD_MAX, reloads.ask()).await.ok();
            notifier.ready();
        }
    });
    Ok(())
}

/// Resolves when the process is told to stop. From here on the signals no longer end it by themselves.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
