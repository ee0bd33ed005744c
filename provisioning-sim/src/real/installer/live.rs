//! The live system: what the kernel unpacks out of the downloaded images, and what it finds in there.

use provisioning_core::model::Release;

use crate::real::iso::{InitramfsError, IsoFs, IsoReadError, last_member};

/// What the machine runs after a netboot, as far as an installation depends on it.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveSystem {
    /// `RELEASE` of `/.cd-info`: it decides the dialect of everything that follows.
    pub release: Release,
    /// `ISORELEASE`.
    pub iso_release: String,
    /// `PRODUCT`, such as `pve`.
    pub product: String,
    /// `PRODUCTLONG`.
    pub product_long: String,
    /// `/auto-installer-mode.toml`.
    pub mode: Mode,
    /// `/proxmox-first-boot`, when the ISO was prepared with one.
    pub first_boot: Option<Vec<u8>>,
}

/// `/auto-installer-mode.toml` with mode `http`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mode {
    /// Where the answer is fetched.
    pub url: String,
    /// SHA-256 of the certificate to be seen there.
    pub cert_fingerprint: Option<String>,
    /// Sent as bearer token, from 9.2 on.
    pub token: Option<String>,
}

impl std::fmt::Debug for LiveSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSystem").field("release", &self.release).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mode").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A downloaded image on its way into the initramfs.
#[derive(Clone, Debug)]
pub struct LiveImage {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The path that iPXE wraps it under, when it is no archive itself.
    pub wrap_as: Option<String>,
}

impl LiveSystem {
    /// Starts the kernel with its images: unpacks, mounts, and reads what the installer reads.
    ///
    /// The kernel and the first image are held against their originals on the ISO, because a byte that went astray
    /// would keep a real machine from booting.
    pub fn boot(kernel: &[u8], arguments: &[String], images: &[LiveImage]) -> Result<Self, LiveError> {
        automated(arguments)?;
        let image = proxmox_iso(images)?.ok_or(LiveError::NoIso)?;
        let iso = IsoFs::open(image)?;
        if iso.read("boot/linux26")?.is_some_and(|original| original != kernel) {
            return Err(LiveError::WrongKernel);
        }
        let archive = images.iter().find(|image| image.wrap_as.is_none());
        if let (Some(original), Some(archive)) = (iso.read("boot/initrd.img")?, archive)
            && !archive.bytes.starts_with(original)
        {
            return Err(LiveError::WrongInitrd);
        }
        let info = text(&iso, ".cd-info")?.ok_or(LiveError::Missing { path: ".cd-info" })?;
        let release = cd_info(&info, "RELEASE").parse().map_err(|_| LiveError::Release)?;
        let mode = text(&iso, "auto-installer-mode.toml")?;
        let mode = mode.ok_or(LiveError::Missing { path: "auto-installer-mode.toml" })?;
        Ok(Self {
            release,
            iso_release: cd_info(&info, "ISORELEASE"),
            product: cd_info(&info, "PRODUCT"),
            product_long: cd_info(&info, "PRODUCTLONG"),
            mode: Mode::read(&mode, release)?,
            first_boot: iso.read("proxmox-first-boot")?.map(<[u8]>::to_vec),
        })
    }
}

fn automated(arguments: &[String]) -> Result<(), LiveError> {
    let has = |names: [&str; 2]| arguments.iter().any(|argument| names.contains(&argument.as_str()));
    // Automatic and text mode together make text mode (`reference/pxe-boot.md`).
    if has(["proxmox-start-auto-installer", "proxauto"]) && !has(["proxmox-tui-mode", "proxtui"]) {
        Ok(())
    } else {
        Err(LiveError::NotAutomated)
    }
}

/// The kernel unpacks the images one after the other; the last `/proxmox.iso` stays.
fn proxmox_iso(images: &[LiveImage]) -> Result<Option<&[u8]>, LiveError> {
    let mut found = None;
    for image in images {
        match &image.wrap_as {
            Some(path) if path.trim_start_matches('/') == "proxmox.iso" => found = Some(image.bytes.as_slice()),
            Some(_) => {}
            None => found = last_member(&image.bytes, "proxmox.iso")?.or(found),
        }
    }
    Ok(found)
}

fn text(iso: &IsoFs<'_>, path: &'static str) -> Result<Option<String>, LiveError> {
    let Some(bytes) = iso.read(path)? else { return Ok(None) };
    String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| LiveError::NotText { path })
}

/// One value of the shell lines `KEY='value'`.
fn cd_info(text: &str, key: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_default().trim().trim_matches(['\'', '"']).to_owned()
}

impl Mode {
    /// Reads the mode file as the fetch tool of a release does: an unknown key at the top is an error, one in `[http]`
    /// is not looked at (`reference/fetch-answer.md`, auto-installer-mode.toml).
    pub fn read(text: &str, release: Release) -> Result<Self, LiveError> {
        let fault = |problem: String| LiveError::Mode { problem };
        let mut top: toml::Table = toml::from_str(text).map_err(|e| fault(e.to_string()))?;
        let mode = top.remove("mode").ok_or_else(|| fault("mode is missing".to_owned()))?;
        if mode.as_str() != Some("http") {
            return Err(fault(format!("mode is {mode}, and a simulated machine knows \"http\" only")));
        }
        if release >= Release::new(8, 3) {
            top.remove("partition_label");
        }
        let http = top.remove("http").unwrap_or_else(|| toml::Table::new().into());
        if let Some(unknown) = top.keys().next() {
            return Err(fault(format!("unknown field `{unknown}`")));
        }
        let value = |key: &str| match http.get(key) {
            None => Ok(None),
            Some(toml::Value::String(value)) => Ok(Some(value.clone())),
            Some(_) => Err(LiveError::Mode { problem: format!("http.{key} is not a string") }),
        };
        let url = value("url")?.ok_or_else(|| fault("http.url is missing, and DHCP and DNS tell none".to_owned()))?;
        let token = if release >= Release::new(9, 2) { value("token")? } else { None };
        Ok(Self { url, cert_fingerprint: value("cert_fingerprint")?, token })
    }
}

/// Why the live system does not come as far as the installer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The initramfs can not be unpacked.
    #[error("the initramfs can not be unpacked")]
    Initramfs(#[from] InitramfsError),
    /// The ISO can not be mounted or read.
    #[error("the ISO can not be read")]
    Iso(#[from] IsoReadError),
    /// There is no `/proxmox.iso` in the initramfs.
    #[error("no device with valid ISO found: the initramfs holds no /proxmox.iso")]
    NoIso,
    /// The kernel differs from `/boot/linux26` of the ISO.
    #[error("the kernel differs from /boot/linux26 of the ISO")]
    WrongKernel,
    /// The initrd does not begin with `/boot/initrd.img` of the ISO.
    #[error("the initrd does not begin with /boot/initrd.img of the ISO")]
    WrongInitrd,
    /// A file is missing on the ISO.
    #[error("the ISO has no /{path}")]
    Missing {
        /// Which.
        path: &'static str,
    },
    /// A file is not text.
    #[error("/{path} of the ISO is not UTF-8")]
    NotText {
        /// Which.
        path: &'static str,
    },
    /// `.cd-info` has no usable release.
    #[error("/.cd-info of the ISO names no release")]
    Release,
    /// The kernel arguments do not ask for an automated installation.
    #[error("the kernel arguments start the installer for a person, not the automated one")]
    NotAutomated,
    /// The mode file is refused.
    #[error("/auto-installer-mode.toml: {problem}")]
    Mode {
        /// Why.
        problem: String,
    },
}
