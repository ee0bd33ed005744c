#!/bin/sh
# `pvecm add HOST --fingerprint FP` as the real one behaves: same order, same words, and status 0 when it failed,
# since nobody looks at the result of its worker. What lies in /etc/double tells what goes wrong.
d=/etc/double
echo "$*" >>"$d/calls"
fail() { echo "$*" >&2; exit 0; }
[ "$1 $3" = "add --fingerprint" ] || { echo "400 unable to parse option" >&2; exit 255; }
[ ! -e "$d/unresolvable" ] || { echo "hostname lookup 'pve-07' failed - failed to get address info" >&2; exit 255; }

faults=
[ ! -e /etc/corosync/authkey ] || faults="$faults
* authentication key '/etc/corosync/authkey' already exists"
[ ! -e /etc/pve/corosync.conf ] || faults="$faults
* cluster config '/etc/pve/corosync.conf' already exists"
[ ! -e "$d/guests" ] || faults="$faults
* this host already contains virtual guests"
[ -z "$faults" ] || fail "detected the following error(s):$faults
Check if node may join a cluster failed!
"

IFS= read -r password || fail "EOF while reading password"
echo "Establishing API connection with host '$2'"
[ ! -e "$d/unreachable" ] || fail "500 Can't connect to $2:8006 (No route to host)"
[ "$4" = "$(cat "$d/fingerprint")" ] || fail "fingerprint '$(cat "$d/fingerprint")' not verified, abort!"
[ "$password" = "$(cat "$d/password")" ] || fail "401 authentication failure"
echo "Login succeeded."
echo "check cluster join API version"
echo "No cluster network links passed explicitly, fallback to local node IP '10.0.0.7'"
echo "Request addition of this node"
[ ! -e "$d/refusal" ] || fail "An error occurred on the cluster node: $(cat "$d/refusal")
Cluster join aborted!"
[ ! -e "$d/dies" ] || fail "$(cat "$d/dies")"
echo "Join request OK, finishing setup locally"
mkdir -p /etc/corosync
: >/etc/corosync/authkey
echo "stopping pve-cluster service"
rm /etc/pve/.members
echo "backup old database to '/var/lib/pve-cluster/backup/config-1767225600.sql.gz'"
# The cluster's own file takes the place of the node's.
cp "$d/cluster_keys" /etc/pve/priv/authorized_keys
cp "$d/members" /etc/pve/.members
echo "waiting for quorum...OK"
echo "(re)generate node files"
[ ! -e "$d/ends_early" ] || fail "$(cat "$d/ends_early")"
echo "generate new node certificate"
echo "merge authorized SSH keys"
echo "generated new node certificate, restart pveproxy and pvedaemon services"
echo "successfully added node 'pve-07' to cluster."
