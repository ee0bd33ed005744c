//! Firmware and iPXE: from the boot script to a running installer, or to the disk.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::{Read as _, Seek as _};

use reqwest::Url;

use super::{HostEvent, SimHost};
use crate::real::http::BootFile;
use crate::real::installer::{LiveError, LiveImage, LiveSystem, Machine as _};
use crate::real::ipxe::{End, ImageRef, Script, Step, Went};

/// Longer boot scripts are none.
const SCRIPT_MAX: u64 = 64 << 10;

/// What a machine runs in the end.
pub(super) enum Booted {
    /// The automated installer.
    Installer(Box<LiveSystem>),
    /// The system on its disk.
    LocalDisk,
    /// There is nothing to run.
    Nothing { why: String },
    /// It hangs.
    Stuck { why: String },
}

/// An image in a file without a name.
struct Spooled {
    image: ImageRef,
    file: std::fs::File,
}

impl SimHost {
    /// Boots from the network, and from the disk when the network has nothing.
    pub(super) async fn netboot(&mut self) -> Booted {
        let url = self.script_url();
        self.tell(HostEvent::BootScriptAsked { url: url.clone() });
        let mut text = Vec::new();
        let outcome = self.fetched(&url, &mut text).await;
        let script = match outcome {
            Err(why) => return self.next_device(why),
            Ok(bytes) if bytes > SCRIPT_MAX => return self.next_device(format!("a script of {bytes} bytes")),
            Ok(_) => Script::parse(&String::from_utf8_lossy(&text)),
        };
        match script {
            Ok(script) => self.follow(script, &url).await,
            Err(error) => self.next_device(format!("the boot script: {error}")),
        }
    }

    /// iPXE before 2021 writes `:` as `%3A` (`reference/netboot.md` §3.1).
    fn script_url(&self) -> String {
        let mac = self.spec.hardware.boot_nic().mac.to_string();
        let mac = if self.old_ipxe { mac.replace(':', "%3A") } else { mac };
        format!("{}/ipxe/{mac}", self.spec.server.trim_end_matches('/'))
    }

