#!/bin/sh
# The installer double: takes the place of the Proxmox installer in the initramfs, obeys the same rules (one request
# each, no second try, a failure waits for a person), and writes a small system instead of Proxmox VE.

say() { echo "lab-installer: $*"; }

# The real one opens a debug shell here, which is no different to a server.
abort() {
  say "installation aborted: $*"
  exec sleep 2147483647
}

# field KEY: the value of a line KEY=VALUE of the answer
field() { sed -n "s|^$1=||p" /run/answer | head -n 1; }

dmi() { tr -d '"\\\n' <"/sys/class/dmi/id/$1" 2>/dev/null; }

upper() { tr '[:lower:]' '[:upper:]'; }

nics() {
  for nic in /sys/class/net/*; do
    [ "${nic##*/}" = lo ] || echo "${nic##*/}"
  done
}

mac_of() { cat "/sys/class/net/$1/address"; }

# --- the ISO and what is asked of the server ---------------------------------------------------------------------

mount_iso() {
  [ -f /proxmox.iso ] || abort "no device with valid ISO found"
  mount -t iso9660 -o loop,ro /proxmox.iso /mnt || abort "/proxmox.iso cannot be mounted"
  # shellcheck source=/dev/null
  . /mnt/.cd-info
  [ -f /mnt/auto-installer-mode.toml ] || abort "the ISO has no /auto-installer-mode.toml"
  [ "$(mode_value mode)" = http ] || abort "the mode file does not say mode = http"
  say "mounted the ISO of $PRODUCTLONG $RELEASE"
}

mode_value() { sed -n "s/^ *$1 *= *\"\(.*\)\" *\$/\1/p" /mnt/auto-installer-mode.toml; }

take_an_address() {
  for nic in $(nics); do ip link set "$nic" up; done
  # ISC's dhclient asks on all NICs and returns with the first lease.
  for nic in $(nics); do
    udhcpc -q -f -n -t 20 -T 2 -A 1 -i "$nic" -s /lease.sh >/dev/null 2>&1 &
  done
  tries=0
  until [ -s /run/lease ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 90 ] || abort "no DHCP server gave an address"
    sleep 1
  done
  killall udhcpc 2>/dev/null
  lease_interface=$(sed -n 's/^interface=//p' /run/lease)
  lease_address=$(sed -n 's/^address=//p' /run/lease)
  say "has $lease_address on $lease_interface"
}

dmi_json() {
  printf '{"system":{"serial":"%s","sku":"%s","uuid":"%s","name":"%s"},' \
    "$(dmi product_serial)" "$(dmi product_sku)" "$(dmi product_uuid)" "$(dmi product_name)"
  printf '"baseboard":{"asset_tag":"%s","serial":"%s","name":"%s"},' \
    "$(dmi board_asset_tag)" "$(dmi board_serial)" "$(dmi board_name)"
  printf '"chassis":{"serial":"%s","sku":"","asset_tag":"%s"}}' "$(dmi chassis_serial)" "$(dmi chassis_asset_tag)"
}

request_json() {
  printf '{"%s":{"version":"1.0"},"product":{"fullname":"%s","product":"%s","enable_btrfs":true},' \
    "\$schema" "$PRODUCTLONG" "$PRODUCT"
  printf '"iso":{"release":"%s","isorelease":"%s"},"dmi":%s,"network_interfaces":[' \
    "$RELEASE" "$ISORELEASE" "$(dmi_json)"
  comma=
  for nic in $(nics); do
    printf '%s{"link":"%s","mac":"%s"}' "$comma" "$nic" "$(mac_of "$nic" | upper)"
    comma=,
  done
  printf ']}'
}

# post URL FILE OUTPUT [HEADER]: one try, sixty seconds
post() {
  wget -q -T 60 -O "$3" --header 'content-type: application/json; charset=utf-8' --header 'user-agent: ureq/3.0.11' \
    --header "${4:-accept: */*}" ${5:+--header "$5"} --post-file "$2" "$1"
}

fetch_answer() {
  url=$(mode_value url)
  token=$(mode_value token)
  case $url in http://*) ;; *) abort "the lab's machines fetch by plain http only: $url" ;; esac
  request_json >/run/request.json
  post "$url" /run/request.json /run/answer.json 'accept: application/json, application/toml;q=0.5' \
    "${token:+authorization: Bearer $token}" || abort "the answer was not served"
  awk -f /json.awk /run/answer.json >/run/answer || abort "the answer is no JSON"
  fqdn=$(field global.fqdn)
  [ -n "$fqdn" ] || abort "the answer has no global.fqdn"
  say "fetched the answer for $fqdn"
}

fetch_first_boot() {
  [ "$(field first-boot.source)" = from-url ] || return 0
  wget -q -T 60 -O /run/first-boot "$(field first-boot.url)" || abort "the first-boot script was not served"
  head -c 1048576 /run/first-boot >/run/first-boot.cut
  say "fetched the first-boot script"
}

# --- the disk ----------------------------------------------------------------------------------------------------

write_disk() {
  [ "$(field disk-setup.filesystem)" = ext4 ] || abort "the double writes ext4 only"
  disk=$(field disk-setup.disk-list.0)
  [ -b "/dev/$disk" ] || abort "disk $disk is not in this machine"
  say "writes /dev/$disk"
  gunzip -c /mnt/lab/disk.img.gz | dd of="/dev/$disk" bs=1M 2>/dev/null || abort "/dev/$disk cannot be written"
  sync
  blockdev --rereadpt "/dev/$disk"
  mount "/dev/${disk}2" /target || abort "/dev/${disk}2 cannot be mounted"
  mount -o bind /dev /target/dev
}

