//! Keys about what installed hosts are given, how long it may take, and who is told.

use super::Otherwise::{Default, Required, Said};
use super::Shape::{List, Map, Path, Secret, Text, Time, Truth, Whole, Word, Words};
use super::{FINGERPRINT, Group, IP, Key};

pub(super) const CREDENTIALS: Group = Group {
    name: "credentials",
    is_list: false,
    about: "How people log in to the hosts.",
    keys: &[Key {
        name: "credentials.root_password_hash",
        shape: Secret,
        otherwise: Required,
        example: "root-password-hash",
        about: "The crypt(3) hash of root's password on new hosts, as `openssl passwd -6` makes it: yescrypt ($y$), \
                SHA-512 ($6$), SHA-256 ($5$) or bcrypt ($2b$). In YAML it stands in single quotes.",
    }],
};

pub(super) const PROXMOX: Group = Group {
    name: "proxmox",
    is_list: false,
    about: "What all hosts are told by the installer, and the cluster that they join.",
    keys: &[
        Key {
            name: "proxmox.existing_node",
            shape: Text("^[A-Za-z0-9.:-]*$"),
            otherwise: Default("\"\""),
            example: "10.0.0.10",
            about: "A member of the cluster that hosts join: its IP address or DNS name. Empty leaves hosts \
                    standalone. Joining needs join_fingerprint and join_password as well.",
        },
        Key {
            name: "proxmox.join_fingerprint",
            shape: Text(FINGERPRINT),
            otherwise: Said("none; joining needs it"),
            example: "'AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:CD'",
            about: "The SHA-256 of that member's API certificate. On it, as root: openssl x509 -noout -sha256 \
                    -fingerprint -in $(ls /etc/pve/local/pveproxy-ssl.pem /etc/pve/local/pve-ssl.pem 2>/dev/null | \
                    head -1).",
        },
        Key {
            name: "proxmox.join_password",
            shape: Secret,
            otherwise: Said("none; joining needs it"),
            example: "join-password",
            about: "Root's password on that member.",
        },
        Key {
            name: "proxmox.join_secret",
            shape: Word(&["password", "ticket"]),
            otherwise: Default("password"),
            example: "ticket",
            about: "What a joining host is handed: that password, or a ticket made from it, which is worth nothing \
                    after two hours, so that the password never leaves this server.",
        },
        Key {
            name: "proxmox.api_token",
            shape: Secret,
            otherwise: Said("the joining host's own word is taken"),
            example: "api-token",
            about: "USER@REALM!ID=SECRET of a token with the role PVEAuditor on /. With it an existing member confirms \
                    every join, and names that are taken are refused beforehand.",
        },
        Key {
            name: "proxmox.domain",
            shape: Text("^[A-Za-z0-9.-]+$"),
            otherwise: Default("internal"),
            example: "lab.example",
            about: "The hosts' DNS domain.",
        },
        Key {
            name: "proxmox.country",
            shape: Text("^[a-z]{2}$"),
            otherwise: Default("us"),
            example: "at",
            about: "The country: two lower-case letters of ISO 3166.",
        },
        Key {
            name: "proxmox.timezone",
            shape: Text("^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){1,2})$"),
            otherwise: Default("UTC"),
            example: "Europe/Vienna",
            about: "The time zone: Area/City as zone.tab has it, or UTC.",
        },
        Key {
            name: "proxmox.keyboard",
            shape: Word(&provisioning_core::model::KEYBOARDS),
            otherwise: Default("en-us"),
            example: "de",
            about: "The keyboard of the hosts' consoles, by the installer's names.",
        },
        Key {
            name: "proxmox.mailto",
            shape: Text("^[^@ ]+@[A-Za-z0-9.-]+$"),
            otherwise: Default("root@localhost"),
            example: "ops@lab.example",
            about: "Where the hosts send their mail. The installer refuses addresses below .invalid.",
        },
        Key {
            name: "proxmox.root_ssh_keys",
            shape: List("^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) "),
            otherwise: Said("none"),
            example: "[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2yFhTRKMeEHcnfyPhmPSPQIUZeDSdc5S2DsIP+C2x me@home]",
            about: "Your own SSH keys, which every host keeps. The one-time key of an installation is made and \
                    removed by the server and does not stand here.",
        },
        Key {
            name: "proxmox.gateway",
            shape: Text(IP),
            otherwise: Said("hosts take theirs from DHCP"),
            example: "10.0.0.1",
            about: "The default gateway of hosts that were registered with an address of their own. Together with \
                    proxmox.dns.",
        },
        Key {
            name: "proxmox.dns",
            shape: Text(IP),
            otherwise: Said("hosts take theirs from DHCP"),
            example: "10.0.0.53",
            about: "The name server of hosts that were registered with an address of their own. Together with \
                    proxmox.gateway.",
        },
        Key {
            name: "proxmox.ssh_port",
            shape: Whole(1, 65_535),
            otherwise: Default("22"),
            example: "2222",
            about: "The port of the hosts' SSH servers.",
        },
    ],
};

