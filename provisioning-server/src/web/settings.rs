//! The settings page: the configuration in force, the server types, and what this server is.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use provisioning_core::model::{Hostname, NicName, ServerType, Site, Timestamp};
use serde::Deserialize;

use super::Web;
use super::moment::Moment;
use super::page::{Frame, PageError, html};
use crate::access::{Scope, TokenRow};
use crate::config::{Setting, Shown};
use crate::http::health::{Check, CheckState};
use crate::notify::{EventName, TargetReport};
use crate::snippets::{Kind, SnippetFacts, snippet};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    notice: Option<&'static str>,
    body: SettingsBody,
}

#[derive(Template)]
#[template(path = "settings_sections.html")]
struct SettingsBody {
    checks: Vec<CheckView>,
    types: Vec<TypeView>,
    type_faults: Vec<String>,
    tokens: Vec<TokenView>,
    is_open: bool,
    targets: Vec<TargetView>,
    snippets: Vec<SnippetView>,
    sections: Vec<Section>,
    about: Vec<(&'static str, String)>,
}

/// A thing that the server needs, and how it is.
struct CheckView {
    name: &'static str,
    /// In the style sheet, and as a word.
    tone: &'static str,
    state: &'static str,
    detail: Option<String>,
    what_to_do: Option<String>,
}

impl CheckView {
    fn of(check: Check) -> Self {
        let name = match check.name {
            "serving" => "Answers requests",
            "loop" => "Looks after deadlines and work",
            "store" => "Database takes writes",
            "boot_server" => "Answers netbooting machines",
            "image" => "Has an image to install",
            "disk" => "Room for data",
            "server_types" => "Server types",
            "certificate" => "Certificate",
            "clock" => "Clock",
            other => other,
        };
        let (tone, state) = match check.state {
            CheckState::Ok => ("good", "in order"),
            CheckState::Warning => ("warn", "look at it"),
            CheckState::Failed => ("bad", "failed"),
        };
        Self { name, tone, state, detail: check.detail, what_to_do: check.what_to_do }
    }
}

/// A hardware class in words.
struct TypeView {
    key: String,
    name: String,
    wipes: String,
    filesystem: &'static str,
    nic: String,
    prefix: String,
    gpu: String,
}

/// An operator's token in words; never its text.
struct TokenView {
    id: String,
    name: String,
    scope: &'static str,
    created: Moment,
    expires: Option<Moment>,
    last_used: Option<Moment>,
    /// In the style sheet, and as a word.
    tone: &'static str,
    state: &'static str,
    is_alive: bool,
}

impl TokenView {
    fn of(row: &TokenRow, now: Timestamp) -> Self {
        let is_alive = row.is_alive(now);
        let (tone, state) = match row.revoked {
            Some(_) => ("bad", "revoked"),
            None if is_alive => ("good", "in force"),
            None => ("warn", "expired"),
        };
        Self {
            id: row.id.to_string(),
            name: row.name.to_string(),
            scope: match row.scope {
                Scope::Full => "may change everything",
                Scope::Read => "may only read",
            },
            created: Moment(row.created),
            expires: row.expires.map(Moment),
            last_used: row.last_used.map(Moment),
            tone,
            state,
            is_alive,
        }
    }
}

/// A service that is told of events, in words; the rest of its address may be a secret.
struct TargetView {
    name: String,
    origin: String,
    events: String,
    backlog: usize,
    last_success: Option<Moment>,
    last_error: Option<(Moment, String)>,
    next_try: Option<Moment>,
    dropped: u64,
    /// In the style sheet, and as a word.
    tone: &'static str,
    state: &'static str,
}

impl TargetView {
    fn of(report: TargetReport) -> Self {
        let TargetReport { name, origin, events, status, backlog } = report;
        let (tone, state) = match (status.attempts, status.last_success_at) {
            (0, Some(_)) => ("good", "takes events"),
            (0, None) => ("info", "nothing sent yet"),
            (_, _) => ("bad", "does not take events"),
        };
        Self {
            name,
            origin,
            events: events.into_iter().map(EventName::as_str).collect::<Vec<_>>().join(", "),
            backlog,
            last_success: status.last_success_at.map(Moment),
            last_error: status.last_error.map(|(at, error)| (Moment(at), error)),
            next_try: status.next_try_at.map(Moment),
            dropped: status.dropped,
            tone,
            state,
        }
    }
}

/// Lines for a DHCP server of the operator's own.
struct SnippetView {
    key: &'static str,
    title: &'static str,
    text: String,
}

/// For every DHCP server that we know, in the subnet of the configuration.
fn snippets(site: &Site, settings: &[Setting]) -> Vec<SnippetView> {
    let subnet = settings.iter().find(|setting| setting.key == "pxe.subnet").and_then(|setting| match &setting.value {
        Shown::Value(text) => text.parse().ok(),
        Shown::Hidden | Shown::Nothing => None,
    });
    let facts = SnippetFacts::new(site.boot_url(), subnet);
    let view = |kind: Kind| SnippetView {
        key: kind.as_str(),
        title: match kind {
            Kind::Dnsmasq => "dnsmasq",
            Kind::Isc => "ISC dhcpd",
            Kind::Kea => "Kea",
            Kind::Mikrotik => "MikroTik RouterOS 7",
            Kind::Opnsense => "OPNsense",
        },
        text: snippet(kind, &facts),
    };
    Kind::ALL.into_iter().map(view).collect()
}

/// The settings below one key of the file.
#[derive(Debug)]
struct Section {
    name: String,
    settings: Vec<SettingView>,
}

/// One setting in words.
#[derive(Debug)]
struct SettingView {
    key: String,
    value: String,
    is_plain: bool,
    from: Option<String>,
}

/// What was done on the way here, by a form.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    done: String,
}

