#!/bin/sh
# Makes what the lab's machines boot: a Proxmox-like ISO around the installer double, a disk with the system that the
# double installs, and the iPXE programs. Everything comes from Debian packages, whose signatures apt checks.
#
# Usage: build.sh EMPTY-FOLDER. It leaves in there: proxmox-ve_9.2-1.iso disk.img ipxe/
set -eu

# iPXE as this release packs it is new enough (Debian 12's is of 2019); kernel and system are taken from it as well.
suite=trixie
here=$(dirname "$(realpath "$0")")
out=$(realpath "$1")
work=$out/work
mkdir -p "$work"

say() { echo "lab image: $*"; }

# --- apt with lists, cache and state of its own, asking the mirror that this machine asks anyway -----------------

set_up_apt() {
  # shellcheck source=/dev/null
  . /etc/os-release
  # shellcheck disable=SC2016 # apt fills these in
  mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' 'Created-By: Packages' |
    awk -v release="$VERSION_CODENAME" '$1 == release && $2 == "main" { print $3; exit }')
  [ -n "$mirror" ] || { echo "apt knows no main archive of $VERSION_CODENAME on this machine" >&2; exit 1; }
  mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
  : >"$work/apt/status"
  echo "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
    >"$work/apt/sources.list"
  cat >"$work/apt/apt.conf" <<END
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$work/apt/lists";
Dir::State::Status "$work/apt/status";
Dir::State::extended_states "$work/apt/extended_states";
Dir::Cache "$work/apt/cache";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "3";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Sandbox::User "root";
END
  export APT_CONFIG="$work/apt/apt.conf"
  apt-get -qq update
}

# unpack FOLDER PACKAGE…: these packages only
unpack() {
  folder=$1
  shift
  debs=$work/debs-${folder##*/}
  mkdir -p "$folder" "$debs"
  (cd "$debs" && apt-get -qq download "$@")
  extract "$folder" "$debs"
}

# unpack_closure FOLDER PACKAGE…: these packages and all that they depend on
unpack_closure() {
  folder=$1
  shift
  merge_usr "$folder"
  rm -f "$work"/apt/cache/archives/*.deb
  # The status file is empty, so that apt takes nothing for installed.
  apt-get -qq --yes --no-install-recommends --download-only install "$@"
  extract "$folder" "$work/apt/cache/archives"
}

extract() {
  for deb in "$2"/*.deb; do
    case ${deb##*/} in
      systemd_* | libsystemd-shared_* | libc-l10n_* | perl-base_*) ;;
      *) dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$1" ;;
    esac
  done
}

merge_usr() {
  for dir in bin sbin lib lib64; do
    mkdir -p "$1/usr/$dir"
    ln -s "usr/$dir" "$1/$dir"
  done
}

# --- the installer double: a kernel and a busybox, as linux26 and initrd.img --------------------------------------

build_kernel() {
  kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  unpack "$work/kernel" "$kernel"
  cp "$work"/kernel/boot/vmlinuz-* "$work/linux26"
}

build_initrd() {
  unpack "$work/busybox" busybox-static
  root=$work/initramfs
  mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/mnt" "$root/target" "$root/modules"
  cp "$work/busybox/usr/bin/busybox" "$root/bin/busybox"
  cp "$here/init.sh" "$root/init"
  cp "$here/installer.sh" "$here/lease.sh" "$here/json.awk" "$root/"
  chmod 755 "$root/init" "$root/installer.sh" "$root/lease.sh"
  for module in net/core/failover drivers/net/net_failover drivers/net/virtio_net drivers/block/virtio_blk \
    drivers/block/loop drivers/cdrom/cdrom fs/isofs/isofs; do
    xz -dc "$work"/kernel/usr/lib/modules/*/kernel/$module.ko.xz >"$root/modules/${module##*/}.ko"
    echo "${module##*/}" >>"$root/modules/order"
  done
  cp "$work/cd-info" "$root/.cd-info"
  (cd "$root" && find . | LC_ALL=C sort | cpio --quiet --create --format=newc --owner=0:0) | gzip -9n >"$work/initrd.img"
}

# --- the system that it installs ----------------------------------------------------------------------------------

build_system() {
  root=$work/system
  unpack_closure "$root" busybox-static coreutils curl dash grep iproute2 libc-bin mawk openssh-server openssl sed util-linux
  prune "$root"
  for dir in dev proc sys run tmp root/.ssh boot etc/network etc/ssh etc/pve mnt var/lib var/log; do
    mkdir -p "$root/$dir"
  done
  chmod 700 "$root/root" "$root/root/.ssh"
  ln -sf mawk "$root/usr/bin/awk"
  ln -sf dash "$root/usr/bin/sh"
  ln -sfn ../run "$root/var/run"
  install -m 755 "$here/system.sh" "$root/usr/sbin/init"
  install -m 755 "$here/pvecm.sh" "$root/usr/bin/pvecm"
  printf 'root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  printf 'root:*:20000:0:99999:7:::\n' >"$root/etc/shadow"
  chmod 600 "$root/etc/shadow"
  echo 'hosts: files' >"$root/etc/nsswitch.conf"
  printf 'PermitRootLogin prohibit-password\nUsePAM no\nPrintMotd no\nUseDNS no\n' >"$root/etc/ssh/sshd_config"
  cp "$work/linux26" "$work/initrd.img" "$root/boot/"
  chroot "$root" /sbin/ldconfig
}

