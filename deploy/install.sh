#!/bin/sh
# Makes a folder in which the server runs by docker-compose. May be run again at any time: what is there is kept.
set -eu

usage() {
    cat <<'END'
Usage: deploy/install.sh [--dir DIR] [--image IMAGE]

Makes a folder in which the server runs by docker-compose:

  docker-compose.yml          how the container runs
  .env                        the image's name, and who owns config/ and data/
  config/provisioning.yaml    the configuration, to be filled in
  config/server-types.yaml    the classes of hardware, to be filled in
  config/secrets/             an empty file of mode 0600 for each secret that the configuration reads from a file
  data/                       database, images, sealed keys: what must be kept
  iso/                        a place for Proxmox ISOs

It never overwrites: what is there stays as it is, and is said to. So it may be run again, after an upgrade or to restore
one file that was removed.

  --dir DIR       where; default /opt/provisioning for root, ./provisioning for others
  --image IMAGE   the image that .env names; default provisioning:latest
  --help          this text

Run by root, the server gets a user id of its own (10001), which owns config/ and data/. Run by somebody else, who may use
Docker, the server runs under that user's id.
END
}

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

dir=
image=provisioning:latest
while [ $# -gt 0 ]; do
    case $1 in
        --dir | --image)
            if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 takes a value; see --help"; fi
            if [ "$1" = --dir ]; then dir=$2; else image=$2; fi
            shift 2
            ;;
        --dir=*) dir=${1#--dir=} && shift ;;
        --image=*) image=${1#--image=} && shift ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) fail "there is no option $1; see --help" ;;
    esac
done
if [ -z "$dir" ]; then
    if [ "$(id -u)" -eq 0 ]; then dir=/opt/provisioning; else dir=./provisioning; fi
fi

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
compose=$here/../docker-compose.yml
for template in "$compose" "$here/provisioning.example.yaml" "$here/server-types.example.yaml"; do
    [ -r "$template" ] || fail "$template is not there: run this script where it lies in the sources"
done

if [ "$(id -u)" -eq 0 ]; then owner=10001:10001; else owner=$(id -u):$(id -g); fi
umask 077
made=0

# own PATH: gives config/, data/ and what is in them to the server's user; the rest stays with whoever runs this. Without
# root all of it is ours already.
own() {
    case $1 in
        "$dir"/config* | "$dir"/data) if [ "$(id -u)" -eq 0 ]; then chown "$owner" "$1"; fi ;;
    esac
}

# folder MODE PATH
folder() {
    if [ -d "$2" ]; then
        echo "  kept  $2/"
    else
        mkdir -p "$2"
        chmod "$1" "$2"
        own "$2"
        made=$((made + 1))
        echo "  made  $2/"
    fi
}

# file MODE PATH: standard input becomes the file, unless there is one (or a link, wherever it may lead).
file() {
    if [ -e "$2" ] || [ -L "$2" ]; then
        cat >/dev/null
        echo "  kept  $2"
    else
        # Under its name it is whole from the start.
        cat >"$2.new"
        chmod "$1" "$2.new"
        own "$2.new"
        mv "$2.new" "$2"
        made=$((made + 1))
        echo "  made  $2"
    fi
}

echo "Setting up $dir:"
if [ ! -d "$dir" ]; then
    mkdir -p "$dir"
    chmod 755 "$dir"
fi
folder 750 "$dir/config"
folder 700 "$dir/config/secrets"
folder 700 "$dir/data"
folder 755 "$dir/iso"
file 644 "$dir/docker-compose.yml" <"$compose"
file 640 "$dir/config/provisioning.yaml" <"$here/provisioning.example.yaml"
file 640 "$dir/config/server-types.yaml" <"$here/server-types.example.yaml"
# The secrets that the configuration reads from files. Those elsewhere are left to whoever wrote their paths.
secrets=$(sed -n 's/^ *[a-z_]*_file: *["'\'']\{0,1\}\(secrets\/[A-Za-z0-9_-]*\)["'\'']\{0,1\} *\(#.*\)\{0,1\}$/\1/p' \
    "$dir/config/provisioning.yaml")
for secret in $secrets; do
    file 600 "$dir/config/$secret" </dev/null
done
file 644 "$dir/.env" <<END
# Read by docker-compose.
PROVISIONING_IMAGE=$image
# Who owns config/ and data/, and whom the server runs as.
PROVISIONING_USER=$owner
END

empty=
for secret in $secrets; do
    if [ -f "$dir/config/$secret" ] && [ ! -s "$dir/config/$secret" ]; then empty="$empty $secret"; fi
done
[ "$made" -gt 0 ] || echo "Everything was there already; nothing was changed."
cat <<END

What to do next:
  1. cd $dir
  2. edit config/provisioning.yaml and config/server-types.yaml
END
if [ -n "$empty" ]; then
    echo "     and write these secrets into files of config/, each a line:$empty"
fi
cat <<'END'
  3. docker-compose run --rm provisioning check-config     names every fault with its file and line
  4. docker-compose up -d
  5. docker-compose exec provisioning provisioning token create NAME      to log in to the dashboard with
  6. put a Proxmox ISO into iso/, then:
     docker-compose exec provisioning provisioning image import /iso/proxmox-ve_9.2-1.iso
With Compose as a plugin of Docker's, write `docker compose` for `docker-compose`.
END
