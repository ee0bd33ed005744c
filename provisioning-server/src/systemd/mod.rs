//! What a service manager and the server tell each other: sockets that were opened for us, and how we fare.
//!
//! All of it is optional. Started by hand, the server opens its ports by itself and tells nobody.

mod activation;
mod attendance;
mod entrances;
mod notify;

pub use activation::{ActivationError, Doors, Entrance, Inherited};
pub use attendance::attend;
pub use entrances::{EntranceError, Entrances, open};
pub use notify::{Notifier, watchdog_interval};
