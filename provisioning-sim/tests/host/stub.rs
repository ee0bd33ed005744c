//! A provisioning server that says what a test wants it to say, and remembers who asked for what.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use provisioning_core::model::{BootToken, HostId, OperationId, Release, Timestamp};
use provisioning_core::render::{FirstBootScript, LOCAL_DISK_SCRIPT, first_boot_script};
use provisioning_sim::real::iso::{self, IsoFs, IsoOptions};
use serde_json::json;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) from: IpAddr,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What the stub says. Queues are emptied first; then it says what a good server would.
#[derive(Clone)]
pub(crate) struct Stub(Arc<Mutex<Inner>>);

pub(crate) struct Inner {
    pub(crate) scripts: VecDeque<(u16, &'static str)>,
    pub(crate) answers: VecDeque<u16>,
    pub(crate) webhooks: VecDeque<u16>,
    pub(crate) phone_homes: VecDeque<u16>,
    pub(crate) reboot_on_error: bool,
    pub(crate) spoilt_kernel: bool,
    pub(crate) answered: bool,
    /// How many requests of the operator find nobody home.
    pub(crate) api_outages: u32,
    /// The phase of the one host, until it phones home; "refused" when it may not even be registered.
    pub(crate) phase: &'static str,
    base: String,
    release: Release,
    iso: Vec<u8>,
    seen: Vec<Seen>,
}

impl Stub {
    /// Listens on a free port of the loopback.
    pub(crate) async fn start(release: Release) -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mode = format!("mode = \"http\"\n[http]\nurl = \"{base}/api/boot/answer\"\ntoken = \"answer-token\"\n");
        let options =
            IsoOptions { release, mode_file: Some(mode.into_bytes()), filler_bytes: 1 << 16, ..IsoOptions::default() };
        let inner = Inner {
            scripts: VecDeque::new(),
            answers: VecDeque::new(),
            webhooks: VecDeque::new(),
            phone_homes: VecDeque::new(),
            reboot_on_error: false,
            spoilt_kernel: false,
            answered: false,
            api_outages: 0,
            phase: "pxe_ready",
            base: base.clone(),
            release,
            iso: iso::build(&options),
            seen: Vec::new(),
        };
        let stub = Self(Arc::new(Mutex::new(inner)));
        let app = Router::new().fallback(serve).with_state(stub.clone());
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        (stub, base)
    }

    pub(crate) fn plan(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// All requests whose path begins so.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.plan().seen.iter().filter(|seen| seen.path.starts_with(path)).cloned().collect()
    }
}

async fn serve(
    State(stub): State<Stub>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let mut inner = stub.plan();
    let body = String::from_utf8_lossy(&body).into_owned();
    let asks = method == Method::GET;
    inner.seen.push(Seen { method, path: path.clone(), from: peer.ip(), headers, body });
    match path.as_str() {
        path if path.starts_with("/ipxe/") => inner.script(),
        "/boot/vmlinuz" => inner.kernel().into_response(),
        "/boot/initrd" => inner.initrd().into_response(),
        "/api/boot/answer" => inner.answer(),
        "/first-boot-script" => inner.first_boot_script().into_response(),
        "/installed" => status(inner.webhooks.pop_front().unwrap_or(200)),
        path if path.ends_with("/phone-home") => inner.phone_home(),
        path if path.starts_with("/api/") => inner.api(path, asks),
        _ => status(404),
    }
}

