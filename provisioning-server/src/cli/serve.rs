//! `provisioning serve`: the server in the foreground, until a signal.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use provisioning_core::model::Secret;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::{AuthConfig, Config, LogFormat, LoggingConfig};
use crate::data_dir::{DataDir, control_socket};
use crate::http::listen;
use crate::wire::{access, wire};

pub(super) async fn serve(config: Config) -> anyhow::Result<()> {
    start_logging(&config.logging)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let data = DataDir::open(&config.server.data_dir)?;
    let (access, new_token) = access(&config, &data)?;
    let server = wire(&config, &data, access).await?;
    let listen = config.server.listen;
    let tcp = listen::bind(listen).with_context(|| format!("server.listen: cannot listen on {listen}"))?;
    let control = listen::bind_control(&control_socket(data.path())).context("cannot open the control socket")?;
    if let Some(token) = new_token {
        show(&token)?;
    }
    if matches!(config.auth, AuthConfig::Open) {
        tracing::warn!("auth.mode is open: everybody who reaches this server can wipe hosts");
    }
    let stop = stop_signal()?;
    let mut running = server.start(tcp, Some(control))?;
    running.follow_server_types(config.server_types_file.clone());
    tracing::info!(address = %running.address(), public_url = %config.site.public_url, "serving");
    running.until(stop).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Shows the token that was made, once, to whoever started the server: never to the log, which is kept.
fn show(token: &Secret<String>) -> io::Result<()> {
    let mut err = io::stderr().lock();
    writeln!(err, "\nThe operators' token, made at this first start and shown only now:\n\n    {}\n", token.expose())?;
    writeln!(err, "Log in with it, or send it as `Authorization: Bearer TOKEN`. To get another one, remove")?;
    writeln!(err, "admin-token.sha256 from the data directory and start again.\n")
}

/// Logs to stderr from now on.
pub(crate) fn start_logging(config: &LoggingConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.level).context("logging.level")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match config.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
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
