//! Boot programs over HTTP: firmware with UEFI HTTP Boot asks `HEAD`, then `GET`, and wants the length in both
//! (`reference/netboot.md` §3.6).

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use provisioning_adapters::dnsmasq::BOOT_CLIENTS;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::{Kind, Problem};
use super::segment::Segment;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(program))
}

/// A boot program, for firmware that boots over HTTP.
#[utoipa::path(
    get, path = "/netboot/{file}", tag = "machines", operation_id = "boot_program",
    params(("file" = String, Path, description = "The program's name, such as `ipxe.efi`")),
    responses((status = 200, description = "The program", body = Vec<u8>, content_type = "application/efi")),
    extensions(("x-problems" = json!(["no-such-path"]))),
)]
async fn program(State(app): State<Arc<App>>, Segment(file): Segment) -> Result<Response, Problem> {
    let missing = || Problem::new(Kind::NoSuchPath, format!("there is no boot program {file:?}"));
    // Known names only: whatever else lies in the folder is nobody's business.
    let known = BOOT_CLIENTS.iter().flat_map(|client| client.programs).find(|name| **name == file);
    let path: PathBuf = app.programs.join(known.ok_or_else(missing)?);
    let bytes = tokio::fs::read(&path).await.map_err(|error| {
        tracing::warn!(path = %path.display(), %error, "a machine asked for a boot program that cannot be read");
        missing().advise("install iPXE's programs on the server (Debian: package ipxe), or set pxe.ipxe_dir")
    })?;
    let headers = [
        (header::CONTENT_TYPE, "application/efi".to_owned()),
        (header::CONTENT_LENGTH, bytes.len().to_string()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, bytes).into_response())
}
