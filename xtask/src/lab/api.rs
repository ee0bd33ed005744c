//! The server's API, asked over its control socket, which belongs to whoever may read the data directory.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A way to the API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    socket: PathBuf,
}

impl Api {
    pub(crate) fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// What `GET path` answers.
    ///
    /// # Errors
    /// When the server can not be reached or answers anything but 200.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let asked = timeout(PATIENCE, self.ask(path)).await;
        let answer = asked.map_err(anyhow::Error::new).and_then(|answer| answer);
        answer.with_context(|| format!("GET {path}"))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<Value> {
        let mut stream = UnixStream::connect(&self.socket).await.context("the control socket")?;
        // Of HTTP/1.0, so that the answer comes in one piece and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await?;
        parsed(&String::from_utf8(answer)?)
    }
}

fn parsed(answer: &str) -> anyhow::Result<Value> {
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        bail!("the server said {status}: {body}");
    }
    Ok(serde_json::from_str(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_other_than_200_is_an_error_with_its_text() {
        assert_eq!(parsed("HTTP/1.0 200 OK\r\na: b\r\n\r\n{\"x\":1}").unwrap(), serde_json::json!({ "x": 1 }));
        let refused = parsed("HTTP/1.0 404 Not Found\r\n\r\nno such host").unwrap_err();
        assert_eq!(refused.to_string(), "the server said 404: no such host");
    }
}
