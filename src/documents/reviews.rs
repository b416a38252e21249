//! What is counted of reviews, and how far those under way are.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::findings::Findings;
use crate::api::metric::{Labels, REVIEW_OBJECTS};
use crate::stack::identity::Owner;

/// All reviews of the process. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Reviews {
    /// Whether the series of a Tenant's review bears its name. If not, all of them are one.
    pub names_tenants: bool,
    /// Objects listed by each review that is under way.
    pub listed: Family<Labels<1>, Gauge>,
    /// Documents seen.
    pub reviewed: Counter,
    /// Metadata files written.
    pub written: Counter,
    /// Metadata files that named another tenant.
    pub corrected: Counter,
    /// Documents moved into quarantine.
    pub quarantined: Counter,
    /// Attributes not kept.
    pub dropped: Counter,
    /// How many more may go on at once.
    pub(crate) places: Places,
}

/// So many reviews go on at once. Each holds a part of a ledger and a page of a listing, some megabytes.
const AT_ONCE: usize = 8;

/// The places of reviews. A review that has none waits; the first that came is the first to get one.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Reviews {
    /// A place among those that go on; it is had until this is dropped.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        self.places.0.clone().acquire_owned().await.ok()
    }

    /// A review of an owner's documents begins, or goes on from what it has found.
    pub(crate) fn begin(&self, owner: &Owner, found: &Findings) -> Progress<'_> {
        let is_shared = matches!(owner, Owner::Tenant { .. }) && !self.names_tenants;
        let label = if is_shared { "Tenant".to_owned() } else { owner.tag() };
        let series = REVIEW_OBJECTS.of([&label]);
        // So that it can be seen before the first page.
        drop(self.listed.get_or_create(&series));
        Progress { reviews: self, series, is_shared, listed: 0, before: counts(found) }
    }
}

/// A review that is under way. However it ends, its series ends with it, or is less by what it has listed.
pub(crate) struct Progress<'a> {
    reviews: &'a Reviews,
    series: Labels<1>,
    is_shared: bool,
    /// What it has added to its series.
    listed: i64,
    before: [usize; 5],
}

impl Progress<'_> {
    /// A page of the listing is done: so many objects, and all that was found so far.
    pub fn page(&mut self, objects: usize, findings: &Findings) {
        let Reviews { listed, reviewed, written, corrected, quarantined, dropped, .. } = self.reviews;
        let objects = i64::try_from(objects).unwrap_or(i64::MAX);
        self.listed = self.listed.saturating_add(objects);
        listed.get_or_create(&self.series).inc_by(objects);
        let counts = counts(findings);
        let before = std::mem::replace(&mut self.before, counts);
        let counters = [reviewed, written, corrected, quarantined, dropped];
        for (counter, (is, was)) in counters.into_iter().zip(counts.into_iter().zip(before)) {
            counter.inc_by(is.saturating_sub(was) as u64);
        }
    }
}

/// Documents seen, metadata files written and corrected, documents put into quarantine, attributes not kept.
fn counts(findings: &Findings) -> [usize; 5] {
    let Findings { documents, written, corrected, quarantined, set_aside, dropped, .. } = findings;
    let set_aside: usize = set_aside.values().map(|names| names.count).sum();
    [*documents, *written, corrected.count, quarantined.count + set_aside, *dropped]
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.is_shared {
            self.reviews.listed.get_or_create(&self.series).dec_by(self.listed);
        } else {
            self.reviews.listed.remove(&self.series);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_is_seen_while_it_goes_on_and_counted_page_by_page() {
        let (reviews, owner) = (Reviews::default(), Owner::Stack { name: "standard".into() });
        let series = REVIEW_OBJECTS.of([&owner.tag()]);
        let listed = || reviews.listed.get(&series).map(|listed| listed.get());
        let mut progress = reviews.begin(&owner, &Findings::default());
        assert_eq!(listed(), Some(0));
        progress.page(1000, &Findings { documents: 500, written: 7, ..Findings::default() });
        progress.page(10, &Findings { documents: 505, written: 7, dropped: 2, ..Findings::default() });
        assert_eq!(listed(), Some(1010));
        assert_eq!((reviews.reviewed.get(), reviews.written.get(), reviews.dropped.get()), (505, 7, 2));
        drop(progress);
        assert_eq!(listed(), None);
    }

    #[test]
    fn reviews_of_tenants_name_none_unasked_and_leave_one_anothers_count_alone() {
        use crate::api::Pattern;
        let tenant = |name: &str| Owner::Tenant {
            namespace: "bank".into(),
            name: name.into(),
            tenant_id: name.into(),
            pattern: Pattern::Silo,
            stack: None,
        };
        let reviews = Reviews::default();
        let listed = |label: &str| reviews.listed.get(&REVIEW_OBJECTS.of([label])).map(|it| it.get());
        let (acme, globex) = (tenant("acme"), tenant("globex"));
        let (mut first, mut second) =
            (reviews.begin(&acme, &Findings::default()), reviews.begin(&globex, &Findings::default()));
        first.page(10, &Findings::default());
        second.page(5, &Findings::default());
        assert_eq!((listed("Tenant"), listed(&acme.tag()), listed(&globex.tag())), (Some(15), None, None));
        drop(first);
        assert_eq!(listed("Tenant"), Some(5));
        drop(second);
        assert_eq!(listed("Tenant"), Some(0));

        let reviews = Reviews { names_tenants: true, ..Reviews::default() };
        let _progress = reviews.begin(&acme, &Findings::default());
        assert!(reviews.listed.get(&REVIEW_OBJECTS.of([&acme.tag()])).is_some());
    }
}
