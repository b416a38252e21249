//! Waiting as a value: how far one step of a stack has come.

use std::cmp::Ordering;
use std::time::Duration;

use crate::api::{Layer, Reason, Severity};
use crate::stack::fault::{Class, Fault};
use crate::stack::store;

/// How long a stack that waits for a person is left alone: a right may be given, a quota raised, without our knowing.
pub const STALLED: Duration = Duration::from_secs(300);

/// How long a failure that should pass by itself is nobody's news.
pub const QUIET: Duration = Duration::from_secs(120);

/// How long AWS may refuse what stands on something that was made a moment ago, such as a policy or a role. AWS speaks of a
/// minute, five at most.
pub const PROPAGATION: Duration = Duration::from_secs(10 * 60);

/// How far a layer, or a whole teardown, has come. Never an error, never a sleep: whoever waits is looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is as it should be.
    Done,
    /// It is under way.
    Waiting {
        /// The machine-readable cause.
        reason: Reason,
        /// What a person should know.
        message: String,
        /// How eagerly to look again.
        cadence: Cadence,
    },
}

/// How eagerly to look again, the most eager first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cadence {
    /// By the time already waited: 5 %, between 1 s and 10 s.
    Steady,
    /// A probe that AWS refuses meanwhile: 25 % of the time already waited, at least half a second.
    Probe,
    /// The same where somebody else was faster: what is there is looked at before the next try.
    Race,
    /// At a given distance.
    After(Duration),
    /// Whoever is waited for will wake us.
    Woken,
}

impl Progress {
    /// Being made, or waited for.
    pub fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Progress::Waiting { reason, message: message.into(), cadence: Cadence::Steady }
    }

    /// What has just been asked for: that something is made, or that what is there is changed.
    pub fn under_way(is_there: bool, what: &str) -> Self {
        if is_there {
            Self::waiting(Reason::Updating, format!("{what} is being changed"))
        } else {
            Self::waiting(Reason::Creating, format!("{what} is being created"))
        }
    }

    /// Given up by AWS: a person must act, and nothing changes before.
    pub fn failed(message: impl Into<String>) -> Self {
        let cadence = Cadence::After(STALLED);
        Progress::Waiting { reason: Reason::Failed, message: message.into(), cadence }
    }

    /// A key that somebody has switched off: a person must act.
    pub fn unusable(message: impl Into<String>) -> Self {
        let cadence = Cadence::After(STALLED);
        Progress::Waiting { reason: Reason::KeyNotAllowed, message: message.into(), cadence }
    }

    /// What a failure on the way back is to be waited for, unless it passes by itself.
    pub fn of_fault(fault: &Fault) -> Option<Self> {
        let (reason, cadence) = match (fault.class.needs_person(), fault.class) {
            (Some(reason), _) => (reason, Cadence::After(STALLED)),
            (None, Class::NotYet | Class::Conflict) => (Reason::NotYet, Cadence::Probe),
            (None, Class::Throttled | Class::Transient | Class::NotFound | Class::Unnamed) => return None,
            (None, Class::Denied | Class::Quota | Class::Unreachable | Class::Invalid) => return None,
        };
        Some(Progress::Waiting { reason, message: fault.of_leaver(), cadence })
    }

    /// Two things that go on side by side, as one. What needs a person is told before what is only waited for, and both
    /// are told if neither is worse; whoever looks again does so for the more eager one.
    pub fn beside(self, other: Self) -> Self {
        let (
            Progress::Waiting { reason, message, cadence },
            Progress::Waiting { reason: other_reason, message: other_message, cadence: other_cadence },
        ) = (&self, &other)
        else {
            return if self.is_done() { other } else { self };
        };
        let cadence = (*cadence).min(*other_cadence);
        let (reason, message) = match reason.severity().cmp(&other_reason.severity()) {
            Ordering::Less => (*other_reason, other_message.clone()),
            Ordering::Equal => (*reason, format!("{message}; {other_message}")),
            Ordering::Greater => (*reason, message.clone()),
        };
        Progress::Waiting { reason, message, cadence }
    }

    /// This, or if nothing is left to do, something else.
    pub fn or(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_done() { other() } else { self }
    }

    /// What has not gone when its deadline is over needs a person; it is looked at on, and goes on by itself if the
    /// cause goes away. The emptying of a bucket is our own work and takes as long as there are documents.
    pub fn by_deadline(self, layer: Layer, waited: Duration) -> Self {
        match self {
            Progress::Waiting { reason, message, cadence }
                if reason.severity() < Severity::Stalled
                    && (layer, reason) != (Layer::Bucket, Reason::Deleting)
                    && waited > deadline(layer) =>
            {
                let minutes = deadline(layer).as_secs() / 60;
                let message = format!("Not gone after {minutes} minutes. {message}");
                Progress::Waiting { reason: Reason::DeadlineExceeded, message, cadence }
            }
            other => other,
        }
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Progress::Done)
    }
}