pub(super) const TIMEOUTS: Group = Group {
    name: "timeouts",
    is_list: false,
    about: "How long each stage may take before the host is said to have failed. Times are a number and its unit, such \
            as 90s, 20m or 1h 30m.",
    keys: &[
        Key {
            name: "timeouts.pxe_booted",
            shape: Time,
            otherwise: Default("20m"),
            example: "40m",
            about: "From the boot script to the request for the answer file: download and start of the installer.",
        },
        Key {
            name: "timeouts.installing",
            shape: Time,
            otherwise: Default("1h"),
            example: "2h",
            about: "From the answer file to the installer's report. Slow disks take their time.",
        },
        Key {
            name: "timeouts.came_back",
            shape: Time,
            otherwise: Default("2m"),
            example: "5m",
            about: "From a netboot of a host whose installer never began to write, to giving up.",
        },
        Key {
            name: "timeouts.installed",
            shape: Time,
            otherwise: Default("20m"),
            example: "30m",
            about: "From the installer's report to the first boot's. Servers with much memory take long to restart.",
        },
        Key {
            name: "timeouts.first_boot",
            shape: Time,
            otherwise: Default("5m"),
            example: "10m",
            about: "From the first boot's report to the first login by SSH.",
        },
        Key {
            name: "timeouts.joining",
            shape: Time,
            otherwise: Default("15m"),
            example: "30m",
            about: "From the turn to join to ready. Waiting for the turn does not count.",
        },
        Key {
            name: "timeouts.resume_window",
            shape: Time,
            otherwise: Default("1h"),
            example: "3h",
            about: "How long a failed join can be resumed without a new installation. The sealed one-time key is kept \
                    so long.",
        },
    ],
};

pub(super) const INFRASTRUCTURE: Group = Group {
    name: "infrastructure",
    is_list: false,
    about: "The inventory service that is told of every host before it is ready. path, headers and body may be \
            templates.",
    keys: &[
        Key {
            name: "infrastructure.base_url",
            shape: Text("^(https?://[^ ?#]+)?$"),
            otherwise: Default("\"\""),
            example: "https://inventory.lab.example/api",
            about: "Where the service is. Empty tells nobody.",
        },
        Key {
            name: "infrastructure.method",
            shape: Word(&["PUT", "POST", "PATCH"]),
            otherwise: Default("PUT"),
            example: "POST",
            about: "The request's method.",
        },
        Key {
            name: "infrastructure.path",
            shape: Text(""),
            otherwise: Said("/api/hosts/{{ key }}"),
            example: "'/hosts/{{ hardware_id }}'",
            about: "The request's path below base_url, a template.",
        },
        Key {
            name: "infrastructure.headers",
            shape: Map("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
            otherwise: Said("none"),
            example: "{ X-Team: metal }",
            about: "Further headers. Their values are shown nowhere.",
        },
        Key {
            name: "infrastructure.token",
            shape: Secret,
            otherwise: Said("no Authorization header"),
            example: "inventory-token",
            about: "Sent as `Authorization: Bearer`.",
        },
        Key {
            name: "infrastructure.body",
            shape: Text(""),
            otherwise: Said("an object with all that is known of the host"),
            example: "'{\"name\": \"{{ hostname }}\"}'",
            about: "The request's JSON body, a template.",
        },
        Key {
            name: "infrastructure.server_type_map",
            shape: Map("^[a-z0-9][a-z0-9_-]*$"),
            otherwise: Said("our own keys"),
            example: "{ mini: r640 }",
            about: "Keys of server types to what the service calls them.",
        },
        Key {
            name: "infrastructure.timeout",
            shape: Time,
            otherwise: Said("10s"),
            example: "30s",
            about: "How long one request may take. It is repeated while joining lasts.",
        },
        Key {
            name: "infrastructure.ca_file",
            shape: Path,
            otherwise: Said("the system's authorities"),
            example: "inventory-ca.pem",
            about: "The certificates, as PEM, that the service's own is checked against.",
        },
        Key {
            name: "infrastructure.conflict_means_known",
            shape: Truth,
            otherwise: Default("false"),
            example: "true",
            about: "Takes the answer 409 as: the service knows the host already.",
        },
    ],
};

pub(super) const NOTIFY: Group = Group {
    name: "notify",
    is_list: true,
    about: "Services that are told of events by webhook: a list, an entry for each.",
    keys: &[
        Key {
            name: "notify.url",
            shape: Secret,
            otherwise: Required,
            example: "chat-url",
            about: "Where events are sent: an http or https URL. Often it is a secret by itself.",
        },
        Key {
            name: "notify.name",
            shape: Text("^[a-z0-9._-]{1,64}$"),
            otherwise: Said("the URL's host"),
            example: "chat",
            about: "What the service is called in the log and on pages.",
        },
        Key {
            name: "notify.events",
            shape: Words(&[
                "ready",
                "failed",
                "started",
                "progress",
                "discovered",
                "registered",
                "removed",
                "warning",
                "image_imported",
            ]),
            otherwise: Required,
            example: "[ready, failed]",
            about: "The events that it is told of.",
        },
        Key {
            name: "notify.secret",
            shape: Secret,
            otherwise: Required,
            example: "chat-secret",
            about: "What messages are signed with, at least 16 characters, such as `echo whsec_$(openssl rand -base64 \
                    24)` makes.",
        },
        Key {
            name: "notify.give_up_after",
            shape: Time,
            otherwise: Said("24h"),
            example: "2h",
            about: "How long a message is tried again before it is given up.",
        },
        Key {
            name: "notify.ca_file",
            shape: Path,
            otherwise: Said("the system's authorities"),
            example: "chat-ca.pem",
            about: "The certificates, as PEM, that the service's own is checked against.",
        },
    ],
};
