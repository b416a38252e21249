//! How many documents there are, how many there may be, and how many are held back.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::names::Names;
use crate::api::{DocumentsStatus, Limits, Reason};
use crate::stack::model::outcome::Documents;

/// A gigabyte, as limits count them.
const GIGABYTE: u64 = 1_000_000_000;

/// Documents, and the bytes that they have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub documents: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Tally {
    /// One more of so many bytes.
    pub fn add(&mut self, bytes: u64) {
        *self = self.and(bytes);
    }

    /// The same with one more.
    #[must_use]
    pub fn and(self, bytes: u64) -> Self {
        Self { documents: self.documents + 1, bytes: self.bytes.saturating_add(bytes) }
    }
}

impl From<Tally> for DocumentsStatus {
    fn from(tally: Tally) -> Self {
        let number = |it| i64::try_from(it).unwrap_or(i64::MAX);
        Self { count: number(tally.documents), bytes: number(tally.bytes) }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.documents == 1 { "" } else { "s" };
        write!(f, "{} document{s} of {}", self.documents, gigabytes(self.bytes))
    }
}

/// Bytes, in gigabytes with three decimals, rounded up: what is beyond a limit never looks as if it were within it.
fn gigabytes(bytes: u64) -> String {
    let thousandths = bytes.div_ceil(GIGABYTE / 1000);
    format!("{}.{:03} GB", thousandths / 1000, thousandths % 1000)
}

/// How many documents a tenant may have, by its class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The class, for messages.
    pub class: String,
    /// How many,
    pub documents: Option<u64>,
    /// and how many bytes.
    pub bytes: Option<u64>,
}

impl Bound {
    /// What a class says of it, if anything.
    pub fn of(class: &str, limits: &Limits) -> Option<Self> {
        let documents = limits.documents.and_then(|it| u64::try_from(it).ok());
        let gigabytes = limits.gigabytes.and_then(|it| u64::try_from(it).ok());
        let bytes = gigabytes.map(|it| it.saturating_mul(GIGABYTE));
        (documents.is_some() || bytes.is_some()).then(|| Self { class: class.into(), documents, bytes })
    }

    /// Of a tenant of whom nobody knows what its class allows: what has its place keeps it, and nothing new gets one. No class
    /// can say that. Without a class, the tenant was not yet seen to be accepted.
    pub fn closed(class: &str) -> Self {
        Self { class: class.into(), documents: Some(0), bytes: None }
    }

    fn is_closed(&self) -> bool {
        self.documents == Some(0)
    }

    /// Whether so many are within it.
    pub fn admits(&self, tally: Tally) -> bool {
        self.documents.is_none_or(|most| tally.documents <= most)
            && self.bytes.is_none_or(|most| tally.bytes <= most)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_closed() {
            let class = &self.class;
            return match class.as_str() {
                "" => write!(f, "nothing new may be indexed of a Tenant that was not seen to be accepted"),
                _ => write!(f, "nothing new may be indexed while nobody can read TenantClass '{class}'"),
            };
        }
        let documents =
            self.documents.map(|it| if it == 1 { "1 document".into() } else { format!("{it} documents") });
        let bytes = self.bytes.map(|it| format!("{} GB", it / GIGABYTE));
        let said: Vec<String> = documents.into_iter().chain(bytes).collect();
        write!(f, "{} by TenantClass '{}' may be indexed", said.join(" and "), self.class)
    }
}

/// What each tenant of a pool may have, as it was known when the pass began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// By tenantId: the bound of who was known, and `None` of who is bound by nothing.
    pub known: HashMap<String, Option<Arc<Bound>>>,
    /// The bound of all others. One may be accepted, and have documents, while a review goes on.
    pub others: Option<Arc<Bound>>,
}

impl Bounds {
    /// What binds a tenant, if anything does.
    pub fn of(&self, tenant: &str) -> Option<&Bound> {
        self.known.get(tenant).unwrap_or(&self.others).as_deref()
    }
}

/// Documents of a pool's tenant that are beyond its limit: no metadata file is written beside them, so that nobody finds
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many.
    pub tally: Tally,
    /// The first of them.
    pub names: Names,
    /// What it may have.
    pub bound: Bound,
}

/// The documents of one tenant of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfTenant {
    /// All of them.
    pub tally: Tally,
    /// Those that are held back.
    pub held: Option<Held>,
}

/// The documents of a pool, by tenantId.
pub type Tallies = BTreeMap<String, OfTenant>;

impl OfTenant {
    /// What its tenant's condition says, if some are held back.
    pub fn condition(&self) -> Option<Documents> {
        let Held { tally, names, bound } = self.held.as_ref()?;
        let message = format!(
            "There are {}, and {bound}: {} {} held back, and no query finds {}: {names}. {}; the next job takes up what there is room \
             for",
            self.tally,
            tally.documents,
            if tally.documents == 1 { "is" } else { "are" },
            if tally.documents == 1 { "it" } else { "them" },
            match (bound.is_closed(), bound.class.as_str()) {
                (false, _) => "Delete others, or ask for a higher limit or another class",
                (true, "") => "Ask for another job",
                (true, _) => "Ask for the class, or for another",
            },
        );
        Some(Documents { current: Some(false), reason: Reason::LimitExceeded, message })
    }
}

/// How much there was before the last job of a knowledge base of a tenant's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// How many documents.
    pub documents: u64,
    /// How many bytes, if that was noted.
    pub bytes: Option<u64>,
}

