//! Looks into an image before it is believed: is it a Proxmox VE installer that works unattended, and where is what?

use std::collections::BTreeMap;

use provisioning_core::model::{ParseReleaseError, Release};

use super::cpio::MEMBER_BYTES_MAX;
use super::iso9660::{DIRECTORY_BYTES_MAX, Entry, Extent, IsoError, Kind, ReadAt, Volume};

/// The file whose presence says that the installer can run unattended.
const CAPABLE: &str = "auto-installer-capable";
const CD_INFO: &str = ".cd-info";
const CD_INFO_BYTES_MAX: u64 = 64 << 10;
const KERNEL: &str = "boot/linux26";
const INITRD: &str = "boot/initrd.img";
/// The patched image grows by the mode file and a root directory; both are far smaller than this.
const PATCH_BYTES_MAX: u64 = 16 << 20;

/// What an image says of itself in `.cd-info` (`reference/pxe-boot.md`, "ISO layout").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CdInfo {
    /// `PRODUCT`: `pve`, `pbs`, `pmg` or `pdm`.
    pub product: String,
    /// `RELEASE`, such as 9.2.
    pub release: Release,
    /// `ISORELEASE`, such as `1`.
    pub iso_release: String,
    /// `ISONAME`, such as `proxmox-ve`.
    pub iso_name: String,
}

impl CdInfo {
    /// Parses lines of the form `KEY='value'`; other keys are ignored.
    pub fn parse(text: &str) -> Result<Self, CdInfoError> {
        let values: BTreeMap<&str, &str> =
            text.lines().filter_map(|line| line.trim().split_once('=')).map(|(k, v)| (k, unquote(v))).collect();
        let word = |key: &'static str| {
            let value = *values.get(key).ok_or(CdInfoError::Missing { key })?;
            let fits = (1..=64).contains(&value.len())
                && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !value.starts_with('.');
            if fits { Ok(value) } else { Err(CdInfoError::NotAWord { key, value: value.chars().take(80).collect() }) }
        };
        let release = word("RELEASE")?;
        let release = release.parse().map_err(|source| CdInfoError::Release { value: release.to_owned(), source })?;
        Ok(Self {
            product: word("PRODUCT")?.to_owned(),
            release,
            iso_release: word("ISORELEASE")?.to_owned(),
            iso_name: word("ISONAME")?.to_owned(),
        })
    }

    /// The name people know the image by: `proxmox-ve_9.2-1`.
    pub fn name(&self) -> String {
        format!("{}_{}-{}", self.iso_name, self.release, self.iso_release)
    }
}

fn unquote(value: &str) -> &str {
    let stripped = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    stripped('\'').or_else(|| stripped('"')).unwrap_or(value)
}

/// What serving an image takes: who it is, and where kernel, initrd and root directory lie.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// What it says of itself; the product is `pve`.
    pub info: CdInfo,
    /// Bytes in the file.
    pub size_bytes: u64,
    /// The kernel's bytes.
    pub kernel: Extent,
    /// The initrd's bytes.
    pub initrd: Extent,
    /// The root directory's bytes as they stand in the image.
    pub root_bytes: Vec<u8>,
    /// The root directory's entries without `.` and `..`, in their order.
    pub root_entries: Vec<Entry>,
    /// Bytes before the first system-use entry of a directory record.
    pub system_use_skip: usize,
}

/// Inspects an image.
///
/// # Errors
/// See [`InspectError`]: each variant says what an operator can do about it.
pub fn inspect<S: ReadAt + ?Sized>(source: &S) -> Result<Inspection, InspectError> {
    let volume = Volume::open(source)?;
    let info = cd_info(&volume)?;
    if info.product != "pve" {
        return Err(InspectError::OtherProduct { product: info.product });
    }
    if volume.find(CAPABLE)?.is_none() {
        return Err(InspectError::NotCapable { release: info.release });
    }
    let system_use_skip = volume.rock_ridge().ok_or(InspectError::NoRockRidge)?;
    if volume.size() > u64::from(MEMBER_BYTES_MAX) - PATCH_BYTES_MAX {
        return Err(InspectError::TooLarge { size: volume.size() });
    }
    Ok(Inspection {
        info,
        size_bytes: volume.size(),
        kernel: file(&volume, KERNEL)?,
        initrd: file(&volume, INITRD)?,
        root_bytes: volume.read(volume.root(), DIRECTORY_BYTES_MAX)?,
        root_entries: volume.entries(volume.root())?,
        system_use_skip,
    })
}

fn cd_info<S: ReadAt + ?Sized>(volume: &Volume<'_, S>) -> Result<CdInfo, InspectError> {
    let entry = volume.find(CD_INFO)?.filter(|entry| entry.kind == Kind::File).ok_or(InspectError::NotProxmox)?;
    let bytes = volume.read(entry.extent, CD_INFO_BYTES_MAX)?;
    Ok(CdInfo::parse(&String::from_utf8_lossy(&bytes))?)
}

fn file<S: ReadAt + ?Sized>(volume: &Volume<'_, S>, path: &'static str) -> Result<Extent, InspectError> {
    let entry = volume.find(path)?.filter(|entry| entry.kind == Kind::File && entry.extent.len > 0);
    Ok(entry.ok_or(InspectError::Missing { path })?.extent)
}

