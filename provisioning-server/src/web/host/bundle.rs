//! All artefacts and the journal of an operation as one file, for a ticket or a mail: a tar archive (ustar).

use std::io::Write as _;

use axum::extract::{Path, State};
use axum::response::Response;
use provisioning_core::model::{OperationId, Timestamp};
use provisioning_core::ports::JournalQuery;

use super::super::Web;
use super::super::page::{PageError, find_host};
use super::super::words::{sentence, source_name};
use super::LINES_MAX;
use super::artefacts::{attachment, file_name, of_host, readable};

/// A block of a tar archive, in bytes.
const BLOCK: usize = 512;

/// `GET /hosts/{host}/operations/{operation}/bundle.tar`.
pub(in crate::web) async fn download(
    State(web): State<Web>,
    Path((asked, operation)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let host = find_host(&web, &asked).await?.host;
    let artefacts = of_host(&web, host.id, &operation).await?;
    let id = operation.parse::<OperationId>().map_err(|_| PageError::NoSuchArtefact)?;
    let entries = web.orchestrator.store().journal(&JournalQuery::of_operation(id, LINES_MAX)).await?;
    let line = |entry: &provisioning_core::ports::JournalEntry| {
        format!("{}  {:<12}  {}\n", entry.at, source_name(entry.source), sentence(entry))
    };
    let journal: String = entries.iter().map(line).collect();
    let mut archive = vec![];
    append(&mut archive, &format!("{}/journal.txt", host.name), web.orchestrator.now(), journal.as_bytes());
    for artefact in artefacts {
        let name = format!("{}/{}", host.name, file_name(artefact.kind));
        append(&mut archive, &name, artefact.at, readable(artefact.text).as_bytes());
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(attachment(&format!("{}-{}.tar", host.name, id), "application/x-tar", archive))
}

/// Appends a file; names are short and of our own making.
fn append(archive: &mut Vec<u8>, name: &str, at: Timestamp, bytes: &[u8]) {
    let mut header = [0_u8; BLOCK];
    let mut field = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(0, name);
    field(100, "0000644\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{:011o}\0", bytes.len()));
    field(136, &format!("{:011o}\0", at.as_millis().max(0) / 1000));
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\u{0}00");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&header);
    archive.write_all(bytes).expect("a vector takes all that is written");
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_archive_is_a_header_with_its_sum_and_its_bytes_in_whole_blocks() {
        let mut archive = vec![];
        append(&mut archive, "pve-01/answer.toml", Timestamp::from_millis(1_700_000_000_000), b"[global]\n");
        assert_eq!(archive.len(), 2 * BLOCK);
        assert!(archive.starts_with(b"pve-01/answer.toml\0"));
        assert_eq!(&archive[124..136], b"00000000011\0");
        assert_eq!(&archive[257..265], b"ustar\x0000");
        assert_eq!(&archive[BLOCK..BLOCK + 10], b"[global]\n\0");
        let told = u32::from_str_radix(std::str::from_utf8(&archive[148..154]).unwrap(), 8).unwrap();
        archive[148..156].fill(b' ');
        assert_eq!(told, archive[..BLOCK].iter().copied().map(u32::from).sum::<u32>());
    }
}