# What nobody on a lab's disk looks at.
prune() {
  for path in share lib/systemd lib/locale lib/x86_64-linux-gnu/gconv lib/x86_64-linux-gnu/security \
    lib/x86_64-linux-gnu/ossl-modules; do
    rm -rf "${1:?}/usr/$path"
  done
}

# --- a disk that starts by BIOS and by UEFI: boot sector, ESP, root -----------------------------------------------

build_disk() {
  unpack_closure "$work/tools" fdisk grub-common grub-efi-amd64-bin grub-pc-bin
  tools=$work/tools
  mkdir -p "$tools/tmp"
  cat >"$tools/tmp/grub.cfg" <<END
search --no-floppy --set=root --label lab-root
linux /boot/linux26 root=/dev/vda2 rw quiet no_timer_check console=ttyS0
initrd /boot/initrd.img
boot
END
  modules="part_msdos ext2 search search_label linux echo"
  # shellcheck disable=SC2086 # a list of words
  chroot "$tools" grub-mkimage -O i386-pc -p /boot/grub -c /tmp/grub.cfg -o /tmp/core.img biosdisk $modules
  # shellcheck disable=SC2086
  chroot "$tools" grub-mkimage -O x86_64-efi -p /boot/grub -c /tmp/grub.cfg -o /tmp/bootx64.efi fat $modules

  truncate -s 8M "$work/esp.img"
  mformat -i "$work/esp.img" -v LAB ::
  mmd -i "$work/esp.img" ::/EFI ::/EFI/BOOT
  mcopy -i "$work/esp.img" "$tools/tmp/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI

  used=$(du -sm "$work/system" | cut -f1)
  truncate -s "$((used + 40))M" "$work/root.img"
  # Only features that every GRUB reads.
  mke2fs -q -t ext4 -L lab-root -m 0 -E root_owner=0:0 -d "$work/system" \
    -O none,has_journal,extent,filetype,sparse_super,large_file,dir_index,ext_attr "$work/root.img"

  disk=$out/disk.img
  truncate -s "$((1 + 8 + used + 40 + 1))M" "$disk"
  ln "$disk" "$tools/tmp/disk.img"
  printf 'label: dos\nlabel-id: 0x1ab1ab1a\nstart=2048, size=16384, type=ef\nstart=18432, type=83, bootable\n' |
    chroot "$tools" sfdisk --quiet --no-reread --no-tell-kernel /tmp/disk.img
  rm "$tools/tmp/disk.img"
  # GRUB's boot sector looks for its core in the next sector unless told otherwise.
  dd if="$tools/usr/lib/grub/i386-pc/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
  dd if="$tools/tmp/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
  dd if="$work/esp.img" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
  dd if="$work/root.img" of="$disk" bs=1M seek=9 conv=notrunc,sparse status=none
}

# --- the ISO, laid out as Proxmox' -------------------------------------------------------------------------------

build_iso() {
  iso=$work/iso
  mkdir -p "$iso/boot/grub" "$iso/.disk" "$iso/lab" "$iso/proxmox/packages" \
    "$iso/.base" "$iso/.installer" "$iso/.installer-mp" "$iso/.workdir"
  cp "$work/cd-info" "$iso/.cd-info"
  cp "$work/cd-info" "$iso/.disk/info"
  echo '7d1a6b1e-0000-4000-8000-0000000001ab' >"$iso/.pve-cd-id.txt"
  : >"$iso/auto-installer-capable"
  echo '# boots by network only' >"$iso/boot/grub/grub.cfg"
  cp "$work/linux26" "$work/initrd.img" "$iso/boot/"
  gzip -1n <"$out/disk.img" >"$iso/lab/disk.img.gz"
  xorriso -as mkisofs -quiet -R -V PVE -o "$out/proxmox-ve_9.2-1.iso" "$iso"
}

build_ipxe() {
  unpack "$work/ipxe" ipxe
  mkdir -p "$out/ipxe"
  cp "$work"/ipxe/usr/lib/ipxe/*.efi "$work"/ipxe/usr/lib/ipxe/undionly.kpxe "$out/ipxe/"
}

set_up_apt
cat >"$work/cd-info" <<'END'
RELEASE='9.2'
ISORELEASE='1'
ISONAME='proxmox-ve'
PRODUCT='pve'
PRODUCTLONG='Proxmox VE'
END
say "kernel and installer double"
build_kernel
build_initrd
say "iPXE"
build_ipxe
say "system"
build_system
say "disk"
build_disk
say "ISO"
build_iso
rm -rf "$work"