configure() {
  name=${fqdn%%.*}
  echo "$name" >/target/etc/hostname
  settle_network
  printf '127.0.0.1 localhost\n%s %s %s\n' "${address%/*}" "$fqdn" "$name" >/target/etc/hosts
  tr -dc '0-9a-f' </dev/urandom | head -c 32 >/target/etc/machine-id
  hash=$(field global.root-password-hashed)
  printf 'root:%s:20000:0:99999:7:::\n' "${hash:-*}" >/target/etc/shadow
  # As the installer leaves it: no newline at the end.
  sed -n 's|^global\.root-ssh-keys\.[0-9]*=||p' /run/answer >/run/keys
  printf '%s' "$(cat /run/keys)" >/target/root/.ssh/authorized_keys
  chmod 600 /target/root/.ssh/authorized_keys
  for kind in 'ed25519' 'ecdsa' 'rsa -b 2048'; do
    # shellcheck disable=SC2086 # a list of words
    chroot /target ssh-keygen -q -N '' -C "root@$name" -f "/etc/ssh/ssh_host_${kind%% *}_key" -t $kind ||
      abort "no $kind host key"
  done
  [ -f /run/first-boot.cut ] || return 0
  mkdir -m 700 /target/var/lib/proxmox-first-boot || abort "no folder for the first-boot script"
  cp /run/first-boot.cut /target/var/lib/proxmox-first-boot/proxmox-first-boot
  chmod 700 /target/var/lib/proxmox-first-boot/proxmox-first-boot
  : >/target/var/lib/proxmox-first-boot/pending-first-boot-setup
}

# The lease becomes static, as Proxmox' installer has it; or the answer brings an address of its own.
settle_network() {
  management=$lease_interface address=$lease_address gateway=$(sed -n 's/^gateway=//p' /run/lease)
  if [ "$(field network.source)" = from-answer ]; then
    address=$(field network.cidr) gateway=$(field network.gateway)
    glob=$(field network.filter.ID_NET_NAME_MAC)
    for nic in $(nics); do
      # shellcheck disable=SC2254 # a glob is what the answer gives
      case enx$(mac_of "$nic" | tr -d :) in $glob) management=$nic ;; esac
    done
  fi
  mkdir -p /target/etc/network
  cat >/target/etc/network/interfaces <<END
auto lo
iface lo inet loopback
auto $management
iface $management inet static
  address $address
  gateway $gateway
END
}

# --- the report --------------------------------------------------------------------------------------------------

host_key() { cat "/target/etc/ssh/ssh_host_$1_key.pub"; }

webhook_json() {
  [ -d /sys/firmware/efi ] && boot=efi || boot=bios
  printf '{"%s":{"version":"1.2"},"debian-version":"13.1",' "\$schema"
  auth=$(field post-installation-webhook.auth-token)
  [ -z "$auth" ] || printf '"token":"%s",' "$auth"
  printf '"product":{"fullname":"%s","short":"%s","version":"%s.3"},' "$PRODUCTLONG" "$PRODUCT" "$RELEASE"
  printf '"iso":{"release":"%s","isorelease":"%s"},' "$RELEASE" "$ISORELEASE"
  printf '"kernel-version":{"sysname":"Linux","release":"%s","version":"%s","machine":"x86_64"},' \
    "$(uname -r)" "$(uname -v)"
  printf '"boot-info":{"mode":"%s"},"cpu-info":{"cores":1,"cpus":1,"flags":"fpu","hvm":false,' "$boot"
  printf '"model":"virtual","sockets":1},"dmi":%s,"filesystem":"ext4","fqdn":"%s","machine-id":"%s",' \
    "$(dmi_json)" "$fqdn" "$(cat /target/etc/machine-id)"
  printf '"disks":[{"size":%s,"is-bootdisk":true,"udev-properties":{"DEVNAME":"/dev/%s"}}],"network-interfaces":[' \
    "$(($(cat "/sys/block/$disk/size") * 512))" "$disk"
  comma=
  for nic in $(nics); do
    printf '%s{"name":"%s","mac":"%s",' "$comma" "$nic" "$(mac_of "$nic")"
    [ "$nic" != "$management" ] || printf '"address":"%s","is-management":true,' "$address"
    printf '"udev-properties":{}}'
    comma=,
  done
  printf '],"ssh-public-host-keys":{"ed25519":"%s","ecdsa":"%s","rsa":"%s"},"reboot-mode":"reboot"}' \
    "$(host_key ed25519)" "$(host_key ecdsa)" "$(host_key rsa)"
}

report() {
  url=$(field post-installation-webhook.url)
  [ -n "$url" ] || return 0
  # A machine whose reports are lost goes on as with reboot-on-error.
  if [ "$(dmi product_sku)" = lab-webhook-lost ]; then
    say "the webhook is lost"
    sleep 3
    return 0
  fi
  webhook_json >/run/webhook.json
  if post "$url" /run/webhook.json /run/webhook.out; then
    say "the webhook was taken"
  elif [ "$(field global.reboot-on-error)" = true ]; then
    say "the webhook was refused"
    sleep 30
  else
    abort "the webhook was refused"
  fi
}

mount_iso
take_an_address
fetch_answer
fetch_first_boot
write_disk
configure
say "installed $fqdn"
report
umount /target/dev /target
sync
say "restarts"
reboot -f