/// `GET /settings`.
pub(super) async fn page(State(web): State<Web>, Query(wanted): Query<Wanted>) -> Result<Response, PageError> {
    let frame = Frame::of(&web).await?;
    let notice = (wanted.done == "revoked").then_some("The token was revoked.");
    Ok(html(&SettingsPage { frame, notice, body: body(&web).await? }))
}

/// `GET /fragments/settings`: the page's sections without the frame around them.
pub(super) async fn fragment(State(web): State<Web>) -> Result<Response, PageError> {
    Ok(html(&body(&web).await?))
}

async fn body(web: &Web) -> Result<SettingsBody, PageError> {
    let types = web.orchestrator.server_types();
    let now = web.orchestrator.now();
    let settings = web.backstage.settings();
    let targets = web.backstage.notify_targets().await.map_err(PageError::Unavailable)?;
    let mut tokens = web.backstage.tokens();
    // Those in force first, then the latest made.
    tokens.sort_by_key(|row| (!row.is_alive(now), std::cmp::Reverse(row.created)));
    Ok(SettingsBody {
        checks: web.backstage.health().await.checks.into_iter().map(CheckView::of).collect(),
        types: types.values().map(TypeView::of).collect(),
        type_faults: web.backstage.server_type_faults(),
        tokens: tokens.iter().map(|row| TokenView::of(row, now)).collect(),
        is_open: web.backstage.is_open(),
        targets: targets.into_iter().map(TargetView::of).collect(),
        snippets: snippets(web.orchestrator.site(), &settings),
        sections: sections(settings),
        about: about(web),
    })
}

fn about(web: &Web) -> Vec<(&'static str, String)> {
    let site = web.orchestrator.site();
    let cluster = site.cluster.as_ref();
    vec![
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Machines reach it at", site.public_url.to_string()),
        ("Hosts join", cluster.map_or_else(|| "no cluster".to_owned(), |cluster| format!("by {}", cluster.member))),
        ("Licence", "Apache-2.0 OR MIT".to_owned()),
    ]
}

/// Settings under the first part of their keys, in their order.
fn sections(settings: Vec<Setting>) -> Vec<Section> {
    let mut sections: Vec<Section> = vec![];
    for setting in settings {
        let name = setting.key.split('.').next().unwrap_or_default();
        let name = if name == setting.key { "files" } else { name }.to_owned();
        let view = SettingView::of(setting);
        match sections.iter_mut().find(|section| section.name == name) {
            Some(section) => section.settings.push(view),
            None => sections.push(Section { name, settings: vec![view] }),
        }
    }
    sections
}

impl SettingView {
    fn of(setting: Setting) -> Self {
        let Setting { key, value, from } = setting;
        let (value, is_plain) = match value {
            Shown::Value(text) if text.is_empty() => ("empty".to_owned(), false),
            Shown::Value(text) => (text, true),
            Shown::Hidden => ("set, not shown".to_owned(), false),
            Shown::Nothing => ("not set".to_owned(), false),
        };
        Self { key, value, is_plain, from }
    }
}

impl TypeView {
    fn of(class: &ServerType) -> Self {
        let or_none = |text: Option<&str>, none: &str| text.unwrap_or(none).to_owned();
        Self {
            key: class.key.to_string(),
            name: class.display_name.clone(),
            wipes: class.disk.wipes(),
            filesystem: class.disk.filesystem.as_str(),
            nic: or_none(class.management_nic.as_ref().map(NicName::as_str), "the one it netboots with"),
            prefix: or_none(class.hostname_prefix.as_ref().map(Hostname::as_str), "any"),
            gpu: or_none(class.gpu.as_deref(), "none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_below_the_first_part_of_their_keys_and_secrets_are_not_shown() {
        let setting = |key: &str, value| Setting { key: key.to_owned(), value, from: None };
        let found = sections(vec![
            setting("server.listen", Shown::Value("127.0.0.1:8080".to_owned())),
            setting("server_types_file", Shown::Value("server-types.yaml".to_owned())),
            setting("auth.admin_token", Shown::Hidden),
            setting("server.data_dir", Shown::Nothing),
        ]);
        let names: Vec<&str> = found.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["server", "files", "auth"]);
        assert_eq!(found[0].settings[1].value, "not set");
        assert_eq!(found[2].settings[0].value, "set, not shown");
        assert!(!found[2].settings[0].is_plain);
    }
}
