#!/bin/sh
# PID 1 of the installed double: as much of a Proxmox VE node as provisioning meets. Network, sshd, a folder in place
# of the cluster file system, and the first-boot script once.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/sshd /run/network /run/lock
exec </dev/null >/dev/ttyS0 2>&1

say() { echo "lab-system: $*"; }

boots=$(($(cat /var/lib/lab-boots 2>/dev/null || echo 0) + 1))
echo "$boots" >/var/lib/lab-boots
sync

# A disk that no installer has written: the machine had this system before anybody provisioned it.
if [ ! -f /etc/hostname ]; then
  say "boot $boots of a machine that was never installed"
  exec sleep 2147483647
fi
name=$(cat /etc/hostname)
hostname "$name" 2>/dev/null || busybox hostname "$name"
say "boot $boots of $name"

# The one static interface that the installer has written.
# shellcheck disable=SC2046 # three words: interface, address, gateway
set -- $(awk '$1 == "iface" && $4 == "static" { nic = $2 } nic && $1 == "address" { address = $2 }
  nic && $1 == "gateway" { gateway = $2 } END { print nic, address, gateway }' /etc/network/interfaces)
ip link set lo up
ip link set "$1" up
ip address add "$2" dev "$1"
[ -z "${3:-}" ] || ip route add default via "$3"

# What `pvecm updatecerts` does before pveproxy starts for the first time.
if [ ! -e /etc/pve/.members ]; then
  mkdir -p /etc/pve/priv "/etc/pve/nodes/$name"
  ln -sfn "nodes/$name" /etc/pve/local
  openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$name" \
    -keyout /etc/pve/local/pve-ssl.key -out /etc/pve/local/pve-ssl.pem 2>/dev/null
  mv /root/.ssh/authorized_keys /etc/pve/priv/authorized_keys
  ln -s /etc/pve/priv/authorized_keys /root/.ssh/authorized_keys
  printf '{"nodename":"%s","version":2}\n' "$name" >/etc/pve/.members
fi
/usr/sbin/sshd -D -e 2>/var/log/sshd.log &
say "sshd answers"

dir=/var/lib/proxmox-first-boot
if [ -f "$dir/pending-first-boot-setup" ]; then
  say "runs the first-boot script"
  if "$dir/proxmox-first-boot" fully-up; then
    rm -f "$dir/pending-first-boot-setup"
    say "the first-boot script was heard"
  else
    say "the first-boot script failed"
  fi
fi
sync
while :; do
  wait
  sleep 1000 &
done
