//! A boot server of your own: it writes the boot plan into a file that your DHCP or TFTP service reads.
//!
//! The port's promises are easy to keep with one rename: whoever reads the file sees the old plan or the new one,
//! whole. The last lines of this file run the port's conformance suite: a fixture, and one line.
//!
//! Run it with `cargo run -p examples --example own_boot_server`, its tests with
//! `cargo test -p examples --example own_boot_server`.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use provisioning_core::machine::BootAnswer;
use provisioning_core::ports::{BootEntry, BootPlan, BootServer, BootServerError, Retry};
use tokio::fs;
use tokio::io::AsyncWriteExt;

/// Keeps the plan in a file: a line for each NIC, `MAC HOST ANSWER`.
struct PlanFile {
    path: PathBuf,
}

impl PlanFile {
    async fn replace_by(&self, text: &str) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = fs::File::create(&new).await?;
        file.write_all(text.as_bytes()).await?;
        file.sync_all().await?;
        fs::rename(&new, &self.path).await
    }
}

#[async_trait]
impl BootServer for PlanFile {
    async fn apply(&self, plan: &BootPlan) -> Result<(), BootServerError> {
        let text: String = plan.entries.iter().map(line).collect();
        self.replace_by(&text).await.map_err(|error| BootServerError {
            problem: format!("{} could not be written", self.path.display()),
            // A full disk can be emptied.
            retry: Retry::Later,
            source: Some(error.into()),
        })
    }
}

fn line(entry: &BootEntry) -> String {
    let answer = match entry.answer {
        BootAnswer::Installer => "installer",
        BootAnswer::LocalDisk => "local-disk",
        BootAnswer::NextDevice => "next-device",
    };
    format!("{} {} {answer}\n", entry.mac, entry.host)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example shows what it does")]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = PlanFile { path: folder.path().join("boot-plan") };
    for answer in [BootAnswer::Installer, BootAnswer::LocalDisk] {
        let entry = BootEntry { mac: "52:54:00:12:34:56".parse()?, host: "pve-01".parse()?, answer, address: None };
        server.apply(&BootPlan { entries: vec![entry] }).await?;
        print!("boot plan: {}", fs::read_to_string(&server.path).await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use provisioning_core::conformance::BootServerFixture;
    use tempfile::TempDir;

    use super::*;

    /// A folder for the file, which goes away with it.
    struct InFolder(TempDir);

    impl BootServerFixture for InFolder {
        type Server = PlanFile;

        async fn fresh(&self) -> PlanFile {
            PlanFile { path: self.0.path().join("boot-plan") }
        }

        async fn in_force(&self, server: &PlanFile) -> BootPlan {
            let text = fs::read_to_string(&server.path).await.unwrap_or_default();
            BootPlan { entries: text.lines().map(entry).collect() }
        }

        async fn obstruct(&self, server: &PlanFile) {
            fs::create_dir(server.path.with_extension("new")).await.expect("nothing is in the way yet");
        }
    }

    fn entry(line: &str) -> BootEntry {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match words[2] {
            "installer" => BootAnswer::Installer,
            "local-disk" => BootAnswer::LocalDisk,
            "next-device" => BootAnswer::NextDevice,
            other => panic!("{other} is no answer"),
        };
        BootEntry { mac: words[0].parse().unwrap(), host: words[1].parse().unwrap(), answer, address: None }
    }

    provisioning_core::boot_server_conformance!(InFolder(tempfile::tempdir().unwrap()));
}
