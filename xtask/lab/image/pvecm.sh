#!/bin/sh
# `pvecm add HOST --fingerprint FP` of the lab's nodes: the order, the words and the traps of the real one. It reads
# root's password from standard input without a prompt, and its exit status is 0 even when the join failed.
name=$(cat /etc/hostname)

usage() {
  echo "usage: pvecm add <hostname> --fingerprint <string>" >&2
  exit 255
}

# The worker's failures are said and forgotten.
fail() {
  echo "$*" >&2
  exit 0
}

if [ $# -ne 4 ] || [ "$1" != add ] || [ "$3" != --fingerprint ]; then usage; fi
member=$2 wanted=$(printf '%s' "$4" | tr '[:lower:]' '[:upper:]')
[ -e /etc/pve/.members ] || { echo "pve cluster filesystem not online." >&2; exit 255; }
address=$(getent ahosts "$name" | awk '$1 !~ /^127\./ { print $1; exit }')
[ -n "$address" ] || { echo "hostname lookup '$name' failed - failed to get address info" >&2; exit 255; }
IFS= read -r password || fail "EOF while reading password"

if [ -e /etc/corosync/authkey ] || [ -e /etc/pve/corosync.conf ]; then
  fail "detected the following error(s):
* authentication key '/etc/corosync/authkey' already exists
Check if node may join a cluster failed!"
fi

# call METHOD PATH [BODY [COOKIE]]: status line and body of the member's answer
call() {
  {
    printf '%s /api2/json%s HTTP/1.0\r\n' "$1" "$2"
    [ -z "${4:-}" ] || printf 'Cookie: PVEAuthCookie=%s\r\n' "$4"
    printf 'Content-Length: %s\r\n\r\n%s' "${#3}" "${3:-}"
  } | openssl s_client -quiet -verify_quiet -connect "$member:8006" 2>/dev/null | tr -d '\r'
}

value() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }

echo "Establishing API connection with host '$member'"
found=$(openssl s_client -connect "$member:8006" </dev/null 2>/dev/null |
  openssl x509 -noout -fingerprint -sha256 2>/dev/null | sed 's/.*=//')
[ -n "$found" ] || fail "500 Can't connect to $member:8006"
[ "$found" = "$wanted" ] || fail "fingerprint '$found' not verified, abort!"
ticket=$(call POST /access/ticket "username=root%40pam&password=$password" | value ticket)
[ -n "$ticket" ] || fail "401 authentication failure"
echo "Login succeeded."
echo "check cluster join API version"
call GET /cluster/config/apiversion '' "$ticket" | grep -q '"data":1' || fail "error - incompatible join API version"
echo "No cluster network links passed explicitly, fallback to local node IP '$address'"
echo "Request addition of this node"
reply=$(call POST "/cluster/config/nodes/$name" "new_node_ip=$address&apiversion=1" "$ticket")
case $reply in
  *' 200 '*) ;;
  *) fail "An error occurred on the cluster node: $(printf '%s\n' "$reply" | tail -n 1)
Cluster join aborted!" ;;
esac
echo "Join request OK, finishing setup locally"

# No way back from here: the node's own database goes, and with it the keys that only it has.
mkdir -p /etc/corosync
echo lab >/etc/corosync/authkey
echo "stopping pve-cluster service"
mv /etc/pve/.members /run/members.old
echo "backup old database to '/var/lib/pve-cluster/backup/config-$(date +%s).sql.gz'"
printf 'waiting for quorum...'
sleep 1
printf '%s\n' "$reply" | value authorized_keys >/etc/pve/priv/authorized_keys
if [ -f /root/.ssh/authorized_keys ] && [ ! -L /root/.ssh/authorized_keys ]; then
  # The trap: a file in the symlink's place is merged into the whole cluster's.
  cat /root/.ssh/authorized_keys >>/etc/pve/priv/authorized_keys
  mv /root/.ssh/authorized_keys /root/.ssh/authorized_keys.org
  ln -s /etc/pve/priv/authorized_keys /root/.ssh/authorized_keys
fi
printf '%s\n' "$reply" | sed -n 's/.*"members":\({.*}\)}}.*/\1/p' >/etc/pve/.members.new
echo "nodelist { }" >/etc/pve/corosync.conf
mv /etc/pve/.members.new /etc/pve/.members
echo OK
echo "(re)generate node files"
echo "generate new node certificate"
openssl req -quiet -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$name" \
  -keyout /etc/pve/local/pve-ssl.key -out /etc/pve/local/pve-ssl.pem 2>/dev/null
echo "merge authorized SSH keys"
echo "generated new node certificate, restart pveproxy and pvedaemon services"
echo "successfully added node '$name' to cluster."
