//! Sessions of browsers, in memory: a restart ends them all.
//!
//! A session's id is renewed while it lives, so that one that leaked is soon worth nothing. The one before stays good
//! until the new one is seen, since an answer may get lost, and a moment longer for requests under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provisioning_core::model::{Timestamp, TokenId};
use provisioning_core::ports::{Entropy, EntropyExt as _};

use super::{Actor, TokenDigest};

/// How long a session lives at most.
pub(crate) const SESSION_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// How often its id is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(15 * 60);
/// How long the old id stays good once the new one was seen.
const GRACE: Duration = Duration::from_secs(60);
/// Sessions at once; beyond these the one that was used least lately is dropped.
const SESSIONS_MAX: usize = 1000;

/// What a session was opened with. It ends with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A kept token.
    Token(TokenId),
    /// The configuration's token or password, or an open server.
    Configuration,
}

/// A session that a cookie belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Who it is.
    pub(crate) actor: Actor,
    /// What it was opened with.
    pub(crate) origin: Origin,
    /// The cookie's new value, when it is time for one.
    pub(crate) renewed: Option<String>,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: Duration,
    sessions: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    sessions: BTreeMap<u64, Session>,
    /// Digests of ids, the old ones with the time they end.
    ids: BTreeMap<TokenDigest, (u64, Option<Timestamp>)>,
}

#[derive(Debug)]
struct Session {
    actor: Actor,
    origin: Origin,
    began: Timestamp,
    used: Timestamp,
    newest: TokenDigest,
    issued: Timestamp,
}

impl Sessions {
    /// No sessions; each ends after `idle` without a request.
    pub(crate) fn new(idle: Duration) -> Self {
        Self { idle, sessions: Mutex::default() }
    }

    /// Opens one; the result is the cookie's value.
    pub(crate) fn open(&self, actor: Actor, origin: Origin, now: Timestamp, entropy: &dyn Entropy) -> String {
        let mut table = self.table();
        table.drop_ended(now, self.idle);
        if table.sessions.len() >= SESSIONS_MAX
            && let Some(least) = table.sessions.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            table.remove(least);
        }
        let (key, value) = (table.next, new_id(entropy));
        table.next += 1;
        let newest = TokenDigest::of(&value);
        table.ids.insert(newest, (key, None));
        table.sessions.insert(key, Session { actor, origin, began: now, used: now, newest, issued: now });
        value
    }

    /// The session of a cookie, which counts as used.
    pub(crate) fn find(&self, cookie: &str, now: Timestamp, entropy: &dyn Entropy) -> Option<Found> {
        let mut table = self.table();
        table.drop_ended(now, self.idle);
        let digest = TokenDigest::of(cookie);
        let (key, _) = *table.ids.get(&digest)?;
        let session = table.sessions.get_mut(&key)?;
        session.used = now;
        let is_newest = session.newest == digest;
        // An id that was sent and never came back is replaced in the end.
        let is_due = now.since(session.issued) >= RENEWED_EVERY;
        let mut found = Found { actor: session.actor.clone(), origin: session.origin, renewed: None };
        let unseen = session.newest;
        if is_due {
            let value = new_id(entropy);
            (session.newest, session.issued) = (TokenDigest::of(&value), now);
            let newest = session.newest;
            if !is_newest {
                table.ids.remove(&unseen);
            }
            table.ids.insert(newest, (key, None));
            found.renewed = Some(value);
        } else if is_newest {
            let old = table.ids.iter_mut().filter(|(id, (of, _))| *of == key && **id != digest);
            old.for_each(|(_, (_, until))| *until = Some(until.unwrap_or(now + GRACE)));
        }
        Some(found)
    }

    /// Ends the session of a cookie, under all its ids; the result is whose it was.
    pub(crate) fn close(&self, cookie: &str) -> Option<Actor> {
        let mut table = self.table();
        let (key, _) = *table.ids.get(&TokenDigest::of(cookie))?;
        table.remove(key).map(|session| session.actor)
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn drop_ended(&mut self, now: Timestamp, idle: Duration) {
        let lives = |session: &Session| now.since(session.used) < idle && now.since(session.began) < SESSION_LENGTH;
        self.sessions.retain(|_, session| lives(session));
        let sessions = &self.sessions;
        self.ids.retain(|_, (key, until)| sessions.contains_key(key) && until.is_none_or(|until| now < until));
    }

    fn remove(&mut self, key: u64) -> Option<Session> {
        self.ids.retain(|_, (of, _)| *of != key);
        self.sessions.remove(&key)
    }
}

