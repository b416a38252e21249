//! How much room the limit of a class leaves a tenant of a pool. What has its metadata file has its place, and keeps it
//! when the limit is lowered; what comes takes what is left, in the order of the keys.

use std::collections::BTreeMap;

use super::index::{Piece, Span};
use super::known::Known;
use super::ledger::{ABSENT, Entry, Listed, Pair, Pairing};
use super::scope::Scope;
use super::sidecar;
use super::tally::{Bound, Tally};
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// The tenants of whom there was something new, and what they have by now.
pub type Rooms = BTreeMap<String, Room>;

/// What one tenant has, and may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    bound: Bound,
    has: Tally,
}

impl Room {
    /// Before a review has let in anything of this tenant.
    pub fn new(bound: Bound, has: Tally) -> Self {
        Self { bound, has }
    }

    /// Takes the place of one more document, if there is one.
    pub fn take(&mut self, bytes: u64) -> bool {
        let with = self.has.and(bytes);
        let is_free = self.bound.admits(with);
        if is_free {
            self.has = with;
        }
        is_free
    }

    /// What it may have.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }
}

/// Whose word on a metadata file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Only the operator writes them, or there is no ledger that could know better: one that is there was written for a
    /// document that had its place.
    Files,
    /// Tenants write them too: only the ledger says which are ours.
    Ledger,
}

impl Trust {
    /// For a tenant of whom the ledger has these parts.
    pub fn of(scope: &Scope<'_>, pieces: &[Piece]) -> Self {
        if scope.all_first && !pieces.is_empty() { Trust::Ledger } else { Trust::Files }
    }

    /// Whether a document has its place already. That its file may be there, and was not listed, is not known.
    pub fn has_place(self, pair: &Pair) -> bool {
        pair.sidecar.as_ref().is_some_and(|file| {
            file.same && file.entry.is_there() || self == Trust::Files && file.entry.mark != ABSENT
        })
    }
}

/// What has its place of a tenant: one listing of its folder, beside the ledger.
pub async fn taken(
    aws: &Aws,
    scope: &Scope<'_>,
    jobs: &[JobSummary],
    tenant: &str,
    pieces: Vec<Piece>,
) -> Result<Tally, Fault> {
    let folder = format!("{}{tenant}/", scope.prefix);
    let trust = Trust::of(scope, &pieces);
    let mut known = Known::new(aws, scope.bucket, scope.ledger, jobs, pieces);
    let (mut pairing, mut tally, mut next) = (Pairing::default(), Tally::default(), None::<String>);
    let count = |pairs: Vec<Pair>, tally: &mut Tally| {
        pairs.iter().filter(|pair| trust.has_place(pair)).for_each(|pair| tally.add(pair.document.bytes));
    };
    loop {
        let page = aws.objects.list(scope.bucket, &folder, next.as_deref(), None).await?;
        for object in page.objects {
            let entry = Entry::new(object.key.clone(), object.mark());
            while known.peek().await?.is_some_and(|its| its.key < entry.key) {
                known.next().await?;
            }
            let same = known.peek().await?.is_some_and(|its| *its == entry);
            count(pairing.next(Listed { bytes: object.bytes(), entry, same }), &mut tally);
        }
        next = page.next;
        if next.is_none() {
            count(pairing.end(), &mut tally);
            return Ok(tally);
        }
    }
}

/// The keys of a tenant.
pub fn span(scope: &Scope<'_>, tenant: &str) -> Span {
    Span::under(&format!("{}{tenant}/", scope.prefix))
}

/// The tenant of a pool whose document this is, if a limit binds it.
pub fn bound<'a>(scope: &Scope<'a>, document: &str) -> Option<(String, &'a Bound)> {
    let pool = scope.pool?;
    let tenant = sidecar::tenant_of(document)?;
    let bound = pool.bounds.of(tenant)?;
    (pool.is_somebodys)(tenant).then(|| (tenant.to_owned(), bound))
}
