//! What is printed of a world in which a test failed.

use crate::support::world::World;

/// Calls that only read are many; the last of them say where the operator was.
const LAST_READS: usize = 40;

/// Conditions, events, and the AWS journal.
pub async fn of(world: &World) -> String {
    let mut text = format!("\n== The world {}, AWS account {}\n", world.suffix, world.account);
    let objects = world.all().await;
    text += "\n== Objects\n";
    objects.iter().for_each(|object| text += &object.describe());
    text += "\n== Events\n";
    for object in &objects {
        for event in world.events_of(object).await {
            let (name, reason) = (world.name_of(object), event.reason.unwrap_or_default());
            text += &format!("{name}: {reason}: {}\n", event.note.unwrap_or_default());
        }
    }
    let journal = world.double.journal_of_all(0).await;
    let reads_from = journal.len().saturating_sub(LAST_READS);
    text += "\n== AWS journal: everything that changes something or fails, and the last calls\n";
    for (n, call) in journal.iter().enumerate() {
        if call.mutating || !call.succeeded() || n >= reads_from {
            text += &format!("{call}\n");
        }
    }
    text
}
