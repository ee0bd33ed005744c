#!/bin/sh
# The cluster's member that hosts join by: one request of its API on standard input, the answer on standard output.
# socat starts it for each connection, behind TLS. Usage: member.sh FOLDER, where FOLDER holds `password`,
# `authorized_keys` and `nodes`, a line `ID NAME ADDRESS` each.
set -eu
folder=$1
ticket=PVE:root@pam:LAB

answer() {
  printf 'HTTP/1.0 %s\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n%s\n' "$1" "$2"
  exit 0
}

IFS=' ' read -r method path _
length=0 cookie=
while IFS= read -r line; do
  line=$(printf '%s' "$line" | tr -d '\r')
  case $line in
    '') break ;;
    [Cc]ontent-[Ll]ength:*) length=$((${line#*:})) ;;
    [Cc]ookie:*) cookie=${line#*=} ;;
  esac
done
body=$(head -c "$length")

# The node that asks is told the list as it will see it when it has quorum.
members() {
  nodes=$(wc -l <"$folder/nodes")
  printf '{"nodename":"%s","version":%s,"cluster":{"name":"lab","version":%s,"nodes":%s,"quorate":1},"nodelist":{' \
    "$1" "$((nodes + 2))" "$nodes" "$nodes"
  awk '{ printf "%s\"%s\":{\"id\":%s,\"online\":1,\"ip\":\"%s\"}", separator, $2, $1, $3; separator = "," }' "$folder/nodes"
  printf '}}'
}

case "$method $path" in
  'POST /api2/json/access/ticket')
    [ "$body" = "username=root%40pam&password=$(cat "$folder/password")" ] ||
      answer '401 authentication failure' '{"data":null}'
    answer '200 OK' "{\"data\":{\"ticket\":\"$ticket\",\"username\":\"root@pam\"}}"
    ;;
esac
[ "$cookie" = "$ticket" ] || answer '401 No ticket' '{"data":null}'
case "$method $path" in
  'GET /api2/json/cluster/config/apiversion') answer '200 OK' '{"data":1}' ;;
  'POST /api2/json/cluster/config/nodes/'*)
    name=${path##*/} address=${body#new_node_ip=}
    ! grep -q " $name " "$folder/nodes" || answer '400 Parameter verification failed.' "can't add existing node '$name'"
    echo "$(($(wc -l <"$folder/nodes") + 1)) $name ${address%%&*} " >>"$folder/nodes"
    answer '200 OK' "{\"data\":{\"authorized_keys\":\"$(cat "$folder/authorized_keys")\",\"members\":$(members "$name")}}"
    ;;
  *) answer '501 Not Implemented' '{"data":null}' ;;
esac
