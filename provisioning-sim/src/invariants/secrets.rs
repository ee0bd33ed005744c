//! No secret ever stands in the journal.

use provisioning_core::ports::Happening;

use super::{Invariant, Scene, Seen, Verdict};

pub(super) struct Secrets;

impl Invariant for Secrets {
    fn name(&self) -> &'static str {
        "no secret stands in the journal"
    }

    fn see(&mut self, seen: Seen<'_>, scene: &Scene) -> Verdict {
        let Seen::Entry(entry) = seen else { return Ok(()) };
        // Only these hold text that came from elsewhere.
        let carries_text = match &entry.what {
            Happening::Moved { event, .. } | Happening::EventIgnored { event, .. } => {
                matches!(event.as_str(), "step_failed" | "expired")
            }
            Happening::Booted { .. }
            | Happening::Sighted { .. }
            | Happening::AnswerDenied { .. }
            | Happening::ReportUnusable { .. }
            | Happening::Warning { .. }
            | Happening::WorkPostponed { .. } => true,
            _ => false,
        };
        if !carries_text {
            return Ok(());
        }
        let text = serde_json::to_string(entry).map_err(|error| error.to_string())?;
        if scene.secrets.iter().any(|secret| text.contains(secret.as_str())) {
            return Err(format!("entry {} tells a secret", entry.seq));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, ready, scene};
    use super::*;

    #[test]
    fn it_fires_on_a_secret_in_a_warning() {
        let scene = scene(ready());
        let warning = |text: &str| entry(1, Happening::Warning { text: text.to_owned() });
        Secrets.see(Seen::Entry(&warning("nothing special")), &scene).unwrap();
        assert!(Secrets.see(Seen::Entry(&warning("it said: a secret")), &scene).is_err());
    }
}
