//! Who acts, if several processes run: the one that holds the Lease. The semantics are client-go's, so that a Lease
//! reads as everybody expects.
//!
//! No two clocks are compared. A process that waits takes the Lease over when it has not seen it change for as long as the
//! holder promised. The holder stops acting when it has not renewed the Lease for a shorter time, the renew deadline. A call
//! under way has the time between the two to end.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;

mod election;

pub use election::Election;

/// A Lease as it was last seen.
#[derive(Clone, Debug)]
struct Seen {
    /// Whose it is; nobody's if it was given back.
    holder: Option<String>,
    /// Which version of it, if it is still there.
    version: Option<String>,
    /// How long its holder promised to renew it within.
    promised: Duration,
    /// Since when we have seen this version, by our own clock.
    since: Instant,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// There is none: make one.
    Create,
    /// It is ours to write.
    Write,
    /// It is another's, at least for so long.
    Wait(Duration),
}

/// Decides by what was seen, and by our own clock alone. A Lease that somebody has deleted still protects its holder.
fn decide(now: Instant, me: &str, seen: Option<&Seen>) -> Next {
    let Some(seen) = seen else { return Next::Create };
    let write = if seen.version.is_some() { Next::Write } else { Next::Create };
    match &seen.holder {
        Some(holder) if holder != me => {
            let left = seen.promised.saturating_sub(now.saturating_duration_since(seen.since));
            if left.is_zero() { write } else { Next::Wait(left) }
        }
        _ => write,
    }
}

/// How many times as long as ours a promise may be. Otherwise anybody who may write the
/// Lease could keep all processes out for years. A promise of another configuration is hardly longer.
const LONGEST: u32 = 10;

/// What is now known, from what was known and what the API server says. The same version is as old as it was.
fn observe(now: Instant, before: Option<Seen>, found: Option<&Lease>, default: Duration) -> Option<Seen> {
    let Some(found) = found else { return before.map(|before| Seen { version: None, ..before }) };
    let version = found.metadata.resource_version.clone();
    if let Some(before) = before.filter(|before| before.version == version) {
        return Some(before);
    }
    let spec = found.spec.clone().unwrap_or_default();
    let promised = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Some(Seen {
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        version,
        promised: promised.map_or(default, Duration::from_secs).min(default * LONGEST),
        since: now,
    })
}

/// What an installation's Lease is called.
pub fn lease_name(installation: &str) -> String {
    format!("tenantry-{installation}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(version: &str, holder: Option<&str>, seconds: i32) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(version.into()), ..ObjectMeta::default() };
        let spec = LeaseSpec {
            holder_identity: holder.map(Into::into),
            lease_duration_seconds: Some(seconds),
            // Another clock's time, and a wrong one: nobody may look at it.
            renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// What one process sees over the seconds, and what it would do at the end of each.
    struct Watcher {
        begun: Instant,
        seen: Option<Seen>,
    }

    impl Watcher {
        fn new() -> Self {
            Self { begun: Instant::now(), seen: None }
        }

        fn sees(&mut self, second: u32, found: Option<&Lease>) -> Next {
            let now = self.begun + SECOND * second;
            self.seen = observe(now, self.seen.take(), found, 15 * SECOND);
            decide(now, "me", self.seen.as_ref())
        }
    }

    #[test]
    fn none_is_made_and_ones_own_and_nobodys_is_written() {
        assert_eq!(Watcher::new().sees(0, None), Next::Create);
        for holder in [None, Some(""), Some("me")] {
            assert_eq!(Watcher::new().sees(0, Some(&lease("1", holder, 15))), Next::Write, "{holder:?}");
        }
    }

    #[test]
    fn anothers_is_taken_when_it_has_not_changed_for_as_long_as_promised() {
        let (mut watcher, first, second) =
            (Watcher::new(), lease("1", Some("other"), 4), lease("2", Some("other"), 4));
        assert_eq!(
            watcher.sees(0, Some(&first)),
            Next::Wait(4 * SECOND),
            "however long ago it says it was renewed"
        );
        assert_eq!(watcher.sees(3, Some(&first)), Next::Wait(SECOND));
        assert_eq!(watcher.sees(3, Some(&second)), Next::Wait(4 * SECOND), "it was renewed");
        assert_eq!(watcher.sees(6, Some(&second)), Next::Wait(SECOND));
        assert_eq!(watcher.sees(7, Some(&second)), Next::Write);
        assert_eq!(
            watcher.sees(8, Some(&lease("3", Some("third"), 4))),
            Next::Wait(4 * SECOND),
            "it was faster"
        );
        assert_eq!(watcher.sees(9, Some(&lease("4", None, 4))), Next::Write, "it was given back");
    }

    #[test]
    fn one_that_is_deleted_protects_its_holder_as_long_as_one_that_is_there() {
        let mut watcher = Watcher::new();
        watcher.sees(0, Some(&lease("1", Some("other"), 4)));
        assert_eq!(watcher.sees(1, None), Next::Wait(3 * SECOND));
        assert_eq!(watcher.sees(4, None), Next::Create);
    }

    #[test]
    fn a_promise_of_years_keeps_nobody_out_for_longer_than_ten_of_ours() {
        let for_ever = lease("1", Some("other"), i32::MAX);
        let mut watcher = Watcher::new();
        assert_eq!(watcher.sees(0, Some(&for_ever)), Next::Wait(150 * SECOND));
        assert_eq!(watcher.sees(60, None), Next::Wait(90 * SECOND), "also once it is deleted");
        assert_eq!(watcher.sees(150, None), Next::Create);
        let longer = lease("1", Some("other"), 60);
        assert_eq!(Watcher::new().sees(0, Some(&longer)), Next::Wait(60 * SECOND), "another configuration's");
    }

    #[test]
    fn a_lease_that_promises_nothing_is_taken_to_promise_what_ours_does() {
        let mut silent = lease("1", Some("other"), 0);
        silent.spec.as_mut().unwrap().lease_duration_seconds = None;
        assert_eq!(Watcher::new().sees(0, Some(&silent)), Next::Wait(15 * SECOND));
    }
}