/// How long a layer may take, as AWS says (`docs.aws.amazon.com`: a data access policy takes a minute, five at most) and as
/// others have measured, with room.
pub const fn deadline(layer: Layer) -> Duration {
    match layer {
        Layer::Key | Layer::Bucket => Duration::from_secs(5 * 60),
        Layer::Role | Layer::Index => Duration::from_secs(10 * 60),
        Layer::VectorStore => store::DEADLINE,
        Layer::KnowledgeBase => Duration::from_secs(30 * 60),
    }
}

/// How long AWS takes to make a layer: hardly ever less, and often about as long. A collection takes minutes, and an index
/// some seconds until Bedrock sees it. What AWS makes at once is there when it answers.
const fn usually(layer: Layer) -> Duration {
    match layer {
        Layer::Key | Layer::Bucket | Layer::Role => Duration::ZERO,
        Layer::VectorStore => store::USUALLY,
        // It is made in one, and seen five later.
        Layer::Index => Duration::from_secs(6),
        Layer::KnowledgeBase => Duration::from_secs(5),
    }
}

/// When to look again at a layer that AWS is making: when it is usually there, and not before, because what is tried too early
/// is refused. Where that is long, once in between, and again when it can be there. Then every 2 % of the time that it takes,
/// because each moment after it is there is lost; and once it takes twice as long, as for anything else.
pub(crate) fn made_in(layer: Layer, waited: Duration) -> Duration {
    const SHORT: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_secs(20);
    let usually = usually(layer);
    let looks = if usually > LONG { [usually / 2, usually * 9 / 10] } else { [usually; 2] };
    if let Some(look) = looks.into_iter().find(|look| waited < *look) {
        return look - waited;
    }
    if waited < usually * 2 {
        return (usually / 50).max(SHORT);
    }
    (waited / 20).clamp(SHORT, Duration::from_secs(10))
}