    fn agent(&self) -> &'static str {
        if self.old_ipxe { "iPXE/1.0.0+git-20190125.36a4c85" } else { "iPXE/1.21.1+git20250501" }
    }

    /// Does what the script says.
    async fn follow(&mut self, script: Script, base: &str) -> Booted {
        let mut running = script.run(self.settings());
        let mut images: Vec<Spooled> = Vec::new();
        let mut went = Went::Well;
        loop {
            went = match running.next(went) {
                Step::Echo(text) => {
                    self.tell(HostEvent::Echo(text));
                    Went::Well
                }
                Step::Fetch(image) => match self.spool(image, base).await {
                    Ok(spooled) => {
                        images.push(spooled);
                        Went::Well
                    }
                    Err(why) => {
                        self.tell(HostEvent::NextDevice { why });
                        Went::Wrong
                    }
                },
                // Without a kernel there is nothing to boot, and the script goes on.
                Step::Boot(kept) if !kept.iter().any(|image| matches!(image, ImageRef::Kernel { .. })) => Went::Wrong,
                Step::Boot(kept) => {
                    images.retain(|spooled| kept.contains(&spooled.image));
                    return self.start_kernel(images).await;
                }
                Step::Sanboot { drive: 0x80 } if self.on_disk.is_some() => return Booted::LocalDisk,
                Step::Sanboot { .. } => Went::Wrong,
                Step::Ended(end) => return self.script_ended(&end),
            };
        }
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let hardware = &self.spec.hardware;
        let mac = hardware.boot_nic().mac.to_string();
        let platform = if hardware.uefi { "efi" } else { "pcbios" };
        [
            ("mac:hexhyp", mac.replace(':', "-")),
            ("net0/mac", mac.clone()),
            ("mac", mac),
            ("uuid", hardware.uuid.clone()),
            ("serial", hardware.serial.clone()),
            ("platform", platform.to_owned()),
            ("buildarch", "x86_64".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// `reference/netboot.md` §3.9: a plain `exit` is the end for UEFI, all else leads to the next boot device.
    fn script_ended(&self, end: &End) -> Booted {
        match end {
            End::Exit(0) if self.spec.hardware.uefi => {
                Booted::Stuck { why: "the script said exit, and UEFI firmware hangs".to_owned() }
            }
            End::Exit(status) => self.next_device(format!("the script said exit {status}")),
            End::Failed { command, line } => self.next_device(format!("{command} in line {line} failed")),
            End::RanOut => self.next_device("the script ended without a boot".to_owned()),
        }
    }

    fn next_device(&self, why: String) -> Booted {
        self.tell(HostEvent::NextDevice { why: why.clone() });
        if self.on_disk.is_some() { Booted::LocalDisk } else { Booted::Nothing { why } }
    }

    async fn spool(&mut self, image: ImageRef, base: &str) -> Result<Spooled, String> {
        let base = Url::parse(base).map_err(|e| e.to_string())?;
        let url = base.join(image.url()).map_err(|e| format!("{:?}: {e}", image.url()))?;
        let file = tempfile::tempfile().map_err(|e| format!("no room for a download: {e}"))?;
        let mut sink = tokio::fs::File::from_std(file);
        self.fetched(url.as_str(), &mut sink).await?;
        Ok(Spooled { image, file: sink.into_std().await })
    }

    /// Asks until the server no longer says "later".
    async fn fetched(&mut self, url: &str, into: &mut (impl tokio::io::AsyncWrite + Unpin)) -> Result<u64, String> {
        loop {
            match self.http.boot_file(url, self.agent(), into).await {
                BootFile::Fetched { bytes } => {
                    self.tell(HostEvent::Downloaded { url: url.to_owned(), bytes });
                    return Ok(bytes);
                }
                BootFile::NextDevice { why } => return Err(why),
                BootFile::Held { seconds } => {
                    self.tell(HostEvent::Held { seconds });
                    self.pass(u32::try_from(seconds.clamp(1, 3600)).unwrap_or(3600)).await;
                }
            }
        }
    }

    async fn start_kernel(&mut self, images: Vec<Spooled>) -> Booted {
        self.pass(8).await;
        if let Some(why) = self.without_initrd(&images) {
            return Booted::Stuck { why };
        }
        // One machine at a time holds its images in memory: a real ISO has more than a gigabyte.
        let Ok(_turn) = self.systems.memory().acquire_owned().await else {
            return Booted::Stuck { why: "the simulation ends".to_owned() };
        };
        match tokio::task::spawn_blocking(move || boot(images)).await {
            Ok(Ok(live)) => Booted::Installer(Box::new(live)),
            Ok(Err(why)) => Booted::Stuck { why },
            Err(error) => Booted::Stuck { why: error.to_string() },
        }
    }

    /// On UEFI the kernel must name its ramdisk (`reference/netboot.md` §3.8).
    fn without_initrd(&self, images: &[Spooled]) -> Option<String> {
        let argument = images.iter().find_map(|spooled| match &spooled.image {
            ImageRef::Kernel { arguments, .. } => arguments.iter().find_map(|a| a.strip_prefix("initrd=")),
            ImageRef::Initrd { .. } => None,
        });
        let named = images.iter().any(|spooled| match &spooled.image {
            ImageRef::Initrd { name, .. } => Some(name.as_str()) == argument,
            ImageRef::Kernel { .. } => false,
        });
        (self.spec.hardware.uefi && !named)
            .then(|| format!("kernel panic: initrd={} names no image", argument.unwrap_or("(nothing)")))
    }
}

fn boot(images: Vec<Spooled>) -> Result<LiveSystem, String> {
    let mut kernel = Vec::new();
    let mut command_line = Vec::new();
    let mut ramdisks = Vec::new();
    for Spooled { image, file } in images {
        let bytes = read(file).map_err(|e| format!("a download can not be read back: {e}"))?;
        match image {
            ImageRef::Kernel { arguments, .. } => (kernel, command_line) = (bytes, arguments),
            ImageRef::Initrd { wrap_as, .. } => ramdisks.push(LiveImage { bytes, wrap_as }),
        }
    }
    LiveSystem::boot(&kernel, &command_line, &ramdisks).map_err(|error| with_cause(&error))
}

fn read(mut file: std::fs::File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn with_cause(error: &LiveError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
