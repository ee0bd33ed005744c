//! Keys about the server itself: where it listens, who may operate it, how it logs.

use super::Otherwise::{Default, Required, Said};
use super::Shape::{Path, Secret, Text, Time, Truth, Word};
use super::{FINGERPRINT, Group, Key, SOCKET, URL};

pub(super) const SERVER: Group = Group {
    name: "server",
    is_list: false,
    about: "Where the server listens, how machines reach it, and where it keeps its data.",
    keys: &[
        Key {
            name: "server.public_url",
            shape: Text(URL),
            otherwise: Required,
            example: "http://10.0.0.2:8080",
            about: "The URL under which machines and operators reach this server. It is handed to firmware, installers \
                    and hosts, so an address is safer than a name that they would have to look up.",
        },
        Key {
            name: "server.listen",
            shape: Text(SOCKET),
            otherwise: Default("127.0.0.1:8080"),
            example: "0.0.0.0:8080",
            about: "The address and port for operators and machines. The default reaches this machine only, so that \
                    nothing is open by accident; 0.0.0.0:8080 listens everywhere, IPv6 stands in quotes and brackets: \
                    '[::]:8080'.",
        },
        Key {
            name: "server.data_dir",
            shape: Path,
            otherwise: Default("data"),
            example: "/var/lib/provisioning",
            about: "The folder of the database, the sealing key and the imported ISOs. It must be the server's own, \
                    on a local disk with room for the ISOs.",
        },
        Key {
            name: "server.boot_listen",
            shape: Text(SOCKET),
            otherwise: Said("no second door"),
            example: "0.0.0.0:8081",
            about: "A further address, for firmware alone and without TLS: boot scripts, kernel and initrd. Needed \
                    when server.public_url is https, which most firmware cannot fetch.",
        },
        Key {
            name: "server.boot_url",
            shape: Text(URL),
            otherwise: Said("server.public_url; with server.boot_listen its host at that port"),
            example: "http://10.0.0.2:8081",
            about: "Where firmware reaches the server, when that is another URL than server.public_url.",
        },
        Key {
            name: "server.artifact_listen",
            shape: Text(SOCKET),
            otherwise: Said("no door of their own"),
            example: "0.0.0.0:8082",
            about: "A further address for kernel and initrd alone, which are sent from the file to the network without \
                    being copied. Worth it where hundreds of machines boot at once.",
        },
        Key {
            name: "server.tls_fingerprint",
            shape: Text(FINGERPRINT),
            otherwise: Said("the certificate of server.tls, or none"),
            example: "'AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:CD'",
            about: "The SHA-256 of the certificate of a TLS proxy in front of the server: installers trust this one \
                    alone. Not beside server.tls, whose certificate the server knows.",
        },
    ],
};

pub(super) const TLS: Group = Group {
    name: "server.tls",
    is_list: false,
    about: "TLS at server.listen. Without these keys it speaks plain HTTP.",
    keys: &[
        Key {
            name: "server.tls.self_signed",
            shape: Truth,
            otherwise: Default("false"),
            example: "true",
            about: "Makes a certificate at the first start and keeps it in the data directory. Machines are given its \
                    fingerprint; browsers have to be told to trust it.",
        },
        Key {
            name: "server.tls.cert",
            shape: Path,
            otherwise: Said("no certificate of your own"),
            example: "tls/fullchain.pem",
            about: "Your certificate as PEM, with the ones that lead to its authority behind it. Read again when it \
                    changes, and on SIGHUP.",
        },
        Key {
            name: "server.tls.key",
            shape: Path,
            otherwise: Said("no key of your own"),
            example: "tls/privkey.pem",
            about: "The private key of server.tls.cert, as PEM; only the server's user should be able to read it.",
        },
    ],
};

pub(super) const STANDALONE: Group = Group {
    name: "",
    is_list: false,
    about: "",
    keys: &[Key {
        name: "server_types_file",
        shape: Path,
        otherwise: Default("server-types.yaml"),
        example: "server-types.yaml",
        about: "The file of the hardware classes. It is read again whenever it changes, and on SIGHUP.",
    }],
};

pub(super) const AUTH: Group = Group {
    name: "auth",
    is_list: false,
    about: "Who may operate.",
    keys: &[
        Key {
            name: "auth.mode",
            shape: Word(&["token", "open"]),
            otherwise: Default("token"),
            example: "token",
            about: "token: operators show a token or log in. open: everybody who reaches the server may wipe hosts; \
                    refused unless server.listen is a loopback address or auth.i_know_this_is_open is true.",
        },
        Key {
            name: "auth.i_know_this_is_open",
            shape: Truth,
            otherwise: Default("false"),
            example: "true",
            about: "Allows auth.mode open on an address that others reach.",
        },
        Key {
            name: "auth.admin_token",
            shape: Secret,
            otherwise: Said("the first start makes a token and shows it once"),
            example: "admin-token",
            about: "A token with all rights: 20 to 200 printable characters, such as `openssl rand -hex 32` makes.",
        },
        Key {
            name: "auth.password_hash",
            shape: Secret,
            otherwise: Said("no password"),
            example: "dashboard-password-hash",
            about: "The hash of a password for the dashboard, as `provisioning password hash` makes it.",
        },
        Key {
            name: "auth.password",
            shape: Secret,
            otherwise: Said("no password"),
            example: "dashboard-password",
            about: "The same password in clear, 10 to 1024 characters; only one of the two may be written. The hash \
                    gives less away to whoever reads the file.",
        },
        Key {
            name: "auth.session_idle",
            shape: Time,
            otherwise: Default("2h"),
            example: "30m",
            about: "How long a browser stays logged in without a request. After 12 hours every session ends.",
        },
    ],
};

pub(super) const LOGGING: Group = Group {
    name: "logging",
    is_list: false,
    about: "How the server logs, to standard error.",
    keys: &[
        Key {
            name: "logging.format",
            shape: Word(&["text", "json"]),
            otherwise: Default("text"),
            example: "json",
            about: "text for people, json for programs: one object a line.",
        },
        Key {
            name: "logging.level",
            shape: Text(""),
            otherwise: Default("info"),
            example: "info,provisioning_core=debug",
            about: "How much: error, warn, info, debug or trace, for all or for single parts of the program.",
        },
    ],
};