impl Cadence {
    /// When to look again, `waited` after the waiting began; `None`: not by time.
    pub fn look_again(self, waited: Duration) -> Option<Duration> {
        const FLOOR: Duration = Duration::from_secs(1);
        const PROBE: Duration = Duration::from_millis(500);
        match self {
            Cadence::Steady => Some((waited / 20).clamp(FLOOR, Duration::from_secs(10))),
            Cadence::Probe | Cadence::Race => Some((waited / 4).max(PROBE)),
            Cadence::After(distance) => Some(distance),
            Cadence::Woken => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn wait(reason: Reason, message: &str, cadence: Cadence) -> Progress {
        Progress::Waiting { reason, message: message.into(), cadence }
    }

    #[test]
    fn look_again_grows_with_the_wait_within_its_bounds() {
        let millis = Duration::from_millis;
        let long = secs(24 * 3600);
        let table = [
            (Cadence::Steady, secs(0), Some(secs(1))),
            (Cadence::Steady, secs(19), Some(secs(1))),
            (Cadence::Steady, secs(20), Some(secs(1))),
            (Cadence::Steady, secs(21), Some(millis(1050))),
            (Cadence::Steady, secs(60), Some(secs(3))),
            (Cadence::Steady, secs(199), Some(millis(9950))),
            (Cadence::Steady, secs(200), Some(secs(10))),
            (Cadence::Steady, secs(201), Some(secs(10))),
            (Cadence::Steady, secs(3600), Some(secs(10))),
            (Cadence::Probe, secs(0), Some(millis(500))),
            (Cadence::Probe, secs(2), Some(millis(500))),
            (Cadence::Probe, secs(3), Some(millis(750))),
            (Cadence::Probe, secs(4), Some(secs(1))),
            (Cadence::Probe, secs(5), Some(millis(1250))),
            (Cadence::Probe, secs(40), Some(secs(10))),
            (Cadence::Probe, secs(3600), Some(secs(900))),
            (Cadence::Race, secs(1), Some(millis(500))),
            (Cadence::Race, secs(40), Some(secs(10))),
            (Cadence::After(secs(300)), secs(0), Some(secs(300))),
            (Cadence::After(secs(300)), long, Some(secs(300))),
            (Cadence::After(millis(1)), long, Some(millis(1))),
            (Cadence::Woken, secs(0), None),
            (Cadence::Woken, long, None),
        ];
        for (cadence, waited, expected) in table {
            assert_eq!(cadence.look_again(waited), expected, "{cadence:?} after {waited:?}");
        }
    }

    #[test]
    fn what_aws_makes_is_looked_at_when_it_can_be_there_and_then_often() {
        let millis = Duration::from_millis;
        for (layer, waited, expected) in [
            (Layer::VectorStore, secs(0), secs(30)),
            (Layer::VectorStore, secs(10), secs(20)),
            (Layer::VectorStore, secs(30), secs(24)),
            (Layer::VectorStore, secs(54), millis(1200)),
            (Layer::VectorStore, secs(119), millis(1200)),
            (Layer::VectorStore, secs(120), secs(6)),
            (Layer::VectorStore, secs(3600), secs(10)),
            (Layer::Index, secs(0), secs(6)),
            (Layer::Index, secs(6), millis(500)),
            (Layer::KnowledgeBase, secs(0), secs(5)),
            (Layer::KnowledgeBase, millis(4500), millis(500)),
            (Layer::KnowledgeBase, secs(5), millis(500)),
            (Layer::KnowledgeBase, secs(9), millis(500)),
            (Layer::KnowledgeBase, secs(40), secs(2)),
            (Layer::Role, secs(0), millis(500)),
            (Layer::Role, secs(60), secs(3)),
        ] {
            assert_eq!(made_in(layer, waited), expected, "{layer} after {waited:?}");
        }
    }

    #[test]
    fn of_two_things_the_graver_is_told_and_the_more_eager_decides_when_to_look() {
        let going = wait(Reason::Deleting, "the collection goes", Cadence::Steady);
        let denied = wait(Reason::Denied, "the role may not", Cadence::After(Duration::from_secs(300)));
        let both = wait(Reason::Denied, "the role may not", Cadence::Steady);
        assert_eq!(going.clone().beside(denied.clone()), both);
        assert_eq!(denied.clone().beside(going.clone()), both);
        let twice = wait(Reason::Deleting, "the collection goes; the collection goes", Cadence::Steady);
        assert_eq!(going.clone().beside(going.clone()), twice);
        assert_eq!(Progress::Done.beside(denied.clone()), denied);
        assert_eq!(denied.clone().beside(Progress::Done), denied);
        assert_eq!(Progress::Done.beside(Progress::Done), Progress::Done);
        // If neither is worse, the first gives the reason.
        let throttled = wait(Reason::Throttled, "slower", Cadence::Probe);
        let locked = wait(Reason::ObjectsLocked, "locked", Cadence::Woken);
        let slower = wait(Reason::Throttled, "slower; locked", Cadence::Probe);
        assert_eq!(throttled.clone().beside(locked.clone()), slower);
        assert_eq!(locked.beside(throttled), wait(Reason::ObjectsLocked, "locked; slower", Cadence::Probe));
    }

    #[test]
    fn the_more_eager_is_the_lesser() {
        let eager_first = [
            Cadence::Steady,
            Cadence::Probe,
            Cadence::Race,
            Cadence::After(secs(1)),
            Cadence::After(secs(300)),
            Cadence::Woken,
        ];
        assert!(eager_first.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn something_else_begins_when_nothing_is_left_to_do() {
        let going = wait(Reason::Deleting, "it goes", Cadence::Steady);
        assert_eq!(Progress::Done.or(|| going.clone()), going);
        assert_eq!(going.clone().or(|| unreachable!("it has not begun")), going);
        assert!(Progress::Done.is_done() && !going.is_done());
    }

    #[test]
    fn what_waits_for_a_person_is_looked_at_seldom() {
        assert_eq!(
            Progress::waiting(Reason::Creating, "made"),
            wait(Reason::Creating, "made", Cadence::Steady)
        );
        let seldom = Cadence::After(secs(300));
        assert_eq!(Progress::failed("no"), wait(Reason::Failed, "no", seldom));
        assert_eq!(Progress::unusable("off"), wait(Reason::KeyNotAllowed, "off", seldom));
    }

    #[test]
    fn what_has_not_gone_in_time_needs_a_person() {
        let minutes = [
            (Layer::Key, 5),
            (Layer::Bucket, 5),
            (Layer::VectorStore, 30),
            (Layer::Index, 10),
            (Layer::Role, 10),
            (Layer::KnowledgeBase, 30),
        ];
        for (layer, minutes) in minutes {
            let in_time = secs(minutes * 60);
            let late = in_time + Duration::from_nanos(1);
            assert_eq!(Progress::Done.by_deadline(layer, secs(24 * 3600)), Progress::Done);
            for reason in Reason::ALL {
                let waits = wait(*reason, "AWS says so", Cadence::Probe);
                assert_eq!(waits.clone().by_deadline(layer, secs(0)), waits);
                assert_eq!(waits.clone().by_deadline(layer, in_time), waits, "{layer}: {reason}");
                let told_already = reason.severity() == Severity::Stalled;
                // The emptying of a bucket takes as long as there are documents.
                let our_own_work = layer == Layer::Bucket && *reason == Reason::Deleting;
                let message = format!("Not gone after {minutes} minutes. AWS says so");
                let expected = if told_already || our_own_work {
                    waits.clone()
                } else {
                    wait(Reason::DeadlineExceeded, &message, Cadence::Probe)
                };
                assert_eq!(waits.by_deadline(layer, late), expected, "{layer}: {reason}");
            }
        }
    }
}
