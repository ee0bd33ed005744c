//! The first-boot script: phones home, then deletes itself.

use crate::model::{BaseUrl, BootToken, HostId};

/// What a first-boot script is made of.
#[derive(Clone, Debug)]
pub struct FirstBootScript<'a> {
    /// Where the host reaches us.
    pub public_url: &'a BaseUrl,
    /// The host.
    pub host: HostId,
    /// The operation's token: sent as a header, never in a command line.
    pub token: &'a BootToken,
}

/// Renders the script. It runs as unit `proxmox-first-boot`, ordering `fully-up`: sshd is up, the cluster file
/// system mounted, the node certificate made. The unit runs it once a boot until it exits with 0, without a retry
/// of its own, so the script retries for ten minutes (`reference/first-boot.md`). The token goes to `curl`
/// (or `wget`, or perl, which every Proxmox node has) by standard input or a private file.
pub fn first_boot_script(script: &FirstBootScript<'_>) -> String {
    let url = script.public_url.join(&format!("/api/hosts/{}/phone-home", script.host));
    TEMPLATE.replace("@URL@", &url).replace("@TOKEN@", &script.token.expose())
}

const TEMPLATE: &str = r#"#!/bin/sh
# Tells the provisioning server that this host is up. Deletes itself once it was heard.
set -u
umask 077
URL='@URL@'
TOKEN='@TOKEN@'

server=${URL#*://}; server=${server%%/*}
case $server in
  \[*) server=${server#\[}; server=${server%%\]*} ;;
  *) server=${server%%:*} ;;
esac
server=$(getent ahosts "$server" 2>/dev/null | awk '{print $1; exit}')
ip=$(ip -o route get "${server:-127.0.0.1}" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p')

hardware_id=
for f in /sys/class/dmi/id/product_uuid /sys/class/dmi/id/product_serial; do
  [ -n "$hardware_id" ] || hardware_id=$(tr -dc 'A-Za-z0-9._:-' <"$f" 2>/dev/null)
done

key() { awk '{print $1 " " $2}' "/etc/ssh/ssh_host_$1_key.pub" 2>/dev/null; }
fingerprint=$(openssl x509 -noout -fingerprint -sha256 -in /etc/pve/local/pve-ssl.pem 2>/dev/null | sed 's/.*=//')

body=$(mktemp) || exit 1
config=$(mktemp) || exit 1
trap 'rm -f "$body" "$config"' EXIT
cat >"$body" <<END
{"ip":"$ip","hardware_id":"$hardware_id","cert_fingerprint":"$fingerprint",
 "ssh_host_keys":{"ed25519":"$(key ed25519)","ecdsa":"$(key ecdsa)","rsa":"$(key rsa)"}}
END

send() {
  if command -v curl >/dev/null; then
    printf 'header = "authorization: Bearer %s"\nheader = "content-type: application/json"\n' "$TOKEN" |
      curl --config - --silent --show-error --fail --insecure --max-time 30 --output /dev/null \
        --data-binary "@$body" "$URL"
  elif command -v wget >/dev/null; then
    printf 'header = authorization: Bearer %s\nheader = content-type: application/json\n' "$TOKEN" >"$config"
    WGETRC=$config wget --quiet --no-check-certificate --timeout=30 --tries=1 --output-document=/dev/null \
      --post-file="$body" "$URL"
  else
    printf '%s\n' "$TOKEN" | perl -MHTTP::Tiny -e '
      chomp(my $token = <STDIN>); local $/; open my $in, "<", $ARGV[0] or die; my $answer = HTTP::Tiny->new(timeout => 30)
        ->post($ARGV[1], { content => <$in>, headers => {
          "authorization" => "Bearer $token", "content-type" => "application/json" } });
      die "$answer->{status} $answer->{reason}\n" unless $answer->{success};' "$body" "$URL"
  fi
}

try=0
until send; do
  try=$((try + 1))
  [ "$try" -lt 60 ] || { echo "the provisioning server was not reached: $URL" >&2; exit 1; }
  sleep 10
done
rm -f -- "$0"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OperationId, Timestamp};

    #[test]
    fn the_script_holds_url_and_token_once_each_and_nothing_unfilled() {
        let at = Timestamp::from_millis(1);
        let token = BootToken::new(OperationId::new(at, [1; 10]), [2; 16]);
        let url: BaseUrl = "https://prov.lab.example:8443".parse().unwrap();
        let host = HostId::new(at, [3; 10]);
        let text = first_boot_script(&FirstBootScript { public_url: &url, host, token: &token });
        assert!(text.starts_with("#!/bin/sh\n"));
        assert!(text.len() < 1_048_576, "the installer cuts longer scripts silently");
        assert_eq!(text.matches(&token.expose()).count(), 1);
        assert!(text.contains(&format!("URL='https://prov.lab.example:8443/api/hosts/{host}/phone-home'")));
        assert!(!text.contains('@') || !text.contains("@URL@") && !text.contains("@TOKEN@"));
    }
}