/// What to tell of a knowledge base of a tenant's own, whose job would read more than the tenant may have. What there was
/// before the last job stays, and as much may go on.
pub fn beyond(bound: Option<&Bound>, tally: Tally, before: Before) -> Option<String> {
    let bound = bound.filter(|bound| !bound.admits(tally))?;
    let has_more = tally.documents > before.documents;
    let is_larger = before.bytes.is_some_and(|before| tally.bytes > before);
    let many = bound.documents.is_some_and(|most| tally.documents > most) && has_more;
    let large = bound.bytes.is_some_and(|most| tally.bytes > most) && (has_more || is_larger);
    let was = match before.bytes {
        Some(bytes) => Tally { documents: before.documents, bytes }.to_string(),
        None if before.documents == 1 => "1 document".into(),
        None => format!("{} documents", before.documents),
    };
    (many || large).then(|| {
        format!(
            "There are {tally}, and {bound}: no job runs until there are no more than that, or than the {was} before the last job. \
             What is new is held back, and what was changed or deleted waits with it. Delete some, or ask for a higher limit or \
             another class"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(documents: u64, bytes: u64) -> Tally {
        Tally { documents, bytes }
    }

    fn bound(documents: Option<u64>, bytes: Option<u64>) -> Bound {
        Bound { class: "basic".into(), documents, bytes }
    }

    #[test]
    fn a_limit_admits_as_many_as_it_says_and_no_more() {
        for (bound, given, admitted) in [
            (bound(None, None), tally(9, 9), true),
            (bound(Some(3), None), tally(3, 900), true),
            (bound(Some(3), None), tally(4, 0), false),
            (bound(None, Some(10)), tally(99, 10), true),
            (bound(None, Some(10)), tally(1, 11), false),
            (bound(Some(3), Some(10)), tally(3, 11), false),
            (bound(Some(3), Some(10)), tally(4, 10), false),
        ] {
            assert_eq!(bound.admits(given), admitted, "{bound:?} {given:?}");
        }
    }

    #[test]
    fn what_a_class_does_not_bound_has_no_bound() {
        assert_eq!(Bound::of("basic", &Limits::default()), None);
        let limits = Limits { gigabytes: Some(2), ..Limits::default() };
        assert_eq!(Bound::of("basic", &limits), Some(bound(None, Some(2 * GIGABYTE))));
    }

    #[test]
    fn a_job_that_reads_no_more_than_the_last_runs_beyond_the_limit() {
        let three = bound(Some(3), None);
        for (there, before, holds) in
            [(3, 0, false), (4, 0, true), (4, 3, true), (4, 4, false), (9, 10, false), (11, 10, true)]
        {
            let before = Before { documents: before, bytes: Some(0) };
            assert_eq!(
                beyond(Some(&three), tally(there, 5), before).is_some(),
                holds,
                "{there} after {before:?}"
            );
        }
        assert_eq!(beyond(None, tally(99, 99), Before { documents: 0, bytes: None }), None);
    }

    /// Documents that grow need no new one to be beyond the limit.
    #[test]
    fn a_job_that_reads_more_bytes_than_the_last_does_not_run_beyond_the_limit() {
        let hundred = bound(None, Some(100));
        for (there, before, holds) in [
            (tally(5, 100), (5, Some(10)), false),
            (tally(5, 101), (5, Some(10)), true),
            (tally(5, 150), (5, Some(150)), false),
            (tally(5, 151), (5, Some(150)), true),
            (tally(2, 151), (5, Some(150)), true),
            (tally(6, 120), (5, Some(150)), true),
            (tally(5, 151), (5, None), false),
            (tally(6, 151), (5, None), true),
        ] {
            let before = Before { documents: before.0, bytes: before.1 };
            assert_eq!(beyond(Some(&hundred), there, before).is_some(), holds, "{there:?} after {before:?}");
        }
        let before = Before { documents: 5, bytes: Some(150_000_000) };
        let said = beyond(Some(&bound(None, Some(GIGABYTE))), tally(5, 2 * GIGABYTE), before).unwrap();
        for part in
            ["5 documents of 2.000 GB, and 1 GB by", "than the 5 documents of 0.150 GB", "deleted waits"]
        {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_message_has_the_numbers() {
        let mut names = Names::default();
        names.add(|| "pool/acme/z.md".into());
        let held = Held { tally: tally(1, 5), names, bound: bound(Some(3), Some(GIGABYTE)) };
        let said = OfTenant { tally: tally(4, 1_500_000_001), held: Some(held) }.condition().unwrap();
        assert_eq!((said.current, said.reason), (Some(false), Reason::LimitExceeded));
        let begins = "There are 4 documents of 1.501 GB, and 3 documents and 1 GB by TenantClass 'basic' may be indexed: 1 is held \
                      back, and no query finds it: pool/acme/z.md.";
        assert!(said.message.starts_with(begins), "{}", said.message);
        assert_eq!(OfTenant::default().condition(), None);
    }

    #[test]
    fn where_nobody_knows_what_a_class_allows_nothing_new_gets_a_place() {
        let closed = Bound::closed("basic");
        assert!(closed.admits(tally(0, 0)) && !closed.admits(tally(1, 0)));
        let held = Held { tally: tally(2, 5), names: Names::default(), bound: closed.clone() };
        let said = OfTenant { tally: tally(4, 9), held: Some(held) }.condition().unwrap().message;
        for part in ["nobody can read TenantClass 'basic': 2 are held back", "Ask for the class"] {
            assert!(said.contains(part), "{said}");
        }
        let closed = Arc::new(closed);
        let known = HashMap::from([("free".into(), None), ("acme".into(), Some(closed.clone()))]);
        let bounds = Bounds { known, others: Some(Arc::new(Bound::closed(""))) };
        assert_eq!((bounds.of("free"), bounds.of("acme")), (None, Some(&*closed)));
        assert!(bounds.of("new").unwrap().to_string().contains("not seen to be accepted"));
        assert_eq!(Bounds::default().of("new"), None);
    }
}
