//! How fast a machine's clock runs and how patient the people around it are.

use std::time::Duration;

/// Times of a simulated machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long one of the machine's seconds lasts. A whole life takes some 110 of them.
    pub second: Duration,
    /// How long the installer waits for an exchange: 60 s on a real machine. Not scaled, as the server holds requests
    /// in real time.
    pub http_timeout: Duration,
    /// How long it takes until somebody comes to a machine that is stuck, and starts it again.
    pub person: Duration,
    /// The pause of the first-boot script between two tries: 10 s in reality.
    pub phone_home_pause: Duration,
    /// How often the first-boot script tries before it gives up.
    pub phone_home_tries: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            second: Duration::from_millis(10),
            http_timeout: Duration::from_secs(60),
            person: Duration::from_secs(2),
            phone_home_pause: Duration::from_secs(1),
            phone_home_tries: 60,
        }
    }
}
