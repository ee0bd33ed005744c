#!/bin/busybox sh
# shellcheck shell=dash
# The initramfs of the lab's machines. With root= it starts the installed system, as an installed machine's own
# initramfs would; else it is the installer double.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1
while read -r module; do
  insmod "/modules/$module.ko"
done </modules/order

arguments=" $(cat /proc/cmdline) "
case $arguments in
  *' root='*)
    root=${arguments##* root=}
    mount "${root%% *}" /target || {
      echo "lab: ${root%% *} cannot be mounted"
      exec sleep 2147483647
    }
    umount /proc /sys
    mount -o move /dev /target/dev
    exec switch_root /target /sbin/init
    ;;
  *' proxmox-start-auto-installer '*) exec /installer.sh ;;
  *)
    echo "lab-installer: the kernel arguments start the installer for a person: $arguments"
    exec sleep 2147483647
    ;;
esac
