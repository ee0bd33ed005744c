#!/usr/bin/env bash
# The small world in which the commands of one page of the book are run. `cargo xtask book` starts it in namespaces of
# its own (network, mounts, processes); what is changed here ends with it.
#
#   world.sh FOLDER SET-UP
#
# FOLDER has `home` (where the commands run) and `configuration` (the quick start's, with its secrets). Orders come on
# standard input, `run SCRIPT OUTPUT` or `background SCRIPT OUTPUT`; each is answered by a line when it is done. The
# first command that fails ends the world.
set -euo pipefail
folder=$1 set_up=$2
exec 3>&1 1>&2

# Changes of these are kept in memory, and nobody else sees them.
layers=$folder/layers
mkdir -p "$layers"
mount -t tmpfs tmpfs "$layers"
for place in /etc /var/lib /usr/local; do
    layer=$layers/${place//\//_}
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay overlay -o "lowerdir=$place,upperdir=$layer/upper,workdir=$layer/work" "$place"
done
mount -t tmpfs -o mode=755 tmpfs /run

# The network of the examples: the server's machine has 10.0.0.2 on eno1.
ip link set lo up
ip link add eno1 type veth peer name lan
ip address add 10.0.0.2/24 dev eno1
ip link set eno1 up
ip link set lan up

configuration() {
    # The second is what Debian's package `dnsmasq` has, of which the checks need the program alone.
    mkdir -p /etc/provisioning /etc/dnsmasq.d
    cp "$folder"/configuration/* /etc/provisioning/
    chmod 0600 /etc/provisioning/*
}

# A server that has brought pve-01 and pve-02 to ready; pve-07 is registered, and SERVER and TOKEN are set.
machines() {
    configuration
    export PROVISIONING__PROXMOX__SSH_PORT=2222 PROVISIONING__PROXMOX__EXISTING_NODE=pve1 PROVISIONING__PXE__ENABLED=false
    SERVER=http://10.0.0.2:8080
    TOKEN=$(cat /etc/provisioning/admin-token)
    export SERVER TOKEN PROVISIONING__AUTH__ADMIN_TOKEN_FILE=/etc/provisioning/admin-token
    provisioning serve &
    until curl -sf -o /dev/null "$SERVER/healthz"; do
        kill -0 $!
        sleep 0.1
    done
    provisioning-sim fleet --server "$SERVER" --token-file /etc/provisioning/admin-token --hosts 2 \
        --name-prefix pve --timeout 90
    provisioning host register pve-07 --mac 52:54:00:12:34:56 --server-type mini
}

nothing() {
    :
}

cd "$folder/home"
"$set_up"
echo ready >&3

while read -r how script output; do
    case $how in
        run)
            # shellcheck source=/dev/null
            source "$script" >"$output" 2>&1 3>&- </dev/null
            ;;
        background)
            # shellcheck source=/dev/null
            { source "$script" || true; touch "$output.ended"; } >"$output" 2>&1 3>&- </dev/null &
            ;;
    esac
    echo "finished" >&3
done
