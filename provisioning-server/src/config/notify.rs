//! `notify`: the services that are told of events.

use super::reader::{Reader, Section};
use crate::notify::{EventName, GIVE_UP_AFTER, Target};

/// The shortest secret, in characters.
const SECRET_LENGTH_MIN: usize = 16;
const SECRET_HELP: &str = "make one with `echo whsec_$(openssl rand -base64 24)`, put it into a file that only the \
                           server can read, and name that under secret_file";

/// Reads the list; what is wrong with an entry is reported, and the entry left out.
pub(super) fn targets(reader: &Reader, root: &mut Section<'_>) -> Vec<Target> {
    let mut targets: Vec<Target> = vec![];
    for section in root.sections_of("notify") {
        let place = section.place().clone();
        let Some(target) = target(section) else { continue };
        if targets.iter().any(|other| other.name == target.name) {
            let problem = format!("{} is the name of two targets: give each a name of its own", target.name);
            let key = "notify.name".to_owned();
            reader.fault(super::Fault { place, key, problem, help: None });
        } else {
            targets.push(target);
        }
    }
    targets
}

fn target(mut section: Section<'_>) -> Option<Target> {
    let url = section.secret("url");
    if url.is_none() && !section.was_written("url") && !section.was_written("url_file") {
        section.fault("url", "is missing: where events are sent, such as https://hooks.example/provisioning", None);
    }
    let host = url.as_ref().and_then(|(place, url)| {
        let host = host_of(url.expose());
        if host.is_none() {
            section.fault_at(place, "url", "is no http:// or https:// URL");
        }
        host
    });
    let name = section.text("name");
    if let Some((place, name)) = name.as_ref().filter(|(_, name)| !is_name(name)) {
        section.fault_at(place, "name", format!("{name:?} has 1 to 64 characters of a-z 0-9 . _ -"));
    }
    let is_chosen = section.is_written("events");
    let events = section.list::<EventName>("events");
    if !is_chosen {
        let all = EventName::ALL.map(EventName::as_str).join(", ");
        section.fault("events", format!("is missing: a list of {all}"), None);
    }
    let secret = section.secret("secret");
    if let Some((place, _)) = secret.as_ref().filter(|(_, secret)| secret.expose().len() < SECRET_LENGTH_MIN) {
        section.fault_at(place, "secret", format!("has at least {SECRET_LENGTH_MIN} characters"));
    }
    if secret.is_none() && !section.was_written("secret") && !section.was_written("secret_file") {
        section.fault("secret", "is missing: messages are signed with it", Some(SECRET_HELP.to_owned()));
    }
    let give_up_after = section.duration("give_up_after").unwrap_or(GIVE_UP_AFTER);
    let ca_pem = section.file("ca_file");
    section.finish();
    let (url, secret) = (url?.1, secret?.1);
    let name = name.map_or(host?, |(_, name)| name);
    Some(Target { name, url, events: events?, secret, give_up_after, ca_pem })
}

/// The host of an http or https URL, in lower case: the name of a target that has none.
fn host_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"))?;
    Some(host.trim_matches(['[', ']']).replace(':', "-"))
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(fits)
}
