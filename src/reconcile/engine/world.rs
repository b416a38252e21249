//! What the engine needs of the world.

use std::time::Duration;

use crate::clock::Clock;
use crate::layers::Layers;

/// Layers, waits, and whether anything may be changed.
pub struct World<'a> {
    /// What looks at layers, makes them and takes them apart.
    pub layers: &'a dyn Layers,
    /// The scale of all waits.
    pub clock: Clock,
    /// When a look at all layers is due again, at the earliest.
    pub resync_after: Duration,
    /// Plans and reports, and changes nothing.
    pub read_only: bool,
}