/// Why an image can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It is no readable ISO 9660 image.
    #[error(transparent)]
    Iso(#[from] IsoError),
    /// Nothing says that it is from Proxmox.
    #[error("not a Proxmox image: it has no .cd-info in its root")]
    NotProxmox,
    /// Its description of itself makes no sense.
    #[error("the image's .cd-info makes no sense")]
    CdInfo(#[from] CdInfoError),
    /// It installs another product.
    #[error("the image installs {product}, not pve: only Proxmox VE can be provisioned")]
    OtherProduct {
        /// `PRODUCT` of its `.cd-info`.
        product: String,
    },
    /// Its installer needs a human.
    #[error(
        "release {release} is not capable of automated installation (no auto-installer-capable in the image's \
         root): use an image of 8.2 or newer"
    )]
    NotCapable {
        /// Its release.
        release: Release,
    },
    /// A file that machines boot from is not there.
    #[error("not a complete Proxmox image: it has no {path}")]
    Missing {
        /// The file.
        path: &'static str,
    },
    /// Its names would be lost.
    #[error("the image has no Rock Ridge names: use the ISO as Proxmox publishes it")]
    NoRockRidge,
    /// A kernel can not take it out of its initramfs.
    #[error("the image has {size} bytes: above 4 GiB it can not be handed to a machine that netboots")]
    TooLarge {
        /// Its size.
        size: u64,
    },
}

/// Why a `.cd-info` makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CdInfoError {
    /// A key is not there.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value has characters that none of Proxmox' has.
    #[error("{key} is {value:?}: letters, digits and . _ - are allowed, 64 at most")]
    NotAWord {
        /// The key.
        key: &'static str,
        /// Its value, at most 80 characters of it.
        value: String,
    },
    /// The release is no release.
    #[error("RELEASE is {value:?}")]
    Release {
        /// Its value.
        value: String,
        /// Why.
        #[source]
        source: ParseReleaseError,
    },
}

#[cfg(test)]
mod tests {
    use provisioning_sim::real::iso::{IsoFs, IsoOptions, Product, build};

    use super::*;

    fn small() -> IsoOptions {
        IsoOptions { filler_bytes: 5_000, ..IsoOptions::default() }
    }

    fn refusal(options: &IsoOptions) -> String {
        inspect(&build(options)[..]).unwrap_err().to_string()
    }

    #[test]
    fn a_stock_image_tells_its_release_and_where_its_boot_files_lie() {
        let image = build(&IsoOptions { release: Release::new(8, 4), iso_release: 2, ..small() });
        let inspection = inspect(&image[..]).unwrap();
        assert_eq!(inspection.info.name(), "proxmox-ve_8.4-2");
        assert_eq!(inspection.info.release, Release::new(8, 4));
        assert_eq!(inspection.size_bytes, image.len() as u64);
        let fs = IsoFs::open(&image).unwrap();
        for (extent, path) in [(inspection.kernel, KERNEL), (inspection.initrd, INITRD)] {
            let (offset, len) = (usize::try_from(extent.offset).unwrap(), usize::try_from(extent.len).unwrap());
            assert!(fs.read(path).unwrap() == Some(&image[offset..offset + len]), "{path}");
        }
    }

    #[test]
    fn an_image_of_another_product_is_refused_by_name() {
        let message = refusal(&IsoOptions { product: Product::Pbs, ..small() });
        assert_eq!(message, "the image installs pbs, not pve: only Proxmox VE can be provisioned");
    }

    #[test]
    fn an_image_that_can_not_install_unattended_is_refused_with_what_to_use() {
        let message = refusal(&IsoOptions { capable: false, release: Release::new(8, 1), ..small() });
        assert!(message.starts_with("release 8.1 is not capable of automated installation"), "{message}");
        assert!(message.ends_with("use an image of 8.2 or newer"), "{message}");
    }

    #[test]
    fn an_image_without_cd_info_is_not_from_proxmox() {
        let mut image = build(&small());
        let names: Vec<_> = image.windows(8).enumerate().filter(|(_, w)| w == b".cd-info").map(|(i, _)| i).collect();
        for at in names {
            image[at..at + 8].copy_from_slice(b".xx-info");
        }
        let err = inspect(&image[..]).unwrap_err();
        assert!(matches!(err, InspectError::NotProxmox), "{err}");
    }

    #[test]
    fn cd_info_is_read_in_any_quoting_and_refused_with_the_key_at_fault() {
        let text = "RELEASE=\"9.2\"\nISORELEASE=1\n ISONAME='proxmox-ve'\nPRODUCT='pve'\nNEW='x y'\n";
        assert_eq!(CdInfo::parse(text).unwrap().name(), "proxmox-ve_9.2-1");
        let refusal = |text: &str| CdInfo::parse(text).unwrap_err().to_string();
        assert_eq!(refusal("RELEASE='9.2'\nPRODUCT='pve'\n"), "ISORELEASE is missing");
        assert_eq!(refusal("RELEASE='nine'\n"), "RELEASE is \"nine\"");
        let hostile = text.replace("proxmox-ve", "../../etc");
        assert!(refusal(&hostile).starts_with("ISONAME is \"../../etc\""));
    }
}
