//! Times as pages show them: exact in UTC for machines and tooltips, in words for people. The scripts rewrite the
//! words into the reader's own time zone and count on (`assets/times.js`).

use std::fmt;

use askama::filters::HtmlSafe;
use provisioning_core::model::Timestamp;

use super::words::span;

/// A point in time as a `<time>` element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_string();
        let (day, time) = (exact.get(..10).unwrap_or(&exact), exact.get(11..19).unwrap_or_default());
        write!(f, r#"<time datetime="{exact}" title="{exact}">{day} {time} UTC</time>"#)
    }
}

/// Digits, dashes and letters of our own making: nothing in it needs escaping.
impl HtmlSafe for Moment {}

/// How long something has been going on, and how long it may: `2 min 13 s of 20 min`. It counts on by script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// When it began.
    pub(super) since: Timestamp,
    /// When it is given up.
    pub(super) until: Option<Timestamp>,
    /// When the page was made.
    pub(super) now: Timestamp,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, until, now } = *self;
        let late = if until.is_some_and(|until| until <= now) { " late" } else { "" };
        write!(f, r#"<span class="clock{late}" data-since="{}""#, since.as_millis())?;
        if let Some(until) = until {
            write!(f, r#" data-until="{}""#, until.as_millis())?;
        }
        write!(f, ">{}", span(now.since(since)))?;
        if let Some(until) = until {
            write!(f, " of {}", span(until.since(since)))?;
        }
        f.write_str("</span>")
    }
}

/// Digits and words of our own making: nothing in it needs escaping.
impl HtmlSafe for Clock {}

/// How long ago something was: `3 s ago`. It counts on by script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ago {
    /// When it was.
    pub(super) at: Timestamp,
    /// When the page was made.
    pub(super) now: Timestamp,
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"<span class="ago" data-at="{}">{} ago</span>"#, self.at.as_millis(), span(self.now.since(self.at)))
    }
}

/// Digits and words of our own making: nothing in it needs escaping.
impl HtmlSafe for Ago {}

/// How long until something ends: `57 min 47 s`. It counts on by script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Countdown {
    /// When it ends.
    pub(super) until: Timestamp,
    /// When the page was made.
    pub(super) now: Timestamp,
}

impl fmt::Display for Countdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = span(self.until.since(self.now));
        write!(f, r#"<span class="countdown" data-until="{}">{left}</span>"#, self.until.as_millis())
    }
}

/// Digits and words of our own making: nothing in it needs escaping.
impl HtmlSafe for Countdown {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_exact_for_machines_and_short_for_people() {
        let moment = Moment(Timestamp::from_millis(1_700_000_000_123)).to_string();
        assert_eq!(
            moment,
            r#"<time datetime="2023-11-14T22:13:20.123Z" title="2023-11-14T22:13:20.123Z">2023-11-14 22:13:20 UTC</time>"#
        );
    }

    #[test]
    fn a_clock_says_how_long_of_how_long_and_that_it_is_late() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let clock = Clock { since: at(0), until: Some(at(1200)), now: at(133) };
        assert_eq!(
            clock.to_string(),
            r#"<span class="clock" data-since="0" data-until="1200000">2 min 13 s of 20 min</span>"#
        );
        let late = Clock { now: at(1200), ..clock };
        assert!(late.to_string().starts_with(r#"<span class="clock late""#));
        let ago = Ago { at: at(0), now: at(61) }.to_string();
        assert_eq!(ago, r#"<span class="ago" data-at="0">1 min 1 s ago</span>"#);
        let open = Clock { until: None, ..clock };
        assert_eq!(open.to_string(), r#"<span class="clock" data-since="0">2 min 13 s</span>"#);
    }
}
