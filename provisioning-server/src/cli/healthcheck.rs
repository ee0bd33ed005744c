//! `provisioning healthcheck`: asks the server on this machine how it fares, for container engines and scripts.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::data_dir::control_socket;

/// How long the answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
/// The most that is shown of an answer, in characters: engines keep it with the container.
const SHOWN_CHARS_MAX: usize = 2_000;

pub(super) const EXAMPLES: &str = "Examples:
  provisioning healthcheck
  provisioning healthcheck --ready --config /etc/provisioning/provisioning.yaml
  provisioning healthcheck --data-dir /var/lib/provisioning

It ends with 0 when the server answers that all is well, else with 1 and the reason.";

#[derive(Debug, Args)]
pub(super) struct HealthcheckArgs {
    /// Asks whether machines can be provisioned now (/readyz), and not only whether the server is alive (/healthz).
    #[arg(long)]
    ready: bool,
    /// The server's data directory, in which its control socket lies. Without it the configuration is read.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// The configuration; without it as `serve` finds it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: &HealthcheckArgs) -> anyhow::Result<()> {
    let data_dir = match &args.data_dir {
        Some(path) => path.clone(),
        None => super::load(args.config.as_deref())?.server.data_dir,
    };
    let said = ask(&control_socket(&data_dir), if args.ready { "/readyz" } else { "/healthz" }).await?;
    writeln!(io::stdout().lock(), "{said}")?;
    Ok(())
}

/// What the server says at `path`, when it says that it is well.
async fn ask(socket: &Path, path: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIME_MAX).unix_socket(socket).build()?;
    let answer = client.get(format!("http://localhost{path}")).send().await;
    let answer = answer.with_context(|| format!("no server answers at {}", socket.display()))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("the answer of {path} broke off"))?;
    let shown: String = text.trim().chars().take(SHOWN_CHARS_MAX).collect();
    if !status.is_success() {
        bail!("{path} answers {status}: {shown}");
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    /// Answers one request, whatever it asks, and gives back its first line.
    async fn answer_once(listener: UnixListener, answer: &'static str) -> String {
        let (mut stream, _) = listener.accept().await.expect("a client comes");
        let mut head = vec![];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut part = [0; 512];
            let length = stream.read(&mut part).await.expect("it sends its request");
            assert!(length > 0, "the request broke off");
            head.extend_from_slice(&part[..length]);
        }
        stream.write_all(answer.as_bytes()).await.expect("it takes the answer");
        String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned()
    }

    async fn asked(path: &str, answer: &'static str) -> (String, anyhow::Result<String>) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("control.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let said = tokio::join!(answer_once(listener, answer), ask(&socket, path));
        (said.0, said.1)
    }

    #[tokio::test]
    async fn a_server_that_is_well_ends_it_with_success() {
        let (line, said) = asked("/healthz", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await;
        assert_eq!((line.as_str(), said.unwrap().as_str()), ("GET /healthz HTTP/1.1", "ok"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_ready_says_why() {
        let (_, said) = asked("/readyz", "HTTP/1.1 503 Busy\r\ncontent-length: 11\r\n\r\nno dnsmasq\n").await;
        assert_eq!(said.unwrap_err().to_string(), "/readyz answers 503 Service Unavailable: no dnsmasq");
    }

    #[tokio::test]
    async fn where_no_server_runs_the_socket_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = ask(&folder.path().join("control.sock"), "/healthz").await.unwrap_err().to_string();
        assert!(error.starts_with("no server answers at ") && error.ends_with("control.sock"), "{error}");
    }
}
