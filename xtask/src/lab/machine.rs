//! A virtual machine with real firmware that netboots first, for ever.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::console::Console;
use super::lan::{Lan, Place};
use super::service::Service;

const DISK_BYTES: u64 = 10 << 30;
const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// The stock keeping unit of machines whose webhook the installer double loses.
pub(crate) const WEBHOOK_LOST: &str = "lab-webhook-lost";

/// What a machine starts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Firmware {
    /// SeaBIOS, with iPXE as the option ROM of its NICs.
    Bios,
    /// OVMF with the PXE client of its own.
    UefiPxe,
    /// OVMF that asks for HTTP Boot only.
    UefiHttp,
}

/// A NIC, in the order of the machine's boot order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nic {
    /// Whether it is plugged into the LAN; else nobody is at its other end.
    pub(crate) on_lan: bool,
}

/// What a machine is made of.
#[derive(Clone, Debug)]
pub(crate) struct Hardware {
    pub(crate) firmware: Firmware,
    pub(crate) nics: Vec<Nic>,
    /// What its disk holds; without it the disk is empty.
    pub(crate) disk: Option<PathBuf>,
    /// Its SMBIOS stock keeping unit.
    pub(crate) sku: &'static str,
}

impl Hardware {
    /// One NIC on the LAN, an empty disk.
    pub(crate) fn plain(firmware: Firmware) -> Self {
        Self { firmware, nics: vec![Nic { on_lan: true }], disk: None, sku: "" }
    }
}

/// A machine, on or off.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    number: u8,
    hardware: Hardware,
    folder: PathBuf,
    kvm: bool,
    qemu: Option<Service>,
}

impl Machine {
    /// Builds the machine in a folder of its own and plugs it in. `number` is its own in this LAN.
    pub(crate) fn build(
        lan: &Lan,
        name: &str,
        number: u8,
        hardware: Hardware,
        folder: PathBuf,
        kvm: bool,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let disk = folder.join("disk.img");
        if let Some(content) = &hardware.disk {
            fs::copy(content, &disk).with_context(|| content.display().to_string())?;
        }
        File::options().create(true).append(true).open(&disk)?.set_len(DISK_BYTES)?;
        if hardware.firmware != Firmware::Bios {
            fs::copy(OVMF_VARS, folder.join("efivars.fd")).context(OVMF_VARS)?;
        }
        let machine = Self { name: name.to_owned(), number, hardware, folder, kvm, qemu: None };
        for (nr, nic) in machine.hardware.nics.iter().enumerate() {
            lan.plug_in(&machine.tap(nr), nic.on_lan)?;
        }
        Ok(machine)
    }

    /// The address of its NIC `nr`, counted from 0.
    pub(crate) fn mac(&self, nr: usize) -> String {
        format!("52:54:00:77:{:02x}:{nr:02x}", self.number)
    }

    /// What its serial line said since it was built.
    pub(crate) fn console(&self) -> Console {
        Console::of(&self.folder.join("console.log"))
    }

    /// Switches it on.
    pub(crate) fn power_on(&mut self, lan: &Lan) -> anyhow::Result<()> {
        // A kernel under translation that gets no processor for some milliseconds takes its timer for broken and
        // panics, so machines go before other work.
        let mut command = lan.command(Place::Lan, "nice");
        command.args(["-n", "-10", "qemu-system-x86_64"]).args(self.arguments());
        self.qemu = Some(Service::start(command, "qemu", &self.folder)?);
        Ok(())
    }

    /// Takes its power away, whatever it is doing.
    pub(crate) async fn cut_power(&mut self) -> anyhow::Result<()> {
        match self.qemu.take() {
            Some(mut qemu) => qemu.kill().await,
            None => Ok(()),
        }
    }

    /// # Errors
    /// When it was switched on and QEMU has ended by itself.
    pub(crate) fn check_on(&mut self) -> anyhow::Result<()> {
        self.qemu.as_mut().map_or(Ok(()), Service::check_running)
    }

    /// A digest of all that is on its disk.
    pub(crate) fn disk_digest(&self) -> anyhow::Result<Vec<u8>> {
        let mut digest = Sha256::new();
        // Behind what the double writes there are only holes.
        let mut written = File::open(self.folder.join("disk.img"))?.take(256 << 20);
        let mut block = vec![0; 1 << 20];
        loop {
            match written.read(&mut block)? {
                0 => return Ok(digest.finalize().to_vec()),
                read => digest.update(&block[..read]),
            }
        }
    }

    fn tap(&self, nr: usize) -> String {
        format!("tap{}n{nr}", self.number)
    }

    fn arguments(&self) -> Vec<String> {
        let file = |name: &str| path(&self.folder.join(name));
        let bios = self.hardware.firmware == Firmware::Bios;
        let mut arguments: Vec<String> = [
            "-machine",
            "q35,graphics=off",
            "-m",
            "768",
            "-nodefaults",
            "-display",
            "none",
            "-vga",
            "none",
            "-monitor",
            "none",
            "-serial",
            "chardev:console",
        ]
        .map(str::to_owned)
        .into();
        let mut add = |words: [String; 2]| arguments.extend(words);
        let [accel, cpu] = if self.kvm { ["kvm", "host"] } else { ["tcg", "qemu64,+rdrand"] };
        add(["-accel".into(), accel.into()]);
        add(["-cpu".into(), cpu.into()]);
        add(["-name".into(), self.name.clone()]);
        add(["-chardev".into(), format!("file,id=console,append=on,path={}", file("console.log"))]);
        add(["-smbios".into(), self.smbios()]);
        if !bios {
            add(["-drive".into(), format!("if=pflash,unit=0,format=raw,readonly=on,file={OVMF_CODE}")]);
            add(["-drive".into(), format!("if=pflash,unit=1,format=raw,file={}", file("efivars.fd"))]);
        }
        if self.hardware.firmware == Firmware::UefiHttp {
            for protocol in ["IPv4PXESupport", "IPv6PXESupport"] {
                add(["-fw_cfg".into(), format!("name=opt/org.tianocore/{protocol},string=n")]);
            }
        }
        for nr in 0..self.hardware.nics.len() {
            // Without an option ROM OVMF uses its own network stack.
            let rom = if bios { "" } else { ",romfile=" };
            let (tap, mac, order) = (self.tap(nr), self.mac(nr), nr + 1);
            add(["-netdev".into(), format!("tap,id=net{nr},ifname={tap},script=no,downscript=no")]);
            add(["-device".into(), format!("virtio-net-pci,netdev=net{nr},mac={mac},bootindex={order}{rom}")]);
        }
        let order = self.hardware.nics.len() + 1;
        let disk = file("disk.img");
        add(["-drive".into(), format!("if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file={disk}")]);
        add(["-device".into(), format!("virtio-blk-pci,drive=disk,bootindex={order}")]);
        arguments
    }

    fn smbios(&self) -> String {
        let Self { name, number, hardware, .. } = self;
        let uuid = format!("77770000-0000-4000-8000-0000000000{number:02x}");
        format!("type=1,manufacturer=Lab,product=Lab machine,serial=LAB-{name},uuid={uuid},sku={}", hardware.sku)
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