fn status(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

impl Inner {
    fn script(&mut self) -> Response {
        if let Some((code, text)) = self.scripts.pop_front() {
            let code = StatusCode::from_u16(code).unwrap();
            if code == StatusCode::SERVICE_UNAVAILABLE && !text.is_empty() {
                return (code, [("retry-after", text)]).into_response();
            }
            return (code, text).into_response();
        }
        if self.answered {
            return LOCAL_DISK_SCRIPT.into_response();
        }
        format!(
            "#!ipxe\necho hello\nkernel {0}/boot/vmlinuz initrd=initrd.img proxmox-start-auto-installer\n\
             initrd --name initrd.img {0}/boot/initrd\nboot\n",
            self.base
        )
        .into_response()
    }

    fn kernel(&self) -> Vec<u8> {
        let mut kernel = IsoFs::open(&self.iso).unwrap().read("boot/linux26").unwrap().unwrap().to_vec();
        if self.spoilt_kernel {
            kernel[100] ^= 1;
        }
        kernel
    }

    /// The stock initrd, and a cpio archive with the ISO.
    fn initrd(&self) -> Vec<u8> {
        let mut initrd = IsoFs::open(&self.iso).unwrap().read("boot/initrd.img").unwrap().unwrap().to_vec();
        initrd.resize(initrd.len().next_multiple_of(4), 0);
        for (name, content) in [("proxmox.iso", self.iso.as_slice()), ("TRAILER!!!", &[])] {
            let fields = [1, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
            initrd.extend_from_slice(b"070701");
            initrd.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
            initrd.extend_from_slice(name.as_bytes());
            initrd.push(0);
            initrd.resize(initrd.len().next_multiple_of(4), 0);
            initrd.extend_from_slice(content);
            initrd.resize(initrd.len().next_multiple_of(4), 0);
        }
        initrd
    }

    fn answer(&mut self) -> Response {
        if let Some(code) = self.answers.pop_front() {
            return (StatusCode::from_u16(code).unwrap(), "not now").into_response();
        }
        self.answered = true;
        let toml = format!(
            "[global]\nkeyboard = \"de\"\ncountry = \"at\"\ntimezone = \"UTC\"\nfqdn = \"pve-07.lab.example\"\n\
             mailto = \"root@lab.example\"\nroot_password = \"12345678\"\nroot_ssh_keys = [\"ssh-ed25519 AAAA key\"]\n\
             reboot_on_error = {1}\n[network]\nsource = \"from-dhcp\"\n[disk-setup]\nfilesystem = \"zfs\"\n\
             disk_list = [\"sda\", \"sdb\"]\n[disk-setup.zfs]\nraid = \"raid1\"\n\
             [post-installation-webhook]\nurl = \"{0}/installed\"\n\
             [first-boot]\nsource = \"from-url\"\nurl = \"{0}/first-boot-script\"\n",
            self.base, self.reboot_on_error
        );
        toml.into_response()
    }

    fn phone_home(&mut self) -> Response {
        let code = self.phone_homes.pop_front().unwrap_or(200);
        if code == 200 && self.phase == "pxe_ready" {
            self.phase = "ready";
        }
        status(code)
    }

    /// What an operator of one host needs.
    fn api(&mut self, path: &str, asks: bool) -> Response {
        if self.api_outages > 0 {
            self.api_outages -= 1;
            return status(503);
        }
        let failure =
            json!({ "reason": "join_failed", "message": "no quorum", "advice": "mend it", "during": "joining" });
        let mut host = json!({ "id": "1", "hostname": "sim-4242-001", "phase": self.phase });
        if self.phase == "failed" {
            host["failure"] = failure;
        }
        let answer = match (path, asks) {
            ("/api/images", true) => json!({ "images": [{ "id": "8", "name": "old", "release": "8.4" }] }),
            ("/api/images", false) => json!({ "id": "9", "name": "proxmox-ve_9.2-1", "release": "9.2" }),
            ("/api/server-types", true) => json!({ "server_types": [{ "key": "small" }, { "key": "large" }] }),
            ("/api/hosts", true) => json!({ "hosts": [host], "next": null }),
            ("/api/hosts", false) if self.phase == "refused" => {
                let problem = json!({ "title": "unknown server type", "detail": "no such server type" });
                return (StatusCode::UNPROCESSABLE_ENTITY, Json(problem)).into_response();
            }
            ("/api/hosts" | "/api/hosts/1/rebuild", false) | ("/api/hosts/1", true) => host,
            _ => return status(404),
        };
        Json(answer).into_response()
    }

    fn first_boot_script(&self) -> String {
        assert!(self.release >= Release::new(8, 3));
        let at = Timestamp::from_millis(1);
        let token = BootToken::new(OperationId::new(at, [1; 10]), [2; 16]);
        let public_url = self.base.parse().unwrap();
        let host = HostId::new(at, [3; 10]);
        first_boot_script(&FirstBootScript { public_url: &public_url, host, token: &token, tls_fingerprint: None })
    }
}
