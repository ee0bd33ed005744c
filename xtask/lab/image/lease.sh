#!/bin/sh
# What udhcpc calls: takes the address, and writes the lease down as udhcpc told it.
case $1 in
  bound | renew)
    # shellcheck disable=SC2154 # udhcpc sets these
    {
      ip addr flush dev "$interface"
      ip addr add "$ip/$mask" dev "$interface"
      [ -z "${router:-}" ] || ip route replace default via "${router%% *}"
      printf 'interface=%s\naddress=%s/%s\ngateway=%s\ndns=%s\n' \
        "$interface" "$ip" "$mask" "${router%% *}" "${dns%% *}" >/run/lease
    }
    ;;
esac