fn new_id(entropy: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(entropy.bytes::<32>())
}

#[cfg(test)]
mod tests {
    use provisioning_adapters::system::SystemEntropy;

    use super::*;

    const IDLE: Duration = Duration::from_secs(7200);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn opened() -> (Sessions, String) {
        let sessions = Sessions::new(IDLE);
        let cookie = sessions.open(Actor::anybody(), Origin::Configuration, at(0), &SystemEntropy);
        (sessions, cookie)
    }

    fn find(sessions: &Sessions, cookie: &str, now: i64) -> Option<Found> {
        sessions.find(cookie, at(now), &SystemEntropy)
    }

    #[test]
    fn a_session_ends_when_idle_and_at_the_latest_after_twelve_hours() {
        let (sessions, cookie) = opened();
        assert!(find(&sessions, &cookie, 7199).is_some());
        assert!(find(&sessions, &cookie, 7199 + 7200).is_none());

        let (sessions, mut cookie) = opened();
        for minute in 1..720 {
            let found = find(&sessions, &cookie, minute * 60).unwrap();
            cookie = found.renewed.unwrap_or(cookie);
        }
        assert!(find(&sessions, &cookie, 12 * 3600).is_none());
    }

    #[test]
    fn an_id_is_renewed_and_the_old_one_dies_once_the_new_one_was_seen() {
        let (sessions, old) = opened();
        assert!(find(&sessions, &old, 899).unwrap().renewed.is_none());
        let new = find(&sessions, &old, 900).unwrap().renewed.unwrap();
        // The answer may have got lost: the old one is good until the new one comes.
        assert!(find(&sessions, &old, 1500).unwrap().renewed.is_none());
        assert!(find(&sessions, &new, 1501).is_some());
        assert!(find(&sessions, &old, 1560).is_some(), "requests under way");
        assert!(find(&sessions, &old, 1561).is_none());
        assert!(find(&sessions, &new, 1562).is_some());
    }

    #[test]
    fn an_id_that_never_came_back_is_replaced_and_dead() {
        let (sessions, old) = opened();
        let lost = find(&sessions, &old, 900).unwrap().renewed.unwrap();
        let next = find(&sessions, &old, 1800).unwrap().renewed.unwrap();
        assert!(find(&sessions, &lost, 1801).is_none());
        assert!(find(&sessions, &next, 1802).is_some());
    }

    #[test]
    fn closing_a_session_ends_all_its_ids() {
        let (sessions, old) = opened();
        let new = find(&sessions, &old, 900).unwrap().renewed.unwrap();
        sessions.close(&old);
        assert!(find(&sessions, &old, 901).is_none());
        assert!(find(&sessions, &new, 901).is_none());
    }

    #[test]
    fn the_session_that_was_used_least_lately_makes_room() {
        let (sessions, first) = opened();
        let others: Vec<String> = (1..SESSIONS_MAX)
            .map(|_| sessions.open(Actor::anybody(), Origin::Configuration, at(1), &SystemEntropy))
            .collect();
        assert!(find(&sessions, &first, 2).is_some());
        sessions.open(Actor::anybody(), Origin::Configuration, at(3), &SystemEntropy);
        assert!(find(&sessions, &first, 4).is_some());
        let left = others.iter().filter(|cookie| find(&sessions, cookie, 4).is_some()).count();
        assert_eq!(left, SESSIONS_MAX - 2);
    }
}
