//! `auth`: who may operate.

use std::net::SocketAddr;

use super::reader::Section;
use super::{AuthConfig, LoginConfig, PasswordConfig};

/// A password that people choose: shorter ones are guessed, longer ones are files by mistake.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 10..=1024;

pub(super) fn read(mut section: Section<'_>, listen: SocketAddr) -> (AuthConfig, LoginConfig) {
    let admin = section.secret("admin_token");
    let known = section.truth("i_know_this_is_open").is_some_and(|(_, known)| known);
    let open = section.word("mode", &[("token", false), ("open", true)]).unwrap_or(false);
    if open && !known && !listen.ip().is_loopback() {
        let help = "set server.listen to a loopback address, or auth.mode to token, or write \
                    auth.i_know_this_is_open: true";
        let problem = format!("open lets everybody who reaches {listen} wipe every host");
        section.fault("mode", problem, Some(help.to_owned()));
    }
    let admin = admin.and_then(|(place, token)| {
        let length = token.expose().len();
        let fits = (20..=200).contains(&length) && token.expose().bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            let problem =
                "has from 20 to 200 printable characters without spaces: make one with `openssl rand -hex 32`";
            section.fault_at(&place, "admin_token", problem);
        }
        fits.then_some(token)
    });
    let default = LoginConfig::default();
    let logins = LoginConfig {
        password: password(&mut section),
        session_idle: section.duration("session_idle").unwrap_or(default.session_idle),
    };
    section.finish();
    (if open { AuthConfig::Open } else { AuthConfig::Token { admin } }, logins)
}

fn password(section: &mut Section<'_>) -> Option<PasswordConfig> {
    let written =
        |section: &Section<'_>, key: &str| section.is_written(key) || section.is_written(&format!("{key}_file"));
    if written(section, "password") && written(section, "password_hash") {
        section.fault("password", "stands beside password_hash: write only one of them", None);
    }
    let hash = section.secret_parsed("password_hash").map(PasswordConfig::Hash);
    let clear = section.secret("password").and_then(|(place, password)| {
        let fits = PASSWORD_LENGTH.contains(&password.expose().len());
        if !fits {
            section.fault_at(&place, "password", "has from 10 to 1024 characters");
        }
        fits.then_some(PasswordConfig::Clear(password))
    });
    hash.or(clear)
}
