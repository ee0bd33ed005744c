//! The first-boot script: phones home, then deletes itself.

use crate::model::{BaseUrl, BootToken, CertFingerprint, HostId};

/// What a first-boot script is made of.
#[derive(Clone, Debug)]
pub struct FirstBootScript<'a> {
    /// Where the host reaches us.
    pub public_url: &'a BaseUrl,
    /// The host.
    pub host: HostId,
    /// The operation's token: sent as a header, never in a command line.
    pub token: &'a BootToken,
    /// The certificate that the host shall see there, and no other; without one an https server is checked by the
    /// system's authorities.
    pub tls_fingerprint: Option<CertFingerprint>,
}

/// Renders the script. It runs as unit `proxmox-first-boot`, ordering `fully-up`: sshd is up, the cluster file
/// system mounted, the node certificate made. The unit runs it once a boot until it exits with 0, without a retry
/// of its own, so the script retries for ten minutes (`reference/first-boot.md`). The token goes to `curl`
/// (or `wget`, or perl, which every Proxmox node has) by standard input or a private file.
///
/// None of these pins a certificate by its own digest, but all pin its key: the script asks the server for its
/// certificate first, goes on only with the one it was told of, and pins the key that stands in there, so that the
/// token is never sent to anybody else. perl's `IO::Socket::SSL` pins the certificate by itself.
pub fn first_boot_script(script: &FirstBootScript<'_>) -> String {
    let url = script.public_url.join(&format!("/api/hosts/{}/phone-home", script.host));
    let fingerprint = script.tls_fingerprint.map(|fingerprint| fingerprint.to_string()).unwrap_or_default();
    TEMPLATE
        .replace("@URL@", &url)
        .replace("@TOKEN@", &script.token.expose())
        .replace("@FINGERPRINT@", &fingerprint.replace(':', "").to_ascii_lowercase())
}

const TEMPLATE: &str = r#"#!/bin/sh
# Tells the provisioning server that this host is up. Deletes itself once it was heard.
set -u
umask 077
URL='@URL@'
TOKEN='@TOKEN@'
FINGERPRINT='@FINGERPRINT@'

authority=${URL#*://}; authority=${authority%%/*}
case $authority in
  \[*) server=${authority#\[}; server=${server%%\]*}; port=${authority##*\]} ;;
  *) server=${authority%%:*}; port=${authority#"$server"} ;;
esac
peer=$server
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
pin=$(mktemp) || exit 1
trap 'rm -f "$body" "$config" "$pin"' EXIT
cat >"$body" <<END
{"ip":"$ip","hardware_id":"$hardware_id","cert_fingerprint":"$fingerprint",
 "ssh_host_keys":{"ed25519":"$(key ed25519)","ecdsa":"$(key ecdsa)","rsa":"$(key rsa)"}}
END

# Puts the public key of the certificate that we were told of into $pin, if the server shows that one.
pinned() {
  [ -n "$FINGERPRINT" ] || return 0
  name=
  case $peer in *[!0-9.]*) case $peer in *:*) ;; *) name="-servername $peer" ;; esac ;; esac
  # shellcheck disable=SC2086
  timeout 30 openssl s_client -connect "${authority%"$port"}${port:-:443}" $name </dev/null 2>/dev/null |
    openssl x509 -outform PEM >"$pin" 2>/dev/null
  shown=$(openssl x509 -noout -fingerprint -sha256 -in "$pin" 2>/dev/null | sed 's/.*=//' | tr -d : | tr A-F a-f)
  if [ "$shown" != "$FINGERPRINT" ]; then
    echo "the server at $authority shows certificate ${shown:-none}, not $FINGERPRINT" >&2
    return 1
  fi
  key_text=$(openssl x509 -noout -pubkey -in "$pin") && printf '%s\n' "$key_text" >"$pin"
}

send() {
  if command -v curl >/dev/null; then
    pinned || return 1
    {
      printf 'header = "authorization: Bearer %s"\nheader = "content-type: application/json"\n' "$TOKEN"
      [ -z "$FINGERPRINT" ] || printf 'insecure\npinnedpubkey = "%s"\n' "$pin"
    } | curl --config - --silent --show-error --fail --max-time 30 --output /dev/null --data-binary "@$body" "$URL"
  elif command -v wget >/dev/null; then
    pinned || return 1
    {
      printf 'header = authorization: Bearer %s\nheader = content-type: application/json\n' "$TOKEN"
      [ -z "$FINGERPRINT" ] || printf 'check_certificate = off\npinnedpubkey = %s\n' "$pin"
    } >"$config"
    WGETRC=$config wget --quiet --timeout=30 --tries=1 --output-document=/dev/null --post-file="$body" "$URL"
  else
    printf '%s\n' "$TOKEN" | perl -MHTTP::Tiny -e '
      chomp(my $token = <STDIN>); my ($file, $url, $pin) = @ARGV; local $/; open my $in, "<", $file or die;
      my $tls = $pin ? { SSL_fingerprint => "sha256\$$pin" } : {};
      my $answer = HTTP::Tiny->new(timeout => 30, verify_SSL => 1, SSL_options => $tls)->post($url, { content => <$in>, headers => {
        "authorization" => "Bearer $token", "content-type" => "application/json" } });
      die "$answer->{status} $answer->{reason}\n" unless $answer->{success};' "$body" "$URL" "$FINGERPRINT"
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
        let tls_fingerprint = Some(CertFingerprint::new([0xab; 32]));
        let text = first_boot_script(&FirstBootScript { public_url: &url, host, token: &token, tls_fingerprint });
        assert!(text.starts_with("#!/bin/sh\n"));
        assert!(text.len() < 1_048_576, "the installer cuts longer scripts silently");
        assert_eq!(text.matches(&token.expose()).count(), 1);
        assert!(text.contains(&format!("URL='https://prov.lab.example:8443/api/hosts/{host}/phone-home'")));
        assert!(text.contains(&format!("FINGERPRINT='{}'", "ab".repeat(32))));
        let plain =
            first_boot_script(&FirstBootScript { public_url: &url, host, token: &token, tls_fingerprint: None });
        assert!(plain.contains("FINGERPRINT=''"));
        assert!(!text.contains('@') || !text.contains("@URL@") && !text.contains("@TOKEN@"));
    }
}
